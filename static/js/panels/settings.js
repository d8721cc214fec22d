// The settings view: choose a section, edit it, review the changes, and save them all at once.

import { fill, on, setTone, show, slot, combine } from "../lib/dom.js";
import { paintDiff } from "./settings_diff.js";
import { paintNotice } from "./settings_notice.js";
import { createDraft } from "./settings_draft.js";
import { buildForm, refillForm, showFault } from "./settings_form.js";
import { showHistory } from "./settings_history.js";
import { showImports } from "./settings_imports.js";
import { createChecker, summaryOf } from "./settings_summary.js";
import { fillSymbolOptions, paintList } from "./settings_list.js";
import { toNumber } from "../lib/format.js";
import { groupsOf } from "./settings_schema.js";
import { addSymbol, removeSymbol } from "./settings_symbols.js";

/** @param onSaved is called after a save; `keep(config)` stores settings that were just fetched. */
export function mount(view, store, { api, notify, commands, keep, onSaved }) {
  // `symbol` is the section shown (null: global settings), `rows` its fields by path, `shown` what they were built for.
  const sheet = { view, store, api, notify, keep, onSaved, draft: createDraft(), symbol: null, rows: new Map(), shown: "", faults: [] };
  sheet.choose = (symbol) => choose(sheet, symbol);
  sheet.checksOf = createChecker(api, () => paintHead(sheet));
  const restart = () => commands.send("restart", "Restart the bot", "/api/control", { action: "restart" });
  const onSlot = (name, type, act) => on(slot(view, name), type, act);
  return combine(
    store.subscribe("config", () => paintAll(sheet)),
    store.subscribe("schema", () => paintAll(sheet)),
    store.subscribe("symbols", ({ symbols }) => {
      fillSymbolOptions(symbols);
      paintAll(sheet); // the summary compares sizes with the exchange's minimum
    }),
    ...["liquidations", "positions"].map((name) => store.subscribe(name, () => paintHead(sheet))), // the newest prices
    onSlot("globals", "click", () => sheet.choose(null)),
    onSlot("find", "input", () => paintAll(sheet)),
    onSlot("restart", "click", restart),
    onSlot("save", "click", () => save(sheet)),
    onSlot("discard", "click", () => discard(sheet)),
    onSlot("add", "submit", (event) => addSymbol(sheet, event)),
    onSlot("remove", "click", () => removeSymbol(sheet)),
    onSlot("history", "click", () => showHistory(sheet)),
    onSlot("imports", "click", () => showImports(sheet)),
    onSlot("form", "submit", (event) => event.preventDefault()),
  );
}

/** Show a section; a symbol that was just added is shown as soon as the bot has it. */
function choose(sheet, symbol) {
  sheet.symbol = sheet.awaited = symbol;
  paintAll(sheet);
}

function discard(sheet) {
  sheet.draft.discard();
  sheet.faults = [];
  sheet.shown = "";
  paintAll(sheet);
}

function paintAll(sheet) {
  const [config, schema] = [sheet.store.get("config"), sheet.store.get("schema")];
  if (!config || !schema) return;
  sheet.symbol = [sheet.awaited, sheet.symbol].find((symbol) => config.symbols[symbol]) ?? null;
  const needed = JSON.stringify([sheet.symbol, schema]);
  if (sheet.shown === needed) refillForm(sheet.rows);
  else build(sheet, schema);
  sheet.shown = needed;
  for (const { path, message } of sheet.faults) if (sheet.rows.has(path)) showFault(sheet.rows.get(path), message);
  paintAround(sheet);
}

function build(sheet, schema) {
  const { view, store, symbol, draft } = sheet;
  sheet.rows = buildForm(slot(view, "form"), groupsOf(schema, symbol === null ? "globals" : "symbols"), {
    path: (name) => (symbol === null ? ["globals", name] : ["symbols", symbol, name]),
    valueOf: (path, field) => draft.valueOf(store.get("config"), path, field),
    onEdit: (path, field, value) => edit(sheet, path, field, value),
  });
}

function edit(sheet, path, field, value) {
  sheet.draft.edit(sheet.store.get("config"), path, field, value);
  sheet.faults = sheet.faults.filter((fault) => fault.path !== path.join("."));
  paintAround(sheet);
}

/** Paint everything except the form, so that typing is not interrupted. */
function paintAround(sheet) {
  const { view, store, draft, symbol, faults, rows } = sheet;
  const config = store.get("config");
  paintHead(sheet);
  paintList(view, { config, draft, symbol, faults, choose: sheet.choose });
  paintNotice(view, { file: config.file, schema: store.get("schema") });
  paintDiff(view, { changes: draft.changes(config), faults, rows, schema: store.get("schema") });
}

function paintHead({ view, store, draft, symbol, checksOf }) {
  const [config, schema] = [store.get("config"), store.get("schema")];
  if (!config || !schema) return;
  const { globals, symbols } = draft.document(config);
  const ofSymbol = (rows) => rows?.find((each) => each.symbol === symbol);
  const facts = {
    entry: ofSymbol(store.get("symbols")?.symbols),
    price: toNumber(ofSymbol(store.get("positions"))?.markPrice ?? ofSymbol(store.get("liquidations"))?.price),
    maxRaise: toNumber(globals.max_raise_factor ?? schema.globals.max_raise_factor.default),
  };
  if (symbol) facts.checks = checksOf({ symbol, config: symbols[symbol], globals });
  const lead = symbol ? summaryOf(symbols[symbol], facts) : { text: "Apply to all symbols.", isWarning: false };
  fill(view, { title: symbol ?? "Global settings", lead: lead.text });
  setTone(slot(view, "lead"), lead.isWarning ? "warn" : "flat");
  show(slot(view, "remove"), symbol !== null);
}

async function save(sheet) {
  const { view, api } = sheet;
  slot(view, "save").disabled = true;
  try {
    const answer = await api.post("/api/config", await documentToSave(sheet));
    sheet.notify("info", answer.message ?? "Saved.");
    discard(sheet);
    sheet.onSaved();
  } catch (error) {
    sheet.faults = error.faults?.length ? error.faults : [{ path: "", message: error.message }];
    goToFault(sheet);
  }
  slot(view, "save").disabled = false;
  paintAll(sheet);
}

/** The file with this page's edits. Throws if it is faulty, or if one of the edited settings has changed meanwhile. */
async function documentToSave({ api, draft, keep }) {
  const fresh = await api.get("/api/config/in-force");
  keep(fresh);
  if (fresh.file.faults.length > 0)
    throw new Error("settings.json has faults: correct the file, or restore a version of the settings history.");
  if (draft.areOutdated(fresh))
    throw new Error("A setting that you changed has also changed elsewhere. Check its new value and save again.");
  return { ...draft.document(fresh.file.settings), version: fresh.file.version };
}

/** If the faults are in another section, show that section. */
function goToFault(sheet) {
  if (sheet.faults.some((fault) => sheet.rows.has(fault.path))) return;
  const elsewhere = sheet.faults.find((fault) => fault.path.startsWith("symbols."));
  if (elsewhere) sheet.symbol = sheet.awaited = elsewhere.path.split(".")[1];
}
