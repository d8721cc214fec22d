// The confirmation of live trading: the terms, and the field in which the user confirms them.

import { newNonce } from "../lib/api.js";
import { factRow } from "../lib/dialogs.js";
import { create, fill, on, patchRows, setText, setTone, show, slot, combine } from "../lib/dom.js";
import { capitalize, plainNumber, money, MODE_TONES } from "../lib/format.js";

const TIMEOUT_MS = 20_000;
const LIMITS = {
  max_daily_loss_usdt: "Max. daily loss",
  max_drawdown_pct: "Max. drawdown, %",
  max_consecutive_losses: "Max. losses in a row",
  max_entries_per_minute: "Max. entries per minute",
};

/** "live" in the store is `{pending}`; `refresh()` fetches it when the status reports other terms. */
export function mount(panel, store, { api, notify, refresh }) {
  let sent = null; // the fingerprint of the confirmed terms, until the bot responds
  const paint = () => paintPanel(panel, store.get("live")?.pending, sent);
  const onTimeout = (fingerprint) => {
    if (sent !== fingerprint || store.get("live")?.pending?.fingerprint !== fingerprint) return;
    sent = null;
    setText(slot(panel, "fault"), "The bot has not responded yet. Check its log, or confirm again.");
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
        notify("info", "Live trading confirmed. Entries start unless something else blocks them.");
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
  const { terms, mode, risk_increases: riskIncreases } = pending;
  fill(panel, { mode });
  setTone(slot(panel, "mode"), MODE_TONES[mode] ?? "warn");
  slot(panel, "facts").replaceChildren(...factsOf(terms).flatMap(factRow));
  slot(panel, "risk-increases").replaceChildren(...riskIncreases.map((sentence) => create("li", {}, capitalize(sentence))));
  patchRows(slot(panel, "symbols"), Object.entries(terms.symbols), {
    templateName: "going-live-row",
    keyOf: ([symbol]) => symbol,
    paint: paintSymbol,
  });
  const agree = slot(panel, "agree");
  agree.disabled = sent === pending.fingerprint || !typedIn(panel).value.trim();
  agree.classList.toggle("is-pending", sent === pending.fingerprint);
}

function factsOf(terms) {
  const set = Object.entries(LIMITS).filter(([name]) => terms.limits[name] !== null);
  return [
    ["Account", terms.account],
    ["Max. total margin", `${money(terms.max_total_exposure_usdt)} USDT`],
    ["Position mode", terms.hedge_mode ? "hedge" : "one-way"],
    ["Margin assets", terms.multi_assets_mode ? "all assets of the account" : "USDT only"],
    ...(terms.on_liquidation_near === "ALERT" ? [["Liquidation before the stop", "only reported", "warn"]] : []),
    ...(terms.adopt_foreign_positions ? [["External positions", "adopted by the bot", "warn"]] : []),
    ["Entries below the exchange's minimum", `raised up to ${plainNumber(terms.limits.max_raise_factor)} times`],
    ...set.map(([name, label]) => [label, plainNumber(terms.limits[name])]),
    ...(set.length ? [] : [["Loss limits", "none", "warn"]]),
  ];
}

function paintSymbol(row, [symbol, terms]) {
  fill(row, {
    symbol,
    margin: `${plainNumber(terms.trade_value_usdt)} × ${terms.leverage}`,
    notional: `${money(terms.notional)} USDT`,
    "max-margin": `${money(terms.max_position_usdt)} USDT`,
    type: terms.margin_type === "CROSSED" ? "cross" : "isolated",
    stop: terms.stop_loss_pct === null ? "none" : `${plainNumber(terms.stop_loss_pct)} %`,
  });
  setTone(slot(row, "stop"), terms.stop_loss_pct === null ? "loss" : "flat");
  setTone(slot(row, "type"), terms.margin_type === "CROSSED" ? "warn" : "flat");
}

