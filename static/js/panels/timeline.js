// One trade from its cause to its end: liquidation, decision, orders, fills, exit.

import { closesOutside, factRow } from "../lib/dialogs.js";
import { fill, listen, patchRows, setTone, slot } from "../lib/dom.js";
import { clockTime, exact, signed, tone, words } from "../lib/format.js";

const TONES = { liquidation: "warn", decision: "accent", order: "flat", fill: "gain", protection: "gain", position: "special" };

/** Fetch and open the dialog of one trade. */
export async function showTrade(api, tell, trade) {
  let details;
  try {
    details = await api.get(`/api/trades/${encodeURIComponent(trade.id)}`);
  } catch (error) {
    tell("error", `The trade's timeline could not be read: ${error.message}`);
    return;
  }
  const dialog = document.getElementById("trade");
  fill(dialog, { title: `${details.symbol}, ${words(details.role ?? details.order_type).toLowerCase()}`, fault: "" });
  slot(dialog, "facts").replaceChildren(...factsOf(details).map(asCell));
  patchRows(slot(dialog, "timeline"), eventsOf(details), { templateName: "timeline-item", keyOf: keyOf, paint: paintItem });
  const undo = [
    listen(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    listen(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

const keyOf = (event) => `${event.at}:${event.what}:${event.detail}`;

function factsOf({ pnl_breakdown: pnl = {}, qty, avg_price, price, status }) {
  return [
    ["Status", words(status)],
    ["Quantity", exact(qty)],
    ["Price", exact(avg_price || price)],
    ["Realised", signed(pnl.realized_pnl, 4), tone(pnl.realized_pnl)],
    ["Fees", signed(pnl.commission, 4)],
    ["Funding", signed(pnl.funding_fee, 4)],
    ["Net", signed(pnl.net_pnl ?? pnl.total_pnl, 4), tone(pnl.net_pnl ?? pnl.total_pnl)],
  ];
}

function asCell(fact) {
  const cell = document.createElement("div");
  cell.append(...factRow(fact));
  return cell;
}

/** The server's timeline; where it gives none, the order and its relatives by time. */
function eventsOf(details) {
  if (details.timeline?.length) return details.timeline.map(asEvent);
  return [details, ...(details.related_trades ?? [])]
    .sort((one, other) => one.timestamp - other.timestamp)
    .map((trade) => ({
      at: trade.timestamp,
      kind: trade.status === "FILLED" ? "fill" : "order",
      what: `${words(trade.role ?? trade.order_type)} ${words(trade.status).toLowerCase()}`,
      detail: `${trade.side} ${exact(trade.filled_qty || trade.qty)} at ${exact(trade.avg_price || trade.price)}`,
    }));
}

const asEvent = ({ at, kind, title, text, detail }) => ({ at, kind, what: title ?? words(kind), detail: text ?? detail ?? "" });

function paintItem(item, { at, kind, what, detail }) {
  fill(item, { time: clockTime(at), what, detail });
  setTone(slot(item, "dot"), TONES[kind] ?? "flat");
}
