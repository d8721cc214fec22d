// An SVG line chart over time, labelled with its highest and lowest value.

import { draw, widthOf } from "./svg.js";

const HEIGHT = 180;
const FOOT = 18;
const TOP = 10;
const LABELS = 6;

/** Draw `points` ({at, value}), oldest first, into `svg`. `formatValue` and `formatTime` make the labels. */
export function drawLineChart(svg, points, { formatValue, formatTime }) {
  const width = widthOf(svg);
  const values = points.map((point) => point.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [from, to] = [points[0].at, points.at(-1).at];
  const x = (at) => ((at - from) / (to - from || 1)) * width;
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (HEIGHT - FOOT - 2 * TOP);
  const line = points.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(
    draw("polygon", { points: `0,${HEIGHT - FOOT} ${line} ${width},${HEIGHT - FOOT}`, class: "curve-area" }),
    draw("line", { x1: 0, x2: width, y1: y(values[0]), y2: y(values[0]), class: "curve-start" }),
    draw("polyline", { points: line, class: "curve-line" }),
    draw("text", { x: width, y: y(high) + 4, "text-anchor": "end" }, formatValue(high)),
    draw("text", { x: width, y: y(low) - 4, "text-anchor": "end" }, formatValue(low)),
    ...timeLabels(from, to, width, formatTime),
  );
}

function timeLabels(from, to, width, formatTime) {
  const count = Math.max(2, Math.min(LABELS, Math.floor(width / 90)));
  const labels = Array.from({ length: count }, (_, index) => {
    const share = index / (count - 1);
    const anchor = index === 0 ? "start" : index === count - 1 ? "end" : "middle";
    return { x: share * width, anchor, text: formatTime(from + share * (to - from)) };
  });
  return labels
    .filter(({ text }, index) => text !== labels[index - 1]?.text)
    .map(({ x, anchor, text }) => draw("text", { x, y: HEIGHT - 4, "text-anchor": anchor }, text));
}
