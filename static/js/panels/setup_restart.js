// After the save: the bot is started anew, and the page says when it is there.

import { setText, show, slot } from "../lib/dom.js";

const POLL_MS = 500;
const TIMEOUT_MS = 45_000;

/** @param answer of the save; its number is the moment from which on a bot has read what was saved. */
export function awaitBot(card, api, answer) {
  show(card, true);
  const isRestarting = answer.is_restarting;
  setText(slot(card, "start-title"), isRestarting ? "The bot is starting …" : "Saved");
  setText(slot(card, "start-text"), answer.message);
  show(slot(card, "open"), !isRestarting);
  if (!isRestarting) return;
  const since = Date.now();
  const timer = setInterval(async () => {
    const isRunning = await hasBegunSince(api, answer.command_id);
    if (!isRunning && Date.now() - since < TIMEOUT_MS) return;
    clearInterval(timer);
    if (isRunning) return window.location.assign("/");
    setText(slot(card, "start-title"), "The bot has not come back yet");
    setText(slot(card, "start-text"), "What you chose is saved. The launcher’s window and the log say why the bot does not start.");
    show(slot(card, "open"), true);
  }, POLL_MS);
}

async function hasBegunSince(api, savedAt) {
  try {
    const { bot } = await api.get("/api/setup");
    return bot.alive && bot.started_at > savedAt;
  } catch {
    return false; // it will be asked again
  }
}
