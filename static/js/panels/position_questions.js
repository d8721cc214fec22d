// Questions about positions that the bot's own trades do not explain: are they the bot's, or the user's?

import { confirm } from "../lib/dialogs.js";
import { fill, patchRows, setTitle, show, slot, combine } from "../lib/dom.js";
import { span } from "../lib/format.js";

export function mount(panel, store, { commands }) {
  const paint = () => {
    const questions = store.get("health")?.position_questions ?? [];
    show(panel, questions.length > 0);
    patchRows(panel, questions, {
      templateName: "position-question",
      keyOf: ({ symbol, position_side: side }) => `${symbol}:${side}`,
      paint: (card, question) => paintQuestion(card, question, store, commands),
    });
  };
  return combine(...["health", "now", "controls", "pending"].map((name) => store.subscribe(name, paint)));
}

function paintQuestion(card, question, store, commands) {
  const { enabled, reason } = store.get("controls") ?? {};
  const key = `owner:${question.symbol}:${question.position_side}`;
  const isPending = store.get("pending")?.has(key) ?? false;
  const age = span(store.get("now") - question.asked_at);
  fill(card, { summary: question.summary, age: `Asked ${age} ago.` });
  for (const name of ["ours", "external"]) {
    const button = slot(card, name);
    button.disabled = !enabled || isPending;
    button.classList.toggle("is-pending", isPending);
    setTitle(button, reason);
  }
  slot(card, "ours").onclick = () => answer(key, question, "ours", commands);
  slot(card, "external").onclick = async () => {
    if (await isConfirmed(question)) answer(key, question, "external", commands);
  };
}

function isConfirmed({ symbol, side, summary }) {
  return confirm({
    title: `Is ${symbol} ${side} yours?`,
    lead: summary,
    facts: [
      ["The bot's stop loss", "cancelled", "loss"],
      ["The bot's take profit", "cancelled", "loss"],
      [`Entries in ${symbol}`, "none while it is open"],
    ],
    note: "The position is then without the bot's protection: place your own stop on the exchange.",
    action: "yes, it is mine",
  });
}

function answer(key, { symbol, position_side: side }, owner, commands) {
  const path = `/api/positions/${encodeURIComponent(symbol)}/${side}/owner`;
  commands.send(key, `Answer about ${symbol}`, path, { owner });
}
