// Real orders wait for a person's word: what they would be, and the field in which it is typed.

import { newNonce } from "../lib/api.js";
import { factRow } from "../lib/dialogs.js";
import { create, fill, on, patchRows, setText, setTone, show, slot, combine } from "../lib/dom.js";
import { plainNumber, money } from "../lib/format.js";

const TIMEOUT_MS = 20_000;
const WORDS = { mainnet: ["LIVE", "loss"], testnet: ["TESTNET", "warn"] };
const LIMITS = {
  max_daily_loss_usdt: "Largest daily loss",
  max_drawdown_pct: "Largest drawdown, %",
  max_consecutive_losses: "Losses in a row",
  max_entries_per_minute: "Entries per minute",
};

/** "live" in the store is `{pending}`; `refresh()` has it asked for, when the status says that something waits. */
export function mount(panel, store, { api, notify, refresh }) {
  let sent = null; // the terms the bot was told about: until it answers, nothing more can be said
  const paint = () => paintPanel(panel, store.get("live")?.pending, sent);
  const onTimeout = (fingerprint) => {
    if (sent !== fingerprint || store.get("live")?.pending?.fingerprint !== fingerprint) return;
    sent = null;
    setText(slot(panel, "fault"), "The bot has not confirmed it yet. Look at its log, or type the word again.");
    paint();
  };
  return combine(
    store.subscribe("health", ({ awaits_consent: awaitedFingerprint }) => {
      if (awaitedFingerprint !== (store.get("live")?.pending?.fingerprint ?? null)) refresh();
    }),
    store.subscribe("live", ({ pending }) => {
      if (pending?.fingerprint !== sent) sent = null;
      paint();
    }),
    on(slot(panel, "form"), "input", paint),
    on(slot(panel, "form"), "submit", async (event) => {
      event.preventDefault();
      const { pending } = store.get("live");
      sent = pending.fingerprint;
      setText(slot(panel, "fault"), "");
      paint();
      try {
        await api.post("/api/live-consent/confirm", { fingerprint: sent, typed: typedIn(panel).value, nonce: newNonce() });
        typedIn(panel).value = "";
        notify("info", "You agreed to real orders. The bot begins as soon as nothing else keeps it back.");
        setTimeout(() => onTimeout(pending.fingerprint), TIMEOUT_MS);
      } catch (error) {
        sent = null;
        setText(slot(panel, "fault"), error.message);
      }
      refresh();
      paint();
    }),
  );
}

const typedIn = (panel) => panel.querySelector("input");

function paintPanel(panel, pending, sent) {
  show(panel, Boolean(pending));
  if (!pending) return;
  const { terms, risk_increases: riskIncreases } = pending;
  const [word, tone] = WORDS[terms.network] ?? [terms.network, "warn"];
  fill(panel, { word });
  setTone(slot(panel, "word"), tone);
  slot(panel, "facts").replaceChildren(...factsOf(terms).flatMap(factRow));
  slot(panel, "risk-increases").replaceChildren(...riskIncreases.map((sentence) => create("li", {}, capital(sentence))));
  patchRows(slot(panel, "symbols"), Object.entries(terms.symbols), {
    templateName: "going-live-row",
    keyOf: ([symbol]) => symbol,
    paint: paintSymbol,
  });
  const agree = slot(panel, "agree");
  agree.disabled = sent === pending.fingerprint || !isWord(typedIn(panel).value, terms.account);
  agree.classList.toggle("is-pending", sent === pending.fingerprint);
}

function factsOf(terms) {
  const set = Object.entries(LIMITS).filter(([name]) => terms.limits[name] !== null);
  return [
    ["Account", terms.account],
    ["Most margin in all", `${money(terms.max_total_exposure_usdt)} USDT`],
    ["Position mode", terms.hedge_mode ? "long and short apart (hedge)" : "one position (one-way)"],
    ["Margin from", terms.multi_assets_mode ? "every asset of the account" : "USDT alone"],
    ...(terms.adopt_foreign_positions ? [["Positions by hand", "are taken over", "warn"]] : []),
    ...set.map(([name, label]) => [label, plainNumber(terms.limits[name])]),
    ...(set.length ? [] : [["Loss limits", "none is set", "warn"]]),
  ];
}

function paintSymbol(row, [symbol, terms]) {
  fill(row, {
    symbol,
    margin: `${plainNumber(terms.trade_value_usdt)} × ${terms.leverage}`,
    notional: `${money(terms.notional)} USDT`,
    most: `${money(terms.max_position_usdt)} USDT`,
    type: terms.margin_type === "CROSSED" ? "crossed" : "isolated",
    stop: terms.stop_loss_pct === null ? "none" : `${plainNumber(terms.stop_loss_pct)} %`,
  });
  setTone(slot(row, "stop"), terms.stop_loss_pct === null ? "loss" : "flat");
  setTone(slot(row, "type"), terms.margin_type === "CROSSED" ? "warn" : "flat");
}

/** The server has the last word; this only wakes the button. */
const isWord = (typed, account) => ["LIVE", account.slice(-4).toUpperCase()].includes(typed.trim().toUpperCase());

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
