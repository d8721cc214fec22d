// The price of one symbol, with the liquidations that moved it and what we did about them.

import { createCandleChart } from "../lib/candles.js";
import { create, listen, setText, show, slot, together } from "../lib/dom.js";
import { drawn } from "../lib/format.js";
import { candleWords } from "../lib/painting.js";
import { makeSegments } from "../lib/tabs.js";

const INTERVALS = { "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000 };
const SMALLEST_RING = 2.5;
const LARGEST_RING = 11;
const MOST_MARKS = 250;
const LONGEST_NAME = 40;

/** @param onChoose hears {symbol, interval}: the candles of that choice are wanted. */
export function mount(panel, store, { onChoose }) {
  const picker = slot(panel, "symbol");
  let choice = { symbol: null, interval: "1m" };
  const chart = createCandleChart(slot(panel, "canvas"), {
    onHover: (candle) => setText(slot(panel, "words"), candle ? candleWords(candle) : ""),
  });

  function choose(news) {
    choice = { ...choice, ...news };
    chart.latest();
    store.set("candles", []);
    store.set("chart", { liquidations: [], fills: [], positions: [] });
    onChoose(choice);
  }

  const paint = () => {
    const candles = (store.get("candles") ?? []).map(asCandle);
    show(slot(panel, "empty"), candles.length === 0);
    setText(slot(panel, "empty"), store.get("fault:candles")?.message ?? "Waiting for candles.");
    chart.show({
      candles,
      intervalMs: INTERVALS[choice.interval],
      lines: linesOf(store.get("chart")?.positions ?? [], candles.at(-1)),
      marks: [
        ...liquidationMarks(store.get("chart")?.liquidations ?? []),
        ...fillMarks(store.get("chart")?.fills ?? []),
      ],
    });
  };

  const offer = () => {
    const symbols = namesOf(store);
    if (!symbols.length || sameNames(picker, symbols)) return;
    const chosen = symbols.includes(choice.symbol) ? choice.symbol : symbols[0];
    picker.replaceChildren(...symbols.map((name) => create("option", { value: name }, name)));
    picker.value = chosen;
    if (chosen !== choice.symbol) choose({ symbol: chosen });
  };

  const shown = ["candles", "fault:candles", "chart"];
  return together(
    chart.undo,
    ...shown.map((name) => store.subscribe(name, paint)),
    ...["config", "positions"].map((name) => store.subscribe(name, offer)),
    store.subscribe("theme", chart.redraw),
    listen(picker, "change", () => choose({ symbol: picker.value })),
    makeSegments(slot(panel, "intervals"), (button) => choose({ interval: button.textContent })),
  );
}

/** Symbols worth a chart: those held first, then those configured; no symbol has a longer name than the server takes. */
function namesOf(store) {
  const held = (store.get("positions") ?? []).map((position) => position.symbol);
  const names = store.get("config") ? [...held, ...Object.keys(store.get("config").symbols)] : [];
  return [...new Set(names)].filter((name) => name.length <= LONGEST_NAME);
}

const sameNames = (picker, names) => names.join("\n") === [...picker.options].map((option) => option.value).join("\n");

function asCandle([openAt, open, high, low, close, volume]) {
  return { openAt, open: drawn(open), high: drawn(high), low: drawn(low), close: drawn(close), volume: drawn(volume) };
}

function linesOf(held, lastCandle) {
  const lines = held.flatMap((position) => [
    { price: drawn(position.entryPrice), label: `${position.side} entry`, tone: "accent", dashed: true },
    { price: drawn(position.takeProfitPrice), label: "Take profit", tone: "gain", dashed: true },
    { price: drawn(position.stopLossPrice), label: "Stop loss", tone: "loss", dashed: true },
    { price: drawn(position.liquidationPrice), label: "Liquidation", tone: "warn", dashed: true },
  ]);
  if (lastCandle) lines.push({ price: lastCandle.close, label: "", tone: "flat", dashed: true });
  return lines.filter((line) => line.price > 0);
}

function liquidationMarks(rows) {
  const values = rows.map((row) => drawn(row.usdt_value));
  const largest = Math.max(...values, 1);
  return rows.slice(0, MOST_MARKS).map((row, index) => ({
    at: row.timestamp,
    price: drawn(row.price),
    shape: "ring",
    size: SMALLEST_RING + Math.sqrt(values[index] / largest) * (LARGEST_RING - SMALLEST_RING),
    tone: row.side === "SELL" ? "loss" : "gain",
  }));
}

function fillMarks(fills) {
  return fills.map((fill) => ({
    at: fill.traded_at,
    price: drawn(fill.price),
    shape: fill.side === "BUY" ? "up" : "down",
    tone: "accent",
  }));
}
