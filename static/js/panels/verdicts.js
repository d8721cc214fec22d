// How a verdict is shown: the chip's text and tone, the reason, and its numbers.

import { closesOutside, factRow } from "../lib/dialogs.js";
import { on, fill, setText, setTone, slot } from "../lib/dom.js";
import { dateTime, toNumber, plainNumber, humanize, sentence } from "../lib/format.js";

const GATES = {
  configured: ["Not configured", "flat"],
  trading_state: ["Entries paused", "warn"],
  fresh_event: ["Event not current", "warn"],
  trade_side: ["Side disabled", "flat"],
  threshold: ["Below threshold", "flat"],
  cooldown: ["Cooldown", "accent"],
  price_deviation: ["Too far from mark", "warn"],
  fresh_quote: ["No fresh quote", "warn"],
  slippage: ["Slippage too high", "warn"],
  open_orders: ["Order limit", "warn"],
  position_cap: ["Position limit", "warn"],
  total_cap: ["Total limit", "warn"],
  margin: ["Margin too low", "loss"],
  min_notional: ["Below min. size", "warn"],
  stop_inside_liquidation: ["Stop too wide", "loss"],
  protection_distance: ["Exit too close", "loss"],
  rate_budget: ["Rate limit", "warn"],
};

/** The label and unit of each number of a verdict. */
const NUMBERS = {
  age_ms: ["Age", "s"],
  limit_ms: ["Max. age", "s"],
  passed_ms: ["Since the last entry", "s"],
  cooldown_ms: ["Cooldown", "s"],
  price: ["Price", ""],
  entry_price: ["Entry price", ""],
  tick: ["Price step", ""],
  bid: ["Best bid", ""],
  ask: ["Best ask", ""],
  slippage_limit_pct: ["Max. slippage", "%"],
  mark: ["Mark price", ""],
  limit_pct: ["Limit", "%"],
  stop_pct: ["Stop loss distance", "%"],
  bound: ["Margin in use", "USDT"],
  needed: ["Margin needed", "USDT"],
  available: ["Margin available", "USDT"],
  cap: ["Limit", "USDT"],
  smallest_notional: ["Smallest valid order", "USDT"],
  open: ["Open entries", ""],
  stops: ["Open stop losses", ""],
  foreign: ["External orders", ""],
  made: ["Entries in the last minute", ""],
  limit: ["Limit", ""],
  state: ["Trading state", ""],
  trade_side: ["Allowed side", ""],
};
const SHOWN_ABOVE = new Set(["volume", "threshold"]);

/** Whether the symbol is configured; without settings it has no threshold. */
export const isConfigured = (row) => row.threshold !== null && row.threshold !== undefined;
export const isEntry = (row) => !row.gate && Boolean(row.client_order_id);

/** Whether the window had reached its threshold: an entry, or one blocked by a later check. */
export const wouldTrade = (row) => isEntry(row) || toNumber(row.window_volume) >= toNumber(row.threshold);

export function verdictOf(row) {
  if (isEntry(row)) return { word: "Entry", tone: "gain", reason: sentence(row.reason || "An entry was sent") };
  if (!row.gate && !isConfigured(row)) {
    return { word: "Not configured", tone: "flat", reason: "This symbol is not in the settings." };
  }
  if (!row.gate) return { word: "Not evaluated", tone: "flat", reason: "It arrived while the bot was offline." };
  const [word, tone] = GATES[row.gate] ?? [humanize(row.gate), "warn"];
  return { word, tone, reason: row.reason ? sentence(row.reason) : "" };
}

export function paintChip(chip, row) {
  const { word, tone, reason } = verdictOf(row);
  setText(chip, word);
  setTone(chip, tone);
  chip.title = reason ?? "";
}

/** The side that was liquidated: a liquidation SELL closes a long. */
export const liquidatedSide = (row) => (row.side === "SELL" ? "Long" : "Short");

/** Open the dialog of one verdict with its numbers. */
export function showVerdict(row) {
  const dialog = document.getElementById("verdict");
  const { reason } = verdictOf(row);
  fill(dialog, { title: `${row.symbol}: ${liquidatedSide(row).toLowerCase()} liquidated`, reason: reason ?? "" });
  paintChip(slot(dialog, "chip"), row);
  slot(dialog, "facts").replaceChildren(...factsOf(row).flatMap(factRow));
  const undo = [
    on(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    on(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

function factsOf(row) {
  const facts = [
    ["Time", dateTime(row.timestamp)],
    ["Quantity", plainNumber(row.qty)],
    ["Filled at", plainNumber(row.price)],
    ["Value", `${plainNumber(row.usdt_value)} USDT`],
  ];
  if (isConfigured(row)) facts.push(["Window volume", plainNumber(row.window_volume)], ["Threshold", plainNumber(row.threshold)]);
  for (const [name, value] of Object.entries(row.numbers ?? {})) {
    if (!SHOWN_ABOVE.has(name)) facts.push(numberFact(name, value));
  }
  if (row.client_order_id) facts.push(["Order", row.client_order_id]);
  return facts;
}

function numberFact(name, value) {
  const [label, unit] = NUMBERS[name] ?? [humanize(name), ""];
  if (Number.isNaN(toNumber(value))) return [label, String(value ?? "—")];
  const text = name.endsWith("_ms") ? plainNumber(toNumber(value) / 1000) : plainNumber(value);
  return [label, unit ? `${text} ${unit}` : text];
}
