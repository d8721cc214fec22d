// What is not saved yet: every change with what it replaces and when it would apply.

import { fill, patchRows, setTone, show, slot } from "../lib/dom.js";

/** How a value reads beside another. */
export const formatSetting = (value) => (value === null || value === undefined || value === "" ? "not set" : String(value));

/** `rows` are the fields that are shown: what is wrong elsewhere is said here. */
export function paintDiff(view, { changes, faults, rows }) {
  const elsewhere = faults.filter((fault) => !rows.has(fault.path));
  show(slot(view, "diff"), changes.length > 0 || elsewhere.length > 0);
  fill(view, {
    "diff-title": changes.length === 1 ? "1 unsaved change" : `${changes.length} unsaved changes`,
    "save-fault": elsewhere.map(({ path, message }) => `${path} ${message}`.trim()).join("; "),
  });
  patchRows(slot(view, "changes"), changes, {
    templateName: "settings-change-row",
    keyOf: ({ path }) => path.join("."),
    paint: paintChange,
  });
  const changed = new Set(changes.map(({ path }) => path.join(".")));
  for (const [path, row] of rows) row.classList.toggle("is-changed", changed.has(path));
}

function paintChange(row, { path, field, before, value }) {
  const applies = `applies ${field.applies}`;
  fill(row, { path: path.join("."), before: formatSetting(before), after: formatSetting(value), applies });
  setTone(slot(row, "applies"), field.applies === "now" ? "gain" : "warn");
}
