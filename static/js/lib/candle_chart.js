// A candle chart on a canvas: candles, horizontal lines, marks, a crosshair; drag to scroll back, wheel to zoom.

import { on, combine } from "./dom.js";
import { paintChart } from "./candle_painter.js";
import { createScale, priceRange } from "./scale.js";

const RIGHT = 74;
const BOTTOM = 22;
const FEWEST = 15;
const AIR_CANDLES = 4;

/**
 * @param onHover is called with the candle under the pointer, or null.
 * `show({candles, intervalMs, lines, marks})` draws candles {openAt, open, high, low, close, volume} (oldest first),
 * lines {price, label, tone, dashed} and marks {at, price, shape, size, tone}. Call `redraw()` after a theme change.
 */
export function createCandleChart(canvas, { onHover = () => {} } = {}) {
  const data = { candles: [], intervalMs: 60_000, lines: [], marks: [] };
  const chart = { canvas, onHover, data, view: { count: 90, back: 0 }, pointer: null, frame: null };
  const redraw = () => {
    chart.frame ??= requestAnimationFrame(() => {
      chart.frame = null;
      draw(chart);
    });
  };
  const change = (update) => {
    Object.assign(chart, update);
    redraw();
  };
  const watch = new ResizeObserver(redraw);
  watch.observe(canvas);
  const stopFollowing = followPointer(canvas, {
    onPoint: (pointer) => change({ pointer }),
    onDrag: (pixels) => change({ view: moved(chart, (pixels / (canvas.clientWidth - RIGHT)) * chart.view.count) }),
    onWheel: (direction) => change({ view: zoomed(chart, direction > 0 ? 1.15 : 1 / 1.15) }),
  });
  const undo = combine(() => watch.disconnect(), stopFollowing);
  const latest = () => Object.assign(chart.view, { back: 0 });
  return { show: (update) => change({ data: update }), latest, redraw, undo };
}

function draw({ canvas, data, view, pointer, onHover }) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const seen = visibleCandles(data, view);
  if (!seen.length) return;
  const scale = scaleFor(seen, data, view, width - RIGHT, height - BOTTOM);
  paintChart(context, { ...data, seen, scale, pointer, palette: paletteOf(canvas) });
  onHover(pointer ? candleAt(seen, data.intervalMs, scale.timeAt(pointer.x)) : null);
}

function moved({ data, view }, candles) {
  const most = Math.max(0, data.candles.length - FEWEST);
  return { ...view, back: Math.min(most, Math.max(0, view.back + candles)) };
}

function zoomed({ data, view }, factor) {
  const most = Math.max(FEWEST, data.candles.length);
  return { ...view, count: Math.round(Math.min(most, Math.max(FEWEST, view.count * factor))) };
}

function visibleCandles({ candles }, { count, back }) {
  const end = candles.length - Math.round(back);
  return candles.slice(Math.max(0, end - count), end);
}

function scaleFor(seen, { intervalMs, lines }, { count }, width, height) {
  const to = seen.at(-1).openAt + AIR_CANDLES * intervalMs;
  const from = to - (Math.min(count, Math.max(seen.length, FEWEST)) + AIR_CANDLES) * intervalMs;
  return createScale({
    from,
    to,
    ...priceRange(
      seen,
      lines.map((line) => line.price),
    ),
    width,
    height,
  });
}

const candleAt = (seen, intervalMs, at) =>
  seen.find((candle) => at >= candle.openAt && at < candle.openAt + intervalMs) ?? null;

/** The theme's colours, read from CSS because a canvas does not inherit them. */
function paletteOf(canvas) {
  const style = getComputedStyle(canvas);
  const token = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["gain", "loss", "accent", "warn", "flat", "grid", "text", "text-muted", "surface", "border-strong"];
  return { font: style.fontFamily, ...Object.fromEntries(names.map((name) => [name, token(name)])) };
}

function followPointer(canvas, { onPoint, onDrag, onWheel }) {
  let grip = null;
  const place = (event) => ({ x: event.offsetX, y: event.offsetY });
  return combine(
    on(canvas, "pointerdown", (event) => {
      grip = event.clientX;
      canvas.setPointerCapture(event.pointerId);
    }),
    on(canvas, "pointermove", (event) => {
      if (grip !== null) {
        onDrag(event.clientX - grip);
        grip = event.clientX;
      }
      onPoint(place(event));
    }),
    ...["pointerup", "pointercancel"].map((type) => on(canvas, type, () => (grip = null))),
    on(canvas, "pointerleave", () => onPoint(null)),
    on(
      canvas,
      "wheel",
      (event) => {
        event.preventDefault();
        onWheel(event.deltaY);
      },
      { passive: false },
    ),
  );
}
