// Small SVG bar charts: bars above and below a zero line, with labels and tooltips.

import { draw, widthOf } from "./svg.js";

const HEIGHT = 160;
const FOOT = 18;
const TOP = 6;

/** Draw `bars` ({value, label, title, tone}) into `svg`; about eight of them get their label. */
export function drawBarChart(svg, bars) {
  const highest = Math.max(0, ...bars.map((bar) => bar.value));
  const lowest = Math.min(0, ...bars.map((bar) => bar.value));
  const reach = highest - lowest || 1;
  const y = (value) => TOP + ((highest - value) / reach) * (HEIGHT - FOOT - TOP);
  const width = widthOf(svg);
  const step = width / Math.max(bars.length, 1);
  const every = Math.max(1, Math.ceil(bars.length / 8));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(
    draw("line", { x1: 0, x2: width, y1: y(0), y2: y(0), class: "bars-zero" }),
    ...bars.flatMap((bar, index) => [
      drawBar(bar, index * step, step, y),
      ...(index % every ? [] : [drawLabel(bar, (index + 0.5) * step)]),
    ]),
  );
}

function drawBar(bar, x, step, y) {
  const group = draw("g", { class: "bars-bar", "data-tone": bar.tone ?? "flat" });
  const width = Math.min(step * 0.72, 44);
  const top = Math.min(y(bar.value), y(0));
  const height = Math.max(Math.abs(y(bar.value) - y(0)), bar.value ? 1.5 : 0);
  group.append(
    draw("title", {}, bar.title),
    draw("rect", { x, y: TOP, width: step, height: HEIGHT - FOOT - TOP, class: "bars-hit" }),
    draw("rect", { x: x + (step - width) / 2, y: top, width, height, rx: Math.min(2, width / 3) }),
  );
  return group;
}

const drawLabel = (bar, x) => draw("text", { x, y: HEIGHT - 4, "text-anchor": "middle" }, bar.label);
