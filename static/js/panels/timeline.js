// The timeline of one trade: liquidation, decision, orders, fills, exit.

import { closesOutside, factRow } from "../lib/dialogs.js";
import { fill, on, patchRows, setTone, slot } from "../lib/dom.js";
import { clockTime, notIncluded, plainNumber, signed, tone, humanize } from "../lib/format.js";

const TONES = {
  liquidation: "warn",
  decision: "accent",
  order: "flat",
  fill: "gain",
  protection: "gain",
  position: "special",
};

/** Fetch one trade and open its dialog. */
export async function showTrade(api, notify, trade) {
  let details;
  try {
    details = await api.get(`/api/trades/${encodeURIComponent(trade.id)}`);
  } catch (error) {
    notify("error", `Could not load the timeline: ${error.message}`);
    return;
  }
  const dialog = document.getElementById("trade");
  fill(dialog, { title: `${details.symbol}, ${humanize(details.role).toLowerCase()}` });
  slot(dialog, "facts").replaceChildren(...factsOf(details).map(asCell));
  patchRows(slot(dialog, "timeline"), details.timeline, { templateName: "timeline-item", keyOf, paint: paintItem });
  const undo = [
    on(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    on(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

const keyOf = (event) => `${event.at}:${event.title}:${event.text}`;

function factsOf({ pnl_breakdown: pnl, qty, avg_price, price, status }) {
  return [
    ["Status", humanize(status)],
    ["Quantity", plainNumber(qty)],
    ["Price", plainNumber(avg_price || price)],
    ["Realised", signed(pnl.realized_pnl, 4), tone(pnl.realized_pnl, 4)],
    ["Fees", `${signed(pnl.commission, 4)}${notIncluded(pnl.not_included)}`],
    ["Funding", signed(pnl.funding_fee, 4)],
    ...(pnl.has_manual_trades ? [["Manual trades", "included"]] : []),
    ["Net", signed(pnl.net_pnl, 4), tone(pnl.net_pnl, 4)],
  ];
}

function asCell(fact) {
  const cell = document.createElement("div");
  cell.append(...factRow(fact));
  return cell;
}

function paintItem(item, { at, kind, title, text }) {
  fill(item, { time: clockTime(at), what: title, detail: text });
  setTone(slot(item, "dot"), TONES[kind] ?? "flat");
}
