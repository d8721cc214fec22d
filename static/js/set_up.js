// The set-up page: paper or live, a key that is tested before it is saved, and a bot that comes up with it.

import { createApi } from "./lib/api.js";
import { fill, on, setText, setTone, show, slot } from "./lib/dom.js";
import { createStore } from "./lib/store.js";
import { applyTheme } from "./lib/theme.js";
import { mountKey } from "./panels/set_up_key.js";
import { awaitBot } from "./panels/setup_restart.js";

const api = createApi(document.querySelector('meta[name="hunter-token"]').content);
const page = document.getElementById("set-up");

const ASK_AGAIN_MS = 1_000;
const TONES = { LIVE: "loss", TESTNET: "warn", SANDBOX: "special" };
const STAKES = {
  LIVE: "Trades with your money, and you can lose all of it.",
  TESTNET: "Real orders on Aster’s testnet, with play money.",
  SANDBOX: "Real orders on the sandbox, with play money.",
};

async function start() {
  applyTheme(createStore());
  const known = await knownAtLast();
  paint(known);
  const key = mountKey(slot(page, "key"), api, known, (answer) => finish(answer));
  on(slot(page, "live"), "click", () => key.open());
  on(slot(page, "paper"), "click", () => choosePaper());
  for (const way of ["paper", "live"]) slot(page, way).disabled = false;
}

/** On the very first start the bot may still be making its database: what cannot be told yet is asked again. */
async function knownAtLast() {
  for (;;) {
    try {
      const known = await api.get("/api/setup");
      say("choice-fault", "");
      return known;
    } catch (error) {
      say("choice-fault", error.message);
      await new Promise((resume) => setTimeout(resume, ASK_AGAIN_MS));
    }
  }
}

function paint({ first_run: isFirst, live_word: word, stored, bot }) {
  show(slot(page, "back"), !isFirst);
  fill(page, { now: nowSentence(isFirst, stored, bot, word), "live-word": word, stake: STAKES[word] ?? "" });
  setTone(slot(page, "live-word"), TONES[word] ?? "warn");
}

function nowSentence(isFirst, stored, bot, word) {
  if (isFirst) return "Welcome. Two ways to begin; you can change your mind here at any time.";
  const mode = bot.simulated === null ? "has not run yet" : bot.simulated ? "trades on paper" : `is set to ${word}`;
  const silent = bot.alive || bot.simulated === null ? "" : ", and does not run now";
  return `The bot ${mode}${silent}. ${stored.kind ? "A key is set." : "No key is set."}`;
}

async function choosePaper() {
  const button = slot(page, "paper");
  button.disabled = true;
  say("choice-fault", "");
  try {
    finish(await api.post("/api/setup/paper", {}));
  } catch (error) {
    say("choice-fault", error.message);
    button.disabled = false;
  }
}

/** Everything is written: nothing is left to choose, and the bot starts anew. */
function finish(answer) {
  show(slot(page, "choice"), false);
  show(slot(page, "key"), false);
  awaitBot(slot(page, "start"), api, answer);
}

const say = (name, text) => setText(slot(page, name), text);

start();
