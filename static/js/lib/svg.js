// SVG elements, and how wide a drawing may be so that its words keep their size.

const NAMESPACE = "http://www.w3.org/2000/svg";
const USUAL_WIDTH = 560;
const PADDING = 28;

export function draw(tag, attributes, text) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The width it has on the page; the usual one while it is hidden. */
export function widthOf(svg) {
  const width = svg.parentElement.clientWidth - PADDING;
  return width > 0 ? width : USUAL_WIDTH;
}
