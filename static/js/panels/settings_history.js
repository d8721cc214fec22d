// Earlier settings: what was in force, what each change did, and the way back.

import { closesOutside, confirm } from "../lib/dialogs.js";
import { fill, on, patchRows, setText, show, slot } from "../lib/dom.js";
import { dateTime, humanize } from "../lib/format.js";
import { formatSetting } from "./settings_diff.js";

const VERSIONS = 50;

/** Open the list of versions, the newest first; each but the one in force can be put in force again. */
export async function showHistory(sheet) {
  let versions;
  try {
    versions = await sheet.api.get(`/api/config/history?limit=${VERSIONS}`);
  } catch (error) {
    sheet.notify("error", `The earlier settings could not be read: ${error.message}`);
    return;
  }
  const dialog = document.getElementById("history");
  const restore = (version) => {
    dialog.close();
    goBack(sheet, version);
  };
  paintVersions(dialog, versions, sheet.store.get("config"), restore);
  const undo = [
    on(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    on(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

function paintVersions(dialog, versions, config, restore) {
  show(slot(dialog, "empty"), versions.length === 0);
  patchRows(slot(dialog, "versions"), versions, {
    templateName: "settings-version-row",
    keyOf: (version) => version.id,
    paint: (row, version) => {
      const isInForce = changesBetween(config, version.settings).length === 0;
      fill(row, { at: dateTime(version.at), message: `${humanize(version.message)}.` });
      fill(row, { changes: version.changes.map(changeInWords).join("\n") });
      setText(slot(row, "restore"), isInForce ? "In force" : "Go back to this");
      slot(row, "restore").disabled = isInForce;
      slot(row, "restore").onclick = () => restore(version);
    },
  });
}

async function goBack({ api, notify, store, onSaved }, version) {
  const changes = changesBetween(store.get("config"), version.settings);
  const agreed = await confirm({
    title: `Go back to the settings of ${dateTime(version.at)}?`,
    lead: "These change, and the bot is asked to apply them:",
    facts: changes.map(({ path, before, after }) => [path, `${formatSetting(before)} → ${formatSetting(after)}`]),
    action: "go back",
  });
  if (!agreed) return;
  try {
    const answer = await api.post("/api/config", version.settings);
    notify("info", answer.message);
    onSaved();
  } catch (error) {
    const faults = error.faults.map((fault) => `${fault.path} ${fault.message}`).join("; ");
    notify("error", `Not gone back: ${faults || error.message}`);
  }
}

const changeInWords = ({ path, before, after }) => `${path}: ${formatSetting(before)} → ${formatSetting(after)}`;

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
