// The log: the bot's journal, newest first.

import { fill, patchRows, setText, setTone, show, slot, combine } from "../lib/dom.js";
import { capitalize, clockTime, date, humanize, plainNumber } from "../lib/format.js";
import { makeSegments } from "../lib/tabs.js";
import { STATES } from "./status.js";

/** The kinds shown at first; the others are details of single orders and events. */
export const DEFAULT_KINDS = "alert,command,state,settings";

const TONES = {
  alert: "loss",
  command: "accent",
  state: "warn",
  settings: "accent",
  fill: "gain",
  protection: "gain",
  position: "special",
};

/** @param onKinds is called with the chosen kinds, separated by commas; "" for all. */
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
  return combine(
    store.subscribe("journal", paint),
    store.subscribe("health", (health) => paintUnreadable(slot(sheet, "unreadable"), health?.unreadable_messages)),
    makeSegments(slot(sheet, "kinds"), (button) => onKinds(button.dataset.kinds)),
  );
}

/** How many messages of the exchange the bot could not understand since its start; nothing if there were none. */
function paintUnreadable(line, unreadable) {
  const count = unreadable?.count ?? 0;
  show(line, count > 0);
  if (!count) return;
  const what = count === 1 ? "1 message of the exchange was" : `${plainNumber(count)} messages of the exchange were`;
  const last = unreadable.last_problem ? ` The last: ${unreadable.last_problem}.` : "";
  setText(line, `${what} not understood since the bot started, and left out.${last} If the number keeps growing, update the program.`);
}

function paintRow(row, entry) {
  const when = date(entry.at) === date(Date.now()) ? "" : `${date(entry.at)} `;
  fill(row, {
    time: when + clockTime(entry.at),
    kind: humanize(entry.kind),
    symbol: entry.symbol ?? "",
    message: messageOf(entry),
  });
  setTone(slot(row, "kind"), TONES[entry.kind] ?? "flat");
}

/** The text of an entry: its message or reason, else its values. */
export function messageOf({ kind, payload = {} }) {
  if (kind === "command") return `${humanize(payload.action)}: ${payload.message}`;
  if (kind === "state")
    return `${STATES[payload.state]?.[0] ?? humanize(payload.state)}${payload.reason ? `: ${payload.reason}` : ""}`;
  if (payload.message) return capitalize(payload.message);
  return Object.entries(payload)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => `${humanize(name).toLowerCase()} ${value}`)
    .join(", ");
}
