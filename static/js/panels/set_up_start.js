// After the save: the bot is started anew, and the page says when it is there.

import { setText, show, slot } from "../lib/dom.js";

const ASK_EVERY_MS = 500;
const PATIENCE_MS = 45_000;

/** @param answer of the save; its number is the moment from which on a bot has read what was saved. */
export function awaitBot(card, api, answer) {
  show(card, true);
  const isComing = answer.is_coming;
  setText(slot(card, "start-title"), isComing ? "The bot is starting …" : "Saved");
  setText(slot(card, "start-text"), answer.message);
  show(slot(card, "open"), !isComing);
  if (!isComing) return;
  const since = Date.now();
  const timer = setInterval(async () => {
    const isThere = await hasBegunSince(api, answer.command_id);
    if (!isThere && Date.now() - since < PATIENCE_MS) return;
    clearInterval(timer);
    if (isThere) return window.location.assign("/");
    setText(slot(card, "start-title"), "The bot has not come back yet");
    setText(slot(card, "start-text"), "What you chose is saved. The launcher’s window and the log say why the bot does not start.");
    show(slot(card, "open"), true);
  }, ASK_EVERY_MS);
}

async function hasBegunSince(api, savedAt) {
  try {
    const { bot } = await api.get("/api/setup");
    return bot.alive && bot.started_at > savedAt;
  } catch {
    return false; // it will be asked again
  }
}
