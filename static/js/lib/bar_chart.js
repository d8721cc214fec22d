// Small bar charts as SVG: bars up and down from a zero line, each with its words.

import { draw, widthOf } from "./svg.js";

const HEIGHT = 160;
const FOOT = 18;
const TOP = 6;

/**
 * Draw `bars` ({value, label, title, tone}) into `svg`. Labels stand under about eight of them.
 */
export function drawBarChart(svg, bars) {
  const highest = Math.max(0, ...bars.map((bar) => bar.value));
  const lowest = Math.min(0, ...bars.map((bar) => bar.value));
  const reach = highest - lowest || 1;
  const y = (value) => TOP + ((highest - value) / reach) * (HEIGHT - FOOT - TOP);
  const width = widthOf(svg);
  const slot = width / Math.max(bars.length, 1);
  const every = Math.max(1, Math.ceil(bars.length / 8));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(
    draw("line", { x1: 0, x2: width, y1: y(0), y2: y(0), class: "bars-zero" }),
    ...bars.flatMap((bar, index) => [
      drawBar(bar, index * slot, slot, y),
      ...(index % every ? [] : [drawLabel(bar, (index + 0.5) * slot)]),
    ]),
  );
}

function drawBar(bar, x, slot, y) {
  const group = draw("g", { class: "bars-bar", "data-tone": bar.tone ?? "flat" });
  const width = Math.min(slot * 0.72, 44);
  const top = Math.min(y(bar.value), y(0));
  const height = Math.max(Math.abs(y(bar.value) - y(0)), bar.value ? 1.5 : 0);
  group.append(
    draw("title", {}, bar.title),
    draw("rect", { x, y: TOP, width: slot, height: HEIGHT - FOOT - TOP, class: "bars-hit" }),
    draw("rect", { x: x + (slot - width) / 2, y: top, width, height, rx: Math.min(2, width / 3) }),
  );
  return group;
}

const drawLabel = (bar, x) => draw("text", { x, y: HEIGHT - 4, "text-anchor": "middle" }, bar.label);
