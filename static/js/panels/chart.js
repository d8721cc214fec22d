// The candle chart of one symbol with liquidations, the bot's fills, and the levels of its positions.

import { createCandleChart } from "../lib/candle_chart.js";
import { create, on, setText, show, slot, combine } from "../lib/dom.js";
import { toNumber } from "../lib/format.js";
import { candleWords } from "../lib/candle_painter.js";
import { makeSegments } from "../lib/tabs.js";

const INTERVALS = { "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000 };
const SMALLEST_RING = 2.5;
const LARGEST_RING = 11;
const MAX_MARKS = 250;
const MAX_SYMBOL_LENGTH = 40;

/** @param onChoose is called with {symbol, interval} when another chart is chosen. */
export function mount(panel, store, { onChoose }) {
  const picker = slot(panel, "symbol");
  let choice = { symbol: null, interval: "1m" };
  const chart = createCandleChart(slot(panel, "canvas"), {
    onHover: (candle) => setText(slot(panel, "words"), candle ? candleWords(candle) : ""),
  });

  function choose(update) {
    choice = { ...choice, ...update };
    chart.latest();
    store.set("candles", []);
    store.set("chart", { liquidations: [], fills: [], positions: [] });
    onChoose(choice);
  }

  const paint = () => {
    const candles = (store.get("candles") ?? []).map(asCandle);
    show(slot(panel, "empty"), candles.length === 0);
    setText(slot(panel, "empty"), store.get("fault:candles")?.message ?? "Loading candles …");
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

  const updateSymbols = () => {
    const symbols = namesOf(store);
    if (!symbols.length || sameNames(picker, symbols)) return;
    const chosen = symbols.includes(choice.symbol) ? choice.symbol : symbols[0];
    picker.replaceChildren(...symbols.map((name) => create("option", { value: name }, name)));
    picker.value = chosen;
    if (chosen !== choice.symbol) choose({ symbol: chosen });
  };

  const shown = ["candles", "fault:candles", "chart"];
  return combine(
    chart.undo,
    ...shown.map((name) => store.subscribe(name, paint)),
    ...["config", "positions"].map((name) => store.subscribe(name, updateSymbols)),
    store.subscribe("theme", chart.redraw),
    on(picker, "change", () => choose({ symbol: picker.value })),
    makeSegments(slot(panel, "intervals"), (button) => choose({ interval: button.textContent })),
  );
}

/** The symbols to choose from: those with a position first, then those configured. */
function namesOf(store) {
  const positions = (store.get("positions") ?? []).map((position) => position.symbol);
  const names = store.get("config") ? [...positions, ...Object.keys(store.get("config").symbols)] : [];
  return [...new Set(names)].filter((name) => name.length <= MAX_SYMBOL_LENGTH);
}

const sameNames = (picker, names) => names.join("\n") === [...picker.options].map((option) => option.value).join("\n");

function asCandle([openAt, open, high, low, close, volume]) {
  return { openAt, open: toNumber(open), high: toNumber(high), low: toNumber(low), close: toNumber(close), volume: toNumber(volume) };
}

function linesOf(positions, lastCandle) {
  const lines = positions.flatMap((position) => [
    { price: toNumber(position.entryPrice), label: `${position.side} entry`, tone: "accent", dashed: true },
    { price: toNumber(position.takeProfitPrice), label: "Take profit", tone: "gain", dashed: true },
    { price: toNumber(position.stopLossPrice), label: "Stop loss", tone: "loss", dashed: true },
    { price: toNumber(position.liquidationPrice), label: "Liquidation", tone: "warn", dashed: true },
  ]);
  if (lastCandle) lines.push({ price: lastCandle.close, label: "", tone: "flat", dashed: true });
  return lines.filter((line) => line.price > 0);
}

function liquidationMarks(rows) {
  const values = rows.map((row) => toNumber(row.usdt_value));
  const largest = Math.max(...values, 1);
  return rows.slice(0, MAX_MARKS).map((row, index) => ({
    at: row.timestamp,
    price: toNumber(row.price),
    shape: "ring",
    size: SMALLEST_RING + Math.sqrt(values[index] / largest) * (LARGEST_RING - SMALLEST_RING),
    tone: row.side === "SELL" ? "loss" : "gain",
  }));
}

function fillMarks(fills) {
  return fills.map((fill) => ({
    at: fill.traded_at,
    price: toNumber(fill.price),
    shape: fill.side === "BUY" ? "up" : "down",
    tone: "accent",
  }));
}
