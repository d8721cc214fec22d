// The history of the settings: what each version changed, and a way to restore it.

import { closesOutside, confirm } from "../lib/dialogs.js";
import { fill, on, patchRows, setText, show, slot } from "../lib/dom.js";
import { dateTime, sentence } from "../lib/format.js";
import { fieldOf, formatSetting, labelOf } from "./settings_diff.js";

const VERSIONS = 50;
const VERSIONS_OF_MANY_SYMBOLS = 10; // each holds every symbol's settings
const MANY_SYMBOLS = 100;

/** Open the list of versions, newest first; all but the current one can be restored. */
export async function showHistory(sheet) {
  const symbols = Object.keys(sheet.store.get("config")?.symbols ?? {}).length;
  let versions;
  try {
    versions = await sheet.api.get(`/api/config/history?limit=${symbols > MANY_SYMBOLS ? VERSIONS_OF_MANY_SYMBOLS : VERSIONS}`);
  } catch (error) {
    sheet.notify("error", `Could not load the settings history. ${error.message}`);
    return;
  }
  const dialog = document.getElementById("history");
  const restore = (version) => {
    dialog.close();
    restoreVersion(sheet, version);
  };
  paintVersions(dialog, versions, sheet.store, restore);
  const undo = [
    on(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    on(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

function paintVersions(dialog, versions, store, restore) {
  const [config, schema] = [store.get("config"), store.get("schema")];
  show(slot(dialog, "empty"), versions.length === 0);
  patchRows(slot(dialog, "versions"), versions, {
    templateName: "settings-version-row",
    keyOf: (version) => version.id,
    paint: (row, version) => {
      const isCurrent = changesBetween(config, version.settings).length === 0;
      fill(row, { at: dateTime(version.at), message: sentence(version.message) });
      fill(row, { changes: version.changes.map((change) => changeText(schema, change)).join("\n") });
      setText(slot(row, "restore"), isCurrent ? "Current" : "Restore");
      slot(row, "restore").disabled = isCurrent;
      slot(row, "restore").onclick = () => restore(version);
    },
  });
}

async function restoreVersion({ api, notify, store, onSaved }, version) {
  const schema = store.get("schema");
  const changes = changesBetween(store.get("config"), version.settings);
  const agreed = await confirm({
    title: `Restore the settings of ${dateTime(version.at)}?`,
    lead: "These settings will change:",
    facts: changes.map((change) => [labelOf(schema, change.path), valuesText(schema, change)]),
    action: "restore",
  });
  if (!agreed) return;
  try {
    const answer = await api.post("/api/config", version.settings);
    notify("info", answer.message);
    onSaved();
  } catch (error) {
    const faults = error.faults.map((fault) => `${labelOf(schema, fault.path)} ${fault.message}`).join("; ");
    notify("error", `Not restored: ${faults || error.message}`);
  }
}

function valuesText(schema, { path, before, after }) {
  const field = fieldOf(schema, path);
  return `${formatSetting(before, field)} → ${formatSetting(after, field)}`;
}

const changeText = (schema, change) => `${labelOf(schema, change.path)}: ${valuesText(schema, change)}`;

function changesBetween(before, after) {
  const [old, young] = [flat(before), flat(after)];
  const paths = [...new Set([...old.keys(), ...young.keys()])].sort();
  return paths
    .map((path) => ({ path, before: old.get(path), after: young.get(path) }))
    .filter((change) => formatSetting(change.before) !== formatSetting(change.after));
}

function flat({ globals, symbols }) {
  const parts = Object.entries(symbols).map(([symbol, part]) => [`symbols.${symbol}`, part]);
  const settings = [["globals", globals], ...parts].flatMap(([place, part]) =>
    Object.entries(part).map(([name, value]) => [`${place}.${name}`, value]),
  );
  return new Map(settings);
}
