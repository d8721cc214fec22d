// The log: what the bot said, newest first.

import { fill, patchRows, setTone, show, slot, together } from "../lib/dom.js";
import { clockTime, date, words } from "../lib/format.js";
import { makeSegments } from "../lib/tabs.js";
import { STATES } from "./status.js";

/** What a person must have read: the rest of the journal is the machine's own account. */
export const SPOKEN = "alert,command,state,settings";

const TONES = {
  alert: "loss",
  command: "accent",
  state: "warn",
  settings: "accent",
  fill: "gain",
  protection: "gain",
  position: "special",
};

/** @param onKinds hears which kinds are wanted, separated by commas; "" for all. */
export function mount(sheet, store, { onKinds }) {
  const paint = (entries) => {
    const newestFirst = [...entries].reverse();
    patchRows(slot(sheet, "rows"), newestFirst, {
      templateName: "journal-row",
      keyOf: (entry) => entry.id,
      paint: paintRow,
    });
    show(slot(sheet, "empty"), entries.length === 0);
  };
  return together(
    store.subscribe("journal", paint),
    makeSegments(slot(sheet, "kinds"), (button) => onKinds(button.dataset.kinds)),
  );
}

function paintRow(row, entry) {
  const when = date(entry.at) === date(Date.now()) ? "" : `${date(entry.at)} `;
  fill(row, {
    time: when + clockTime(entry.at),
    kind: words(entry.kind),
    symbol: entry.symbol ?? "",
    message: messageOf(entry),
  });
  setTone(slot(row, "kind"), TONES[entry.kind] ?? "flat");
}

/** What an entry says: its message, its reason, else its facts. */
export function messageOf({ kind, payload = {} }) {
  if (kind === "command") return `${words(payload.action)}: ${payload.message}`;
  if (kind === "state")
    return `${STATES[payload.state]?.[0] ?? words(payload.state)}${payload.reason ? `: ${payload.reason}` : ""}`;
  if (payload.message) return payload.message;
  return Object.entries(payload)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => `${words(name).toLowerCase()} ${value}`)
    .join(", ");
}
