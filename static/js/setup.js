// The setup page: choose paper or live trading, test and save a key, and wait for the bot to restart.

import { createApi } from "./lib/api.js";
import { fill, on, setText, setTone, show, slot } from "./lib/dom.js";
import { MODE_TONES } from "./lib/format.js";
import { createStore } from "./lib/store.js";
import { applyTheme } from "./lib/theme.js";
import { mountKey } from "./panels/setup_key.js";
import { awaitBot } from "./panels/setup_restart.js";

const api = createApi(document.querySelector('meta[name="hunter-token"]').content);
const page = document.getElementById("setup");

const RETRY_MS = 1_000;
const STAKES = {
  LIVE: "Trades with your money, and you can lose all of it.",
  TESTNET: "Orders on Aster’s testnet, with play money.",
  SANDBOX: "Orders on the sandbox, with play money.",
};

async function start() {
  applyTheme(createStore());
  const status = await fetchStatus();
  paint(status);
  const key = mountKey(slot(page, "key"), api, status, (response) => finish(response));
  on(slot(page, "live"), "click", () => key.open());
  on(slot(page, "paper"), "click", () => choosePaper());
  for (const way of ["paper", "live"]) slot(page, way).disabled = false;
}

/** Retries until the server responds: at the very first start the bot may still be creating its database. */
async function fetchStatus() {
  for (;;) {
    try {
      const status = await api.get("/api/setup");
      showFault("");
      return status;
    } catch (error) {
      showFault(error.message);
      await new Promise((resume) => setTimeout(resume, RETRY_MS));
    }
  }
}

function paint({ first_run: isFirst, live_mode: mode, stored, bot }) {
  show(slot(page, "back"), !isFirst);
  fill(page, { now: statusSentence(isFirst, stored, bot, mode), "live-mode": mode, stake: STAKES[mode] ?? "" });
  setTone(slot(page, "live-mode"), MODE_TONES[mode] ?? "warn");
}

function statusSentence(isFirst, stored, bot, mode) {
  if (isFirst) return "Welcome. Choose how to start; you can change it here at any time.";
  const key = stored.kind ? "A key is set." : "No key is set.";
  if (bot.simulated === null) return `The bot has not run yet. ${key}`;
  const state = bot.alive ? "running" : "not running";
  return `The bot is ${state}, mode: ${bot.simulated ? "PAPER" : mode}. ${key}`;
}

async function choosePaper() {
  const button = slot(page, "paper");
  button.disabled = true;
  showFault("");
  try {
    finish(await api.post("/api/setup/paper", {}));
  } catch (error) {
    showFault(error.message);
    button.disabled = false;
  }
}

/** After a save: hide the choices and wait for the bot to restart. */
function finish(response) {
  show(slot(page, "choice"), false);
  show(slot(page, "key"), false);
  awaitBot(slot(page, "start"), api, response);
}

const showFault = (text) => setText(slot(page, "choice-fault"), text);

start();
