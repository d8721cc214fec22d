// What a person must read: it stays until it was dismissed, however much time passes.

import { fill, slot, cloneTemplate } from "../lib/dom.js";

const TONES = { error: "loss", warn: "warn", info: "accent" };
const MOST = 5;
const INFO_MS = 8_000;

/** Returns `notify(level, text)`; the same text is not shown twice at once. Plain information leaves by itself. */
export function mount(element) {
  return function notify(level, text) {
    if ([...element.children].some((notice) => notice.dataset.text === text)) return;
    const notice = cloneTemplate("notice");
    notice.dataset.tone = TONES[level];
    notice.dataset.text = text;
    fill(notice, { text });
    slot(notice, "dismiss").addEventListener("click", () => notice.remove());
    element.append(notice);
    while (element.children.length > MOST) element.firstElementChild.remove();
    if (level === "info") setTimeout(() => notice.remove(), INFO_MS);
  };
}
