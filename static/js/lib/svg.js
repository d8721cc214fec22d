// Creates SVG elements, and measures charts so that their text keeps its size.

const NAMESPACE = "http://www.w3.org/2000/svg";
const DEFAULT_WIDTH = 560;
const PADDING = 28;

export function draw(tag, attributes, text) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The chart's width in pixels; a default while it is hidden. */
export function widthOf(svg) {
  const width = svg.parentElement.clientWidth - PADDING;
  return width > 0 ? width : DEFAULT_WIDTH;
}
