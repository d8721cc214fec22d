// The unsaved changes, each with the old value, the new one, and when it applies.

import { fill, patchRows, setTone, show, slot } from "../lib/dom.js";

/** A setting's value with its unit: "30 s", "10x", "on", "not set". */
export function formatSetting(value, { unit = "" } = {}) {
  if (value === null || value === undefined || value === "") return "not set";
  if (typeof value === "boolean") return value ? "on" : "off";
  return `${value}${unit === "x" ? "" : " "}${unit}`.trim();
}

/** The schema's field of a path, "globals.cooldown_sec" or "symbols.BTCUSDT.leverage"; empty if it is unknown. */
export const fieldOf = (schema, path) => schema?.[path.split(".")[0]]?.[path.split(".").at(-1)] ?? {};

/** A path as a person reads it: "Cooldown", "BTCUSDT Leverage". */
export function labelOf(schema, path) {
  const title = fieldOf(schema, path).title ?? path.split(".").at(-1);
  return path.startsWith("symbols.") ? `${path.split(".")[1]} ${title}` : title;
}

/** `rows` are the fields shown; faults of other fields are listed here. */
export function paintDiff(view, { changes, faults, rows, schema }) {
  const elsewhere = faults.filter((fault) => !rows.has(fault.path));
  show(slot(view, "diff"), changes.length > 0 || elsewhere.length > 0);
  fill(view, {
    "diff-title": changes.length === 1 ? "1 unsaved change" : `${changes.length} unsaved changes`,
    "save-fault": elsewhere.map(({ path, message }) => (path ? `${labelOf(schema, path)} ${message}` : message)).join("; "),
  });
  patchRows(slot(view, "changes"), changes, {
    templateName: "settings-change-row",
    keyOf: ({ path }) => path.join("."),
    paint: (row, change) => paintChange(row, change, schema),
  });
  const changed = new Set(changes.map(({ path }) => path.join(".")));
  for (const [path, row] of rows) row.classList.toggle("is-changed", changed.has(path));
}

function paintChange(row, { path, field, before, value }, schema) {
  fill(row, {
    name: labelOf(schema, path.join(".")),
    before: formatSetting(before, field),
    after: formatSetting(value, field),
    applies: `applies ${field.applies}`,
  });
  setTone(slot(row, "applies"), field.applies === "now" ? "gain" : "warn");
}
