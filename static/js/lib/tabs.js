// Tab lists (ARIA pattern): arrow keys move, and the address can keep the selected tab.

import { on, combine } from "./dom.js";

/** Set up `list` ([role=tablist]); `onChoose` is called with the id of the selected panel. */
export function makeTabs(list, { onChoose = () => {}, inAddress = false } = {}) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  // The slash keeps the browser from scrolling to an element of that id.
  const addressOf = (tab) => `#/${tab.id.replace("tab-", "")}`;
  const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

  function choose(chosen) {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      panelOf(tab).hidden = tab !== chosen;
    }
    if (inAddress) history.replaceState(null, "", addressOf(chosen));
    onChoose(panelOf(chosen).id);
  }

  function step(event) {
    const direction = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!direction) return;
    const next = tabs.at((tabs.indexOf(document.activeElement) + direction) % tabs.length);
    event.preventDefault();
    choose(next);
    next.focus();
  }

  const named = () => tabs.find((tab) => addressOf(tab) === location.hash);
  if (inAddress && named()) choose(named());
  return combine(
    on(list, "keydown", step),
    inAddress ? on(window, "hashchange", () => named() && choose(named())) : null,
    ...tabs.map((tab) => on(tab, "click", () => choose(tab))),
  );
}

/** A group of buttons with one pressed; `onChoose` is called with it. */
export function makeSegments(group, onChoose) {
  return on(group, "click", (event) => {
    const chosen = event.target.closest("button");
    if (!chosen) return;
    for (const button of group.children) button.setAttribute("aria-pressed", String(button === chosen));
    onChoose(chosen);
  });
}
