// How settings.json differs from the settings in force: faults, and what waits for the bot or its restart.

import { fill, setTone, show, slot } from "../lib/dom.js";
import { fieldOf, formatSetting, labelOf } from "./settings_diff.js";

const DATABASE = "globals.db_path";

/** @param file of /api/config/in-force. The button sends the restart. */
export function paintNotice(view, { file, schema }) {
  const notice = slot(view, "file-notice");
  const waiting = file.differences.filter(({ path }) => fieldOf(schema, path).applies === "after restart");
  show(notice, file.faults.length > 0 || file.differences.length > 0);
  setTone(notice, file.faults.length > 0 ? "loss" : "warn");
  fill(notice, { "file-title": titleOf(file, waiting), "file-details": detailsOf(file, schema) });
  const needsLauncher = waiting.some(({ path }) => path === DATABASE);
  show(slot(notice, "restart"), waiting.length > 0 && !needsLauncher && file.faults.length === 0);
  paintKeyNotices(view, file.notices);
}

/** Keys of the older bot in the file: what has no effect, and what was added or converted. */
function paintKeyNotices(view, notices) {
  show(slot(view, "key-notices"), notices.length > 0);
  const count = notices.length === 1 ? "1 note" : `${notices.length} notes`;
  fill(view, { "key-title": `${count} about keys of the older bot in settings.json`, "key-details": notices.join("\n") });
}

function titleOf({ faults, differences }, waiting) {
  if (faults.length > 0)
    return "settings.json was edited and has faults, so it is not applied. This page shows the settings in force. Correct the file:";
  if (waiting.length < differences.length) return "The bot has not applied settings.json yet. This page shows the settings in force:";
  if (waiting.some(({ path }) => path === DATABASE))
    return "These settings of settings.json apply after a restart. Stop launcher.py and start it again:";
  return "These settings of settings.json apply after a restart of the bot:";
}

const detailsOf = ({ faults, differences }, schema) =>
  (faults.length > 0
    ? faults.map(({ path, message }) => (path ? `${labelOf(schema, path)} ${message}` : message))
    : differences.map((change) => changeText(schema, change))
  ).join("\n");

function changeText(schema, { path, before, after }) {
  const field = fieldOf(schema, path);
  const text = (value) => formatSetting(value ?? field.default, field);
  return `${labelOf(schema, path)}: in force ${text(before)}, in the file ${text(after)}`;
}
