// The list of settings sections, with a mark where something is unsaved or invalid.

import { create, fill, patchRows, show, slot } from "../lib/dom.js";

/** Suggest the exchange's symbols in the field "Add a symbol". */
export function fillSymbolOptions(symbols) {
  const list = document.getElementById("known-symbols");
  list.replaceChildren(...symbols.map(({ symbol }) => create("option", { value: symbol })));
}

const SHOWN_AT_ONCE = 12;

/** `choose(symbol)` is called when a symbol is clicked. */
export function paintList(view, { config, draft, symbol, faults, choose }) {
  const hasFault = (prefix) => faults.some((fault) => `${fault.path}.`.startsWith(prefix));
  markEntry(slot(view, "globals"), symbol === null, draft.touches(config, null), hasFault("globals."));
  const find = slot(view, "find");
  show(find, Object.keys(config.symbols).length > SHOWN_AT_ONCE);
  const isFound = ([name]) => name.includes(find.value.trim().toUpperCase());
  patchRows(slot(view, "symbols"), Object.entries(config.symbols).filter(isFound), {
    templateName: "settings-entry-row",
    keyOf: ([name]) => name,
    paint: (entry, [name, settings]) => {
      fill(entry, { symbol: name, summary: `${settings.leverage}× ${settings.trade_value_usdt} USDT` });
      entry.onclick = () => choose(name);
      markEntry(entry, name === symbol, draft.touches(config, name), hasFault(`symbols.${name}.`));
    },
  });
}

function markEntry(entry, isCurrent, isChanged, hasFault) {
  entry.setAttribute("aria-current", String(isCurrent));
  entry.classList.toggle("is-changed", isChanged);
  entry.classList.toggle("has-fault", hasFault);
}
