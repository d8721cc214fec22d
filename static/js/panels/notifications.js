// Notifications: warnings and errors stay until they are dismissed.

import { fill, slot, cloneTemplate } from "../lib/dom.js";

const TONES = { error: "loss", warn: "warn", info: "accent" };
const MAX_NOTICES = 5;
const INFO_MS = 8_000;

/** Returns `notify(level, text)`. A text is shown once at a time; level "info" disappears after INFO_MS. */
export function mount(element) {
  return function notify(level, text) {
    if ([...element.children].some((notice) => notice.dataset.text === text)) return;
    const notice = cloneTemplate("notice");
    notice.dataset.tone = TONES[level];
    notice.dataset.text = text;
    fill(notice, { text });
    slot(notice, "dismiss").addEventListener("click", () => notice.remove());
    element.append(notice);
    while (element.children.length > MAX_NOTICES) element.firstElementChild.remove();
    if (level === "info") setTimeout(() => notice.remove(), INFO_MS);
  };
}
