// Draws one frame of the candle chart on a canvas context.

import { clockTime, compact, date, roughPrice } from "./format.js";
import { niceSteps, timeSteps } from "./scale.js";

const DAY_MS = 86_400_000;
const LABEL_HEIGHT = 17;

/** Draw all layers, back to front. */
export function paintChart(context, chart) {
  context.font = `11px ${chart.palette.font}`;
  context.textBaseline = "middle";
  paintGrid(context, chart);
  context.save();
  context.beginPath();
  context.rect(0, 0, chart.scale.width, chart.scale.height);
  context.clip();
  paintVolume(context, chart);
  chart.seen.forEach((candle) => paintCandle(context, chart, candle));
  chart.marks.forEach((mark) => paintMark(context, chart, mark));
  context.restore();
  paintLines(context, chart);
  if (chart.pointer) paintCrosshair(context, chart);
}

function paintGrid(context, { scale, palette, lines }) {
  context.strokeStyle = palette.grid;
  context.fillStyle = palette["text-muted"];
  context.textAlign = "left";
  for (const price of niceSteps(scale.low, scale.high, Math.max(3, scale.height / 56))) {
    const y = Math.round(scale.y(price)) + 0.5;
    line(context, 0, y, scale.width, y);
    const isCovered = lines.some((each) => Math.abs(scale.y(each.price) - y) < LABEL_HEIGHT);
    if (!isCovered) context.fillText(roughPrice(price), scale.width + 8, y);
  }
  context.textAlign = "center";
  for (const at of timeSteps(scale.from, scale.to, scale.width / 110)) {
    const x = Math.round(scale.x(at)) + 0.5;
    if (x < 24 || x > scale.width - 20) continue;
    line(context, x, 0, x, scale.height);
    context.fillText(timeLabel(at, scale), x, scale.height + 12);
  }
}

function timeLabel(at, scale) {
  return scale.to - scale.from > 3 * DAY_MS ? date(at).slice(5) : clockTime(at).slice(0, 5);
}

const bodyWidth = ({ scale, intervalMs }) =>
  Math.max(1, (scale.x(scale.from + intervalMs) - scale.x(scale.from)) * 0.66);

const toneOf = (candle) => (candle.close >= candle.open ? "gain" : "loss");

function paintVolume(context, chart) {
  const most = Math.max(...chart.seen.map((candle) => candle.volume)) || 1;
  const width = bodyWidth(chart);
  context.globalAlpha = 0.16;
  for (const candle of chart.seen) {
    const height = (candle.volume / most) * chart.scale.height * 0.16;
    context.fillStyle = chart.palette[toneOf(candle)];
    context.fillRect(middleOf(chart, candle) - width / 2, chart.scale.height - height, width, height);
  }
  context.globalAlpha = 1;
}

const middleOf = ({ scale, intervalMs }, candle) => scale.x(candle.openAt + intervalMs / 2);

function paintCandle(context, chart, candle) {
  const { scale, palette } = chart;
  const width = bodyWidth(chart);
  const x = middleOf(chart, candle);
  const top = scale.y(Math.max(candle.open, candle.close));
  const bottom = scale.y(Math.min(candle.open, candle.close));
  context.fillStyle = context.strokeStyle = palette[toneOf(candle)];
  line(context, x, scale.y(candle.high), x, scale.y(candle.low));
  context.fillRect(x - width / 2, top, width, Math.max(1, bottom - top));
}

function paintMark(context, { scale, palette }, { at, price, shape, size, tone }) {
  const [x, y] = [scale.x(at), scale.y(price)];
  context.fillStyle = context.strokeStyle = palette[tone];
  if (shape === "ring") paintRing(context, x, y, size);
  else paintArrow(context, x, y, shape === "up" ? 1 : -1, palette);
}

function paintRing(context, x, y, size) {
  context.beginPath();
  context.arc(x, y, size, 0, 2 * Math.PI);
  context.globalAlpha = 0.25;
  context.fill();
  context.globalAlpha = 0.95;
  context.stroke();
  context.globalAlpha = 1;
}

function paintArrow(context, x, y, sign, palette) {
  context.beginPath();
  context.moveTo(x, y + 3 * sign);
  context.lineTo(x - 6, y + 13 * sign);
  context.lineTo(x + 6, y + 13 * sign);
  context.closePath();
  context.fill();
  context.strokeStyle = palette.surface;
  context.stroke();
}

function paintLines(context, chart) {
  const { scale, palette, lines } = chart;
  const seen = lines.filter((each) => scale.holds(each.price)).sort((one, other) => other.price - one.price);
  let free = -Infinity;
  for (const { price, label, tone, dashed } of seen) {
    const y = Math.round(scale.y(price)) + 0.5;
    context.strokeStyle = palette[tone];
    context.setLineDash(dashed ? [5, 4] : []);
    line(context, 0, y, scale.width, y);
    context.setLineDash([]);
    const place = Math.max(y, free + LABEL_HEIGHT);
    paintTag(context, chart, place, roughPrice(price), palette[tone]);
    if (label) paintWord(context, chart, y, label, palette[tone]);
    free = place;
  }
}

function paintTag(context, { scale, palette }, y, text, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(scale.width + 3, y - 8, 69, 16, 3);
  context.fill();
  context.fillStyle = palette.surface;
  context.textAlign = "left";
  context.fillText(text, scale.width + 8, y + 0.5);
}

function paintWord(context, { palette }, y, text, colour) {
  const width = context.measureText(text).width + 10;
  context.fillStyle = palette.surface;
  context.globalAlpha = 0.85;
  context.fillRect(6, y - 8, width, 16);
  context.globalAlpha = 1;
  context.fillStyle = colour;
  context.textAlign = "left";
  context.fillText(text, 11, y + 0.5);
}

function paintCrosshair(context, chart) {
  const { scale, palette, pointer } = chart;
  if (pointer.x > scale.width || pointer.y > scale.height) return;
  context.strokeStyle = palette["border-strong"];
  context.setLineDash([3, 3]);
  line(context, Math.round(pointer.x) + 0.5, 0, Math.round(pointer.x) + 0.5, scale.height);
  line(context, 0, Math.round(pointer.y) + 0.5, scale.width, Math.round(pointer.y) + 0.5);
  context.setLineDash([]);
  paintTag(context, chart, pointer.y, roughPrice(scale.priceAt(pointer.y)), palette["text-muted"]);
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

/** The candle under the pointer as text. */
export function candleWords(candle) {
  const parts = { O: candle.open, H: candle.high, L: candle.low, C: candle.close };
  const prices = Object.entries(parts).map(([name, price]) => `${name} ${roughPrice(price)}`);
  return `${dateless(candle)}  ${prices.join("  ")}  V ${compact(candle.volume)}`;
}

const dateless = (candle) => clockTime(candle.openAt).slice(0, 5);
