// Open positions: size, result, liquidation price, and protection.

import { confirm } from "../lib/dialogs.js";
import { fill, patchRows, setText, setTitle, setTone, show, slot, combine } from "../lib/dom.js";
import {
  arrow,
  clockTime,
  toNumber,
  plainNumber,
  money,
  percent,
  roughPrice,
  signed,
  signedPercent,
  size,
  span,
  tone,
} from "../lib/format.js";
import { isConfigured, paintChip, verdictOf } from "./verdicts.js";

const STALE_MS = 15_000;
const NEAR_LIQUIDATION_PCT = 3;
const LAST_VERDICTS = 20;
const EXTERNAL_NOTE = "Not opened by the bot, so the bot does not manage it.";
const PROTECTIONS = {
  ok: ["Protected", "gain", "A stop loss at the exchange covers the whole position."],
  pending: ["Pending", "warn", "The stop loss has been sent; the exchange has not confirmed it yet."],
  missing: ["MISSING", "loss", "No stop loss at the exchange. Place one there or close the position; the bot keeps trying."],
  disabled: ["Stop disabled", "warn", "The stop loss of this symbol is disabled in the settings."],
  external: ["External", "flat", EXTERNAL_NOTE],
};

export function mount(panel, store, { count, commands }) {
  const body = slot(panel, "rows");
  const paint = () => {
    const positions = store.get("positions");
    if (!positions) return;
    setText(count, positions.length);
    patchRows(body, positions, {
      templateName: "position-row",
      keyOf: (position) => `${position.symbol}:${position.positionSide}`,
      paint: (row, position) => paintRow(row, position, store, commands),
    });
    show(panel.querySelector("table"), positions.length > 0);
    show(slot(panel, "empty"), positions.length === 0);
    if (!positions.length) paintEmpty(panel, store);
  };
  const names = ["positions", "now", "controls", "pending", "liquidations"];
  return combine(...names.map((name) => store.subscribe(name, paint)));
}

function paintRow(row, position, store, commands) {
  fill(row, {
    symbol: position.symbol,
    side: `${position.side === "LONG" ? "▲" : "▼"} ${position.side}`,
    margin: `${position.leverage}× ${position.marginType}`,
    size: size(position.positionAmt),
    notional: `${money(position.positionValue ?? position.notional)} USDT`,
    entry: plainNumber(position.entryPrice),
    mark: roughPrice(position.markPrice),
  });
  setTone(slot(row, "side"), position.side === "LONG" ? "gain" : "loss");
  paintLiquidation(row, position);
  paintResult(row, position);
  paintProtection(row, position);
  paintAge(row, position, store.get("now"));
  paintActs(row, position, store, commands);
}

function paintLiquidation(row, { liquidationPrice: price, liquidationDistancePct: distance }) {
  const hasPrice = toNumber(price) > 0;
  fill(row, {
    liquidation: hasPrice ? roughPrice(price) : "none",
    distance: hasPrice && distance !== null ? distanceText(distance) : "",
  });
  setTone(slot(row, "distance"), hasPrice && toNumber(distance) < NEAR_LIQUIDATION_PCT ? "loss" : "flat");
}

const distanceText = (share) => (toNumber(share) > 100 ? "over 100 %" : `${percent(share, 1)} away`);

function paintResult(row, position) {
  const { unrealizedPnl: pnl, unrealizedPnlPct: share } = position;
  fill(row, { pnl: `${arrow(pnl)} ${signed(pnl)}`.trim(), "pnl-pct": signedPercent(share) });
  for (const name of ["pnl", "pnl-pct"]) setTone(slot(row, name), tone(pnl));
  setTitle(slot(row, "pnl-pct"), "Percent of the margin");
}

function paintProtection(row, { takeProfitPrice, stopLossPrice, protection }) {
  const [word, tint, why] = PROTECTIONS[protection] ?? [protection ?? "Unknown", "warn", ""];
  fill(row, {
    "take-profit": `TP ${plainNumber(takeProfitPrice)}`,
    "stop-loss": `SL ${plainNumber(stopLossPrice)}`,
    protection: word,
  });
  setTone(slot(row, "take-profit"), takeProfitPrice ? "gain" : "flat");
  setTone(slot(row, "stop-loss"), stopLossPrice ? "loss" : "flat");
  setTone(slot(row, "protection"), tint);
  setTitle(slot(row, "protection"), why);
}

function paintAge(row, { opened_at: openedAt, as_of: asOf }, now) {
  const isStale = Boolean(asOf) && now - asOf > STALE_MS;
  fill(row, { age: span(openedAt ? now - openedAt : null), "as-of": isStale ? `, updated ${span(now - asOf)} ago` : "" });
  row.classList.toggle("is-stale", isStale);
}

function paintActs(row, position, store, commands) {
  const { enabled, reason } = store.get("controls") ?? {};
  const key = `close:${position.symbol}:${position.side}`;
  const isPending = store.get("pending")?.has(key) ?? false;
  const isExternal = position.protection === "external";
  for (const [name, fraction] of [
    ["close", "1"],
    ["half", "0.5"],
  ]) {
    const button = slot(row, name);
    button.disabled = !enabled || isPending || isExternal;
    button.onclick = () => close(key, position, fraction, commands);
    setTitle(button, isExternal ? EXTERNAL_NOTE : reason);
  }
  slot(row, "close").classList.toggle("is-pending", isPending);
  setText(slot(row, "close"), isPending ? "Pending" : "Close");
}

async function close(key, position, fraction, commands) {
  const share = Number(fraction);
  const part = Math.abs(toNumber(position.positionAmt) * share);
  const result = toNumber(position.unrealizedPnl) * share;
  const verb = share === 1 ? "Close" : "Close half of";
  const agreed = await confirm({
    title: `${verb} ${position.symbol} ${position.side}?`,
    lead: "A market order is sent at once.",
    facts: [
      ["Symbol", position.symbol],
      ["Side", position.side],
      ["Size", share === 1 ? size(position.positionAmt) : `about ${plainNumber(part)} of ${size(position.positionAmt)}`],
      ["Mark price", roughPrice(position.markPrice)],
      ["Estimated PnL before fees", `${signed(result)} USDT`, tone(result)],
    ],
    action: share === 1 ? "close position" : "close half",
  });
  if (!agreed) return;
  const path = `/api/positions/${encodeURIComponent(position.symbol)}/${position.side}/close`;
  commands.send(key, `${verb} ${position.symbol} ${position.side}`, path, { fraction });
}

/** Without a position, show the last verdicts, which say why. */
function paintEmpty(panel, store) {
  const rows = (store.get("liquidations") ?? []).filter(isConfigured).slice(0, LAST_VERDICTS);
  fill(panel, { why: whyEmpty(rows.length) });
  patchRows(slot(panel, "verdicts"), rows, {
    templateName: "verdict-item",
    keyOf: (row) => row.id,
    paint: (item, row) => {
      fill(item, { time: clockTime(row.timestamp), symbol: row.symbol, reason: verdictOf(row).reason });
      paintChip(slot(item, "chip"), row);
    },
  });
}

function whyEmpty(count) {
  if (!count) return "No liquidations of your symbols yet.";
  return count === 1 ? "The last decision and its reason:" : `The last ${count} decisions and their reasons:`;
}
