// The status bar: mode, trading state, and the health of the connections.

import { confirm } from "../lib/dialogs.js";
import { fill, on, setText, setTitle, setTone, show, slot, combine } from "../lib/dom.js";
import { capitalize, toNumber, plainNumber, signed, size, span, tone, MODE_TONES } from "../lib/format.js";

/** The label and tone of each trading state. */
export const STATES = { ACTIVE: ["Running", "gain"], REDUCE_ONLY: ["Paused", "warn"], HALTED: ["Halted", "loss"] };
const PAGE_STATES = { live: "live", refused: "every few seconds" };
const REFUSED = "Too many pages are open: this one updates every few seconds. Close some of them.";
const MARKET_STALE_MS = 30_000;
const MAX_CLOCK_OFFSET_MS = 1_000;

/** @param banner the line below the bar that shows why the buttons are disabled. */
export function mount(bar, store, { banner, commands }) {
  const paint = () => {
    const health = store.get("health");
    if (!health) return setText(slot(bar, "state"), store.get("controls")?.reason ? "Unknown" : "Connecting");
    paintMode(bar, health);
    paintTradingState(bar, store);
    paintConnections(bar, store);
    paintActs(bar, store);
  };
  return combine(
    ...["health", "now", "pending", "stream"].map((name) => store.subscribe(name, paint)),
    store.subscribe("controls", (controls) => {
      show(banner, Boolean(controls.reason));
      setText(banner, controls.reason ?? "");
      setTone(banner, controls.level);
      paint();
    }),
    on(slot(bar, "pause"), "click", () => switchEntries(store, commands)),
    on(slot(bar, "flatten"), "click", () => flatten(store, commands)),
  );
}

function paintMode(bar, { mode }) {
  setText(slot(bar, "mode"), mode);
  setTone(slot(bar, "mode"), MODE_TONES[mode] ?? "warn");
  document.title = `${mode} · Liquidation Hunter`;
}

function paintTradingState(bar, store) {
  const { trading_state: state, trading_state_reason: reason } = store.get("health");
  const isKnown = store.get("controls")?.enabled;
  const [word, tint] = isKnown ? (STATES[state] ?? [state ?? "Unknown", "warn"]) : ["Unknown", "warn"];
  fill(bar, { state: word, reason: isKnown ? capitalize(reason ?? "") : "" });
  setTitle(slot(bar, "reason"), capitalize(reason ?? ""));
  setTone(slot(bar, "dot"), tint);
}

function paintConnections(bar, store) {
  const { market_stream, user_stream, api_weight, clock_offset_ms, bot } = store.get("health");
  const now = store.get("now");
  const marketAge = ageAt(now, market_stream?.last_event_at);
  const weight = toNumber(api_weight?.used) / toNumber(api_weight?.limit);
  const stream = store.get("stream");
  setConnection(bar, "market", marketAge === null ? "no data yet" : span(marketAge), marketAge > MARKET_STALE_MS);
  setConnection(bar, "user", user_stream?.state ?? "—", !["up", "live", "off"].includes(user_stream?.state ?? "off"));
  const hasWeight = Number.isFinite(weight);
  setConnection(bar, "weight", hasWeight ? `${plainNumber(api_weight.used)} / ${plainNumber(api_weight.limit)}` : "—", weight > 0.7);
  setConnection(bar, "clock", clock_offset_ms === null ? "—" : `${signed(clock_offset_ms, 0)} ms`, Math.abs(clock_offset_ms) > MAX_CLOCK_OFFSET_MS);
  setConnection(bar, "bot", bot?.heartbeat_at ? span(ageAt(now, bot.heartbeat_at)) : "—", !store.get("controls")?.enabled);
  setConnection(bar, "page", PAGE_STATES[stream] ?? "reconnecting", stream !== "live");
  setTitle(slot(bar, "page"), stream === "refused" ? REFUSED : "");
}

const ageAt = (now, at) => (at ? now - at : null);

function setConnection(bar, name, text, isBad) {
  setText(slot(bar, name), text);
  setTone(slot(bar, name), isBad ? "warn" : "flat");
}

/** Whether entries are stopped by the operator, so that they can be resumed. */
const areEntriesStopped = ({ operator }) => operator.paused || operator.halted;

function paintActs(bar, store) {
  const health = store.get("health");
  const { enabled, reason } = store.get("controls") ?? {};
  const pending = store.get("pending") ?? new Map();
  const pause = slot(bar, "pause");
  setText(pause, pending.has("entries") ? "Pending" : areEntriesStopped(health) ? "Resume entries" : "Pause entries");
  setText(slot(bar, "flatten"), pending.has("flatten") ? "Closing" : "Close all");
  for (const [button, key] of [
    [pause, "entries"],
    [slot(bar, "flatten"), "flatten"],
  ]) {
    button.disabled = !enabled || pending.has(key);
    button.classList.toggle("is-pending", pending.has(key));
    setTitle(button, reason);
  }
}

function switchEntries(store, commands) {
  const action = areEntriesStopped(store.get("health")) ? "resume" : "pause";
  const name = action === "resume" ? "Resume entries" : "Pause entries";
  commands.send("entries", name, "/api/control", { action });
}

function closeAllTitle(count) {
  if (count === 0) return "Pause and cancel all open entries?";
  return count === 1 ? "Close 1 position?" : `Close all ${count} positions?`;
}

async function flatten(store, commands) {
  const ours = (store.get("positions") ?? []).filter((position) => position.protection !== "external");
  const total = ours.reduce((sum, position) => sum + (toNumber(position.unrealizedPnl) || 0), 0);
  const agreed = await confirm({
    title: closeAllTitle(ours.length),
    lead: ours.length
      ? "Pauses entries, cancels open entries, and closes these positions at market:"
      : "The bot has no open position.",
    facts: [
      ...ours.map((position) => [
        `${position.symbol} ${position.side} ${size(position.positionAmt)}`,
        `${signed(position.unrealizedPnl)} USDT`,
        tone(position.unrealizedPnl),
      ]),
      ["Estimated PnL before fees", `${signed(total)} USDT`, tone(total)],
    ],
    note: "External positions, which the bot did not open, are not touched.",
    action: "close all",
    hold: true,
  });
  if (agreed) commands.send("flatten", "Close all", "/api/control", { action: "flatten" });
}
