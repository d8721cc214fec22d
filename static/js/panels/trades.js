// Trades: one row per order that filled, each with a button for its timeline.

import { fill, patchRows, setText, setTone, show, slot } from "../lib/dom.js";
import { clockTime, date, dateTime, toNumber, notIncluded, plainNumber, signed, tone, humanize } from "../lib/format.js";
import { showTrade } from "./timeline.js";

const STATUS_TONES = {
  FILLED: "gain",
  PARTIALLY_FILLED: "accent",
  SIMULATED: "special",
  REJECTED: "loss",
  PENDING_NEW: "warn",
};

export function mount(panel, store, { api, notify }) {
  return store.subscribe("trades", (trades) => {
    patchRows(slot(panel, "rows"), trades, {
      templateName: "trade-row",
      keyOf: (trade) => trade.id,
      paint: (row, trade) => paintRow(row, trade, () => showTrade(api, notify, trade)),
    });
    show(panel.querySelector("table"), trades.length > 0);
    show(slot(panel, "export"), trades.length > 0);
    show(slot(panel, "empty"), trades.length === 0);
  });
}

function paintRow(row, trade, open) {
  const isToday = date(trade.timestamp) === date(Date.now());
  fill(row, {
    time: isToday ? clockTime(trade.timestamp) : dateTime(trade.timestamp),
    symbol: trade.symbol,
    type: humanize(trade.role),
    side: trade.side,
    quantity: plainNumber(toNumber(trade.filled_qty) > 0 ? trade.filled_qty : trade.qty),
    price: plainNumber(toNumber(trade.avg_price) > 0 ? trade.avg_price : trade.price),
    status: humanize(trade.status),
  });
  setTone(slot(row, "side"), trade.side === "BUY" ? "gain" : "loss");
  setTone(slot(row, "status"), STATUS_TONES[trade.status] ?? "flat");
  for (const [name, value] of [
    ["realized", trade.realized_pnl],
    ["net", trade.net_pnl],
  ]) {
    setText(slot(row, name), signed(value, 4));
    setTone(slot(row, name), tone(value));
  }
  setText(slot(row, "fee"), `${signed(trade.fee, 4)}${notIncluded(trade.not_included)}`);
  slot(row, "details").onclick = open;
}
