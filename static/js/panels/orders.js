// Open orders, by purpose: ours that open, ours that protect, and those of somebody else.

import { fill, patchRows, setText, setTone, show, slot, together } from "../lib/dom.js";
import { drawn, exact, span, words } from "../lib/format.js";

const PURPOSES = {
  entry: ["Entry", "accent"],
  protective: ["Protective", "gain"],
  close: ["Close", "warn"],
  foreign: ["Not ours", "flat"],
};

export function mount(panel, store, { count }) {
  const paint = () => {
    const orders = store.get("orders");
    if (!orders) return;
    setText(count, orders.length);
    patchRows(slot(panel, "rows"), orders, {
      templateName: "order-row",
      keyOf: (order) => order.client_order_id || order.order_id,
      paint: (row, order) => paintRow(row, order, store.get("now")),
    });
    show(panel.querySelector("table"), orders.length > 0);
    show(slot(panel, "empty"), orders.length === 0);
  };
  return together(store.subscribe("orders", paint), store.subscribe("now", paint));
}

function paintRow(row, order, now) {
  const [word, tone] = PURPOSES[order.purpose] ?? [words(order.purpose), "flat"];
  const isTriggered = drawn(order.stop_price) > 0;
  fill(row, {
    symbol: order.symbol,
    purpose: order.role && order.purpose === "protective" ? words(order.role) : word,
    side: order.side,
    type: words(order.type),
    quantity: drawn(order.quantity) > 0 ? exact(order.quantity) : "whole position",
    filled: drawn(order.filled_quantity) > 0 ? exact(order.filled_quantity) : "—",
    price: isTriggered ? exact(order.stop_price) : exact(order.price),
    status: words(order.status),
    age: span(order.created_at ? now - order.created_at : null),
  });
  setTone(slot(row, "purpose"), tone);
  setTone(slot(row, "side"), order.side === "BUY" ? "gain" : "loss");
}
