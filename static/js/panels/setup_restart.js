// After a save: waits until the bot has restarted, then opens the dashboard.

import { setText, show, slot } from "../lib/dom.js";

const POLL_MS = 500;
const TIMEOUT_MS = 45_000;

/** @param answer the response to the save; a bot started after its `command_id` (ms) has read the new settings. */
export function awaitBot(card, api, answer) {
  show(card, true);
  const isRestarting = answer.is_restarting;
  setText(slot(card, "start-title"), isRestarting ? "Starting the bot …" : "Saved");
  setText(slot(card, "start-text"), answer.message);
  show(slot(card, "open"), !isRestarting);
  if (!isRestarting) return;
  const since = Date.now();
  const timer = setInterval(async () => {
    const isRunning = await hasStartedSince(api, answer.command_id);
    if (!isRunning && Date.now() - since < TIMEOUT_MS) return;
    clearInterval(timer);
    if (isRunning) return window.location.assign("/");
    setText(slot(card, "start-title"), "The bot has not restarted yet");
    setText(slot(card, "start-text"), "Your choice is saved. See the launcher’s window or the log for the reason.");
    show(slot(card, "open"), true);
  }, POLL_MS);
}

async function hasStartedSince(api, savedAt) {
  try {
    const { bot } = await api.get("/api/setup");
    return bot.alive && bot.started_at > savedAt;
  } catch {
    return false; // retried at the next poll
  }
}
