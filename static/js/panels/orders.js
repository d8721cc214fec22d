// Open orders by purpose: entries, protective orders, closing orders, and external orders.

import { confirm } from "../lib/dialogs.js";
import { fill, patchRows, setText, setTitle, setTone, show, slot, combine } from "../lib/dom.js";
import { toNumber, plainNumber, span, humanize } from "../lib/format.js";

const PURPOSES = {
  entry: ["Entry", "accent"],
  protective: ["Protective", "gain"],
  close: ["Close", "warn"],
  external: ["External", "flat"],
};

export function mount(panel, store, { count, commands }) {
  const paint = () => {
    const orders = store.get("orders");
    if (!orders) return;
    setText(count, orders.length);
    patchRows(slot(panel, "rows"), orders, {
      templateName: "order-row",
      keyOf: (order) => order.client_order_id || order.order_id,
      paint: (row, order) => paintRow(row, order, store, commands),
    });
    show(panel.querySelector("table"), orders.length > 0);
    show(slot(panel, "empty"), orders.length === 0);
  };
  return combine(...["orders", "now", "controls", "pending"].map((name) => store.subscribe(name, paint)));
}

function paintRow(row, order, store, commands) {
  const [word, tone] = PURPOSES[order.purpose] ?? [humanize(order.purpose), "flat"];
  const isTriggered = toNumber(order.stop_price) > 0;
  fill(row, {
    symbol: order.symbol,
    purpose: order.role && order.purpose === "protective" ? humanize(order.role) : word,
    side: order.side,
    type: humanize(order.type),
    quantity: toNumber(order.quantity) > 0 ? plainNumber(order.quantity) : "whole position",
    filled: toNumber(order.filled_quantity) > 0 ? plainNumber(order.filled_quantity) : "—",
    price: isTriggered ? plainNumber(order.stop_price) : plainNumber(order.price),
    status: humanize(order.status),
    age: span(order.created_at ? store.get("now") - order.created_at : null),
  });
  setTone(slot(row, "purpose"), tone);
  setTone(slot(row, "side"), order.side === "BUY" ? "gain" : "loss");
  paintAct(row, order, store, commands);
}

/** Only entries can be cancelled: protective and external orders stay. */
function paintAct(row, order, store, commands) {
  const { enabled, reason } = store.get("controls") ?? {};
  const key = `cancel:${order.client_order_id}`;
  const isPending = store.get("pending")?.has(key) ?? false;
  const button = slot(row, "cancel");
  show(button, order.purpose === "entry");
  button.disabled = !enabled || isPending;
  button.classList.toggle("is-pending", isPending);
  setText(button, isPending ? "Pending" : "Cancel");
  setTitle(button, reason);
  button.onclick = () => cancel(key, order, commands);
}

async function cancel(key, order, commands) {
  const name = `Cancel entry ${order.symbol} ${order.side}`;
  const agreed = await confirm({
    title: `${name}?`,
    lead: "The part already filled stays open, protected by its stop loss.",
    facts: [
      ["Symbol", order.symbol],
      ["Side", order.side],
      ["Quantity", plainNumber(order.quantity)],
      ["Filled", plainNumber(order.filled_quantity)],
      ["Price", plainNumber(order.price)],
    ],
    action: "cancel entry",
  });
  const command = { action: "cancel_entry", client_order_id: order.client_order_id };
  if (agreed) commands.send(key, name, "/api/control", command);
}
