// How a verdict reads: the word on its chip, its tone, and the numbers behind it.

import { closesOutside, factRow } from "../lib/dialogs.js";
import { on, fill, setText, setTone, slot } from "../lib/dom.js";
import { dateTime, toNumber, plainNumber, humanize } from "../lib/format.js";

const GATES = {
  configured: ["Not configured", "flat"],
  trading_state: ["Entries paused", "warn"],
  fresh_event: ["Too late", "warn"],
  trade_side: ["Other side only", "flat"],
  threshold: ["Below threshold", "flat"],
  cooldown: ["Cooling down", "accent"],
  price_deviation: ["Off the mark", "warn"],
  fresh_quote: ["No fresh quote", "warn"],
  open_orders: ["Orders at limit", "warn"],
  position_cap: ["Position cap", "warn"],
  total_cap: ["Total cap", "warn"],
  margin: ["Not enough margin", "loss"],
  min_notional: ["Too small", "warn"],
  stop_inside_liquidation: ["Stop beyond liq.", "loss"],
  rate_budget: ["Rate budget", "warn"],
};

/** A stored verdict, or the lack of one: a symbol that is not configured has no threshold. */
export const isConfigured = (row) => row.threshold !== null && row.threshold !== undefined;
export const isEntry = (row) => !row.gate && Boolean(row.client_order_id);

/** The window had reached its threshold: without the gate that refused, it would have been an entry. */
export const wouldTrade = (row) => isEntry(row) || toNumber(row.window_volume) >= toNumber(row.threshold);

export function verdictOf(row) {
  if (isEntry(row)) return { word: "Entry", tone: "gain", reason: row.reason || "An entry was sent." };
  if (!row.gate && !isConfigured(row)) {
    return { word: "Not configured", tone: "flat", reason: "This symbol is not in the settings." };
  }
  if (!row.gate) return { word: "Not judged", tone: "flat", reason: "It arrived while the bot was not judging." };
  const [word, tone] = GATES[row.gate] ?? [humanize(row.gate), "warn"];
  return { word, tone, reason: row.reason };
}

export function paintChip(chip, row) {
  const { word, tone, reason } = verdictOf(row);
  setText(chip, word);
  setTone(chip, tone);
  chip.title = reason ?? "";
}

/** Who was liquidated: a forced SELL ends a long. */
export const liquidatedSide = (row) => (row.side === "SELL" ? "Long" : "Short");

/** Open the dialog that tells one verdict with its numbers. */
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
    ["At", dateTime(row.timestamp)],
    ["Quantity", plainNumber(row.qty)],
    ["Filled at", plainNumber(row.price)],
    ["Value", `${plainNumber(row.usdt_value)} USDT`],
  ];
  if (isConfigured(row)) facts.push(["Window sum", plainNumber(row.window_volume)], ["Threshold", plainNumber(row.threshold)]);
  for (const [name, value] of Object.entries(row.numbers ?? {})) {
    facts.push([humanize(name), Number.isNaN(toNumber(value)) ? String(value ?? "—") : plainNumber(value)]);
  }
  if (row.client_order_id) facts.push(["Order", row.client_order_id]);
  return facts;
}
