// How a verdict reads: the word on its chip, its tone, and the numbers behind it.

import { closesOutside, factRow } from "../lib/dialogs.js";
import { listen, fill, setText, setTone, slot } from "../lib/dom.js";
import { dateTime, drawn, exact, words } from "../lib/format.js";

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
export const wouldTrade = (row) => isEntry(row) || drawn(row.window_volume) >= drawn(row.threshold);

export function verdictOf(row) {
  if (isEntry(row)) return { word: "Entry", tone: "gain", reason: row.reason || "An entry was sent." };
  if (!row.gate && !isConfigured(row)) {
    return { word: "Not configured", tone: "flat", reason: "This symbol is not in the settings." };
  }
  if (!row.gate) return { word: "Not judged", tone: "flat", reason: "It arrived while the bot was not judging." };
  const [word, tone] = GATES[row.gate] ?? [words(row.gate), "warn"];
  return { word, tone, reason: row.reason };
}

export function paintChip(chip, row) {
  const { word, tone, reason } = verdictOf(row);
  setText(chip, word);
  setTone(chip, tone);
  chip.title = reason ?? "";
}

/** Who was liquidated: a forced SELL ends a long. */
export const victimOf = (row) => (row.side === "SELL" ? "Long" : "Short");

/** Open the dialog that tells one verdict with its numbers. */
export function showVerdict(row) {
  const dialog = document.getElementById("verdict");
  const { reason } = verdictOf(row);
  fill(dialog, { title: `${row.symbol}: ${victimOf(row).toLowerCase()} liquidated`, reason: reason ?? "" });
  paintChip(slot(dialog, "chip"), row);
  slot(dialog, "facts").replaceChildren(...factsOf(row).flatMap(factRow));
  const undo = [
    listen(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    listen(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

function factsOf(row) {
  const facts = [
    ["At", dateTime(row.timestamp)],
    ["Quantity", exact(row.qty)],
    ["Filled at", exact(row.price)],
    ["Value", `${exact(row.usdt_value)} USDT`],
  ];
  if (isConfigured(row)) facts.push(["Window sum", exact(row.window_volume)], ["Threshold", exact(row.threshold)]);
  for (const [name, value] of Object.entries(row.numbers ?? {})) {
    facts.push([words(name), Number.isNaN(drawn(value)) ? String(value ?? "—") : exact(value)]);
  }
  if (row.client_order_id) facts.push(["Order", row.client_order_id]);
  return facts;
}
