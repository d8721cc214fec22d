// The liquidation feed: each liquidation with its window volume, the threshold, and the verdict.

import { fill, patchRows, setFill, setText, setTone, show, slot, combine } from "../lib/dom.js";
import { clockTime, compact, dateTime, toNumber } from "../lib/format.js";
import { makeSegments } from "../lib/tabs.js";
import { isConfigured, isEntry, paintChip, showVerdict, verdictOf, liquidatedSide, wouldTrade } from "./verdicts.js";

const MAX_ROWS = 120;
const FILTERS = {
  configured: [isConfigured, "No liquidations of your symbols yet. “All” shows the whole market."],
  trade: [(row) => isConfigured(row) && wouldTrade(row), "No threshold has been reached yet."],
  all: [() => true, "No liquidations yet. In a quiet market this can take a few minutes."],
};

export function mount(panel, store) {
  let filter = "configured";
  const paint = () => {
    const rows = store.get("liquidations");
    if (!rows) return;
    const [accepts, emptyText] = FILTERS[filter];
    const shown = rows.filter(accepts).slice(0, MAX_ROWS);
    patchRows(slot(panel, "rows"), shown, { templateName: "feed-row", keyOf: (row) => row.id, paint: paintRow });
    setText(slot(panel, "empty"), emptyText);
    show(slot(panel, "empty"), shown.length === 0);
  };
  return combine(
    store.subscribe("liquidations", paint),
    makeSegments(slot(panel, "filters"), (button) => {
      filter = button.dataset.filter;
      paint();
    }),
  );
}

function paintRow(element, row) {
  const share = toNumber(row.window_volume) / toNumber(row.threshold);
  fill(element, {
    symbol: row.symbol,
    side: `${row.side === "SELL" ? "▼" : "▲"} ${liquidatedSide(row)} liquidated`,
    value: `$${compact(row.usdt_value)}`,
    time: clockTime(row.timestamp),
    sum: isConfigured(row) ? `${compact(row.window_volume)} of ${compact(row.threshold)}` : "",
  });
  slot(element, "time").title = dateTime(row.timestamp);
  setTone(slot(element, "side"), row.side === "SELL" ? "loss" : "gain");
  setFill(slot(element, "bar"), share);
  setTone(slot(element, "bar"), share >= 1 ? verdictTone(row) : "accent");
  show(slot(element, "bar"), isConfigured(row));
  paintChip(slot(element, "chip"), row);
  slot(element, "chip").onclick = () => showVerdict(row);
  element.classList.toggle("is-entry", isEntry(row));
}

const verdictTone = (row) => (verdictOf(row).tone === "flat" ? "accent" : verdictOf(row).tone);
