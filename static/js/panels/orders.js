// Open orders, by purpose: ours that open, ours that protect, and those of somebody else.

import { confirm } from "../lib/dialogs.js";
import { fill, patchRows, setText, setTitle, setTone, show, slot, together } from "../lib/dom.js";
import { drawn, exact, span, words } from "../lib/format.js";

const PURPOSES = {
  entry: ["Entry", "accent"],
  protective: ["Protective", "gain"],
  close: ["Close", "warn"],
  foreign: ["Not ours", "flat"],
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
  return together(...["orders", "now", "controls", "pending"].map((name) => store.subscribe(name, paint)));
}

function paintRow(row, order, store, commands) {
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
    age: span(order.created_at ? store.get("now") - order.created_at : null),
  });
  setTone(slot(row, "purpose"), tone);
  setTone(slot(row, "side"), order.side === "BUY" ? "gain" : "loss");
  paintAct(row, order, store, commands);
}

/** Entries alone can be taken back: what protects a position stays, and what is not ours is not touched. */
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
  const name = `Cancel the entry ${order.symbol} ${order.side}`;
  const agreed = await confirm({
    title: `${name}?`,
    lead: "What has been filled already stays a protected position.",
    facts: [
      ["Symbol", order.symbol],
      ["Side", order.side],
      ["Quantity", exact(order.quantity)],
      ["Filled", exact(order.filled_quantity)],
      ["Price", exact(order.price)],
    ],
    action: "cancel the entry",
  });
  const wish = { action: "cancel_entry", client_order_id: order.client_order_id };
  if (agreed) commands.send(key, name, "/api/control", wish);
}
