// Tab lists after the ARIA pattern: arrows move, the address remembers, the chosen panel is the one that shows.

import { on, combine } from "./dom.js";

/** Make `list` ([role=tablist]) work; `onChoose` hears the id of the panel that shows. */
export function makeTabs(list, { onChoose = () => {}, inAddress = false } = {}) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  // A slash, so that the browser finds no element of that name to scroll to.
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

/** Buttons of which one is pressed; `onChoose` hears it. */
export function makeSegments(group, onChoose) {
  return on(group, "click", (event) => {
    const chosen = event.target.closest("button");
    if (!chosen) return;
    for (const button of group.children) button.setAttribute("aria-pressed", String(button === chosen));
    onChoose(chosen);
  });
}
