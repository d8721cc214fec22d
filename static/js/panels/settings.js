// The settings view: choose a part, edit it, see what would change, save it all or not at all.

import { confirm } from "../lib/dialogs.js";
import { create, fill, listen, patchRows, setText, setTone, show, slot, together } from "../lib/dom.js";
import { createDraft } from "./settings_draft.js";
import { buildForm, showFault } from "./settings_form.js";
import { leadOf } from "./settings_lead.js";
import { groupsOf } from "./settings_schema.js";

/** @param onSaved is called when the settings in force may have changed. */
export function mount(view, store, { api, tell, onSaved }) {
  const draft = createDraft();
  let symbol = null; // null: the whole bot
  let rows = new Map();
  let faults = [];

  const config = () => store.get("config");

  function choose(name) {
    symbol = name;
    paintAll();
  }

  function paintAll() {
    if (!config() || !store.get("schema")) return;
    if (symbol !== null && !config().symbols[symbol]) symbol = null;
    rows = buildForm(slot(view, "form"), groupsOf(store.get("schema"), symbol === null ? "globals" : "symbols"), {
      path: (name) => (symbol === null ? ["globals", name] : ["symbols", symbol, name]),
      valueOf: (path, field) => draft.valueOf(config(), path, field),
      onEdit: (path, field, value) => {
        draft.edit(config(), path, field, value);
        faults = faults.filter((fault) => fault.path !== path.join("."));
        paintAround();
      },
    });
    for (const { path, message } of faults) if (rows.has(path)) showFault(rows.get(path), message);
    paintAround();
  }

  /** Everything but the form: typing must not lose its place. */
  function paintAround() {
    fill(view, { title: symbol ?? "Whole bot", lead: symbol === null ? "These hold for every symbol." : "" });
    show(slot(view, "remove"), symbol !== null);
    if (symbol !== null) {
      const lead = leadOf(draft.document(config()).symbols[symbol], exchangeEntry(store, symbol));
      setText(slot(view, "lead"), lead.text);
      setTone(slot(view, "lead"), lead.isWarning ? "warn" : "flat");
    }
    paintList(view, { config: config(), draft, symbol, faults, choose });
    paintDiff(view, { changes: draft.changes(config()), faults, rows });
  }

  async function save() {
    slot(view, "save").disabled = true;
    try {
      const answer = await api.post("/api/config", draft.document(config()));
      draft.discard();
      faults = [];
      tell("info", answer.message ?? "Saved.");
      onSaved();
    } catch (error) {
      faults = error.faults?.length ? error.faults : [{ path: "", message: error.message }];
      const first = faults.find((fault) => fault.path.startsWith("symbols.") && !rows.has(fault.path));
      if (first && !faults.some((fault) => rows.has(fault.path))) symbol = first.path.split(".")[1];
    }
    slot(view, "save").disabled = false;
    paintAll();
  }

  async function add(event) {
    event.preventDefault();
    const name = event.target.elements.symbol.value.trim().toUpperCase();
    setText(slot(view, "add-fault"), "");
    try {
      const answer = await api.post("/api/config/symbol/add", { symbol: name });
      tell("info", answer.message ?? `${name} was added.`);
      event.target.reset();
      symbol = name;
      onSaved();
    } catch (error) {
      setText(slot(view, "add-fault"), error.faults?.[0]?.message ?? error.message);
    }
  }

  async function remove() {
    const name = symbol;
    const agreed = await confirm({
      title: `Remove ${name} from the settings?`,
      lead: "Its liquidations will no longer be traded. A position that is open stays open and protected.",
      action: "remove",
    });
    if (!agreed) return;
    try {
      const answer = await api.post("/api/config/symbol/remove", { symbol: name });
      tell("info", answer.message ?? `${name} was removed.`);
      onSaved();
    } catch (error) {
      tell("error", `${name} was not removed: ${error.message}`);
    }
  }

  return together(
    store.subscribe("config", paintAll),
    store.subscribe("schema", paintAll),
    store.subscribe("symbols", ({ symbols }) => offerSymbols(symbols)),
    listen(slot(view, "globals"), "click", () => choose(null)),
    listen(slot(view, "save"), "click", save),
    listen(slot(view, "discard"), "click", () => {
      draft.discard();
      faults = [];
      paintAll();
    }),
    listen(slot(view, "add"), "submit", add),
    listen(slot(view, "remove"), "click", remove),
    listen(slot(view, "form"), "submit", (event) => event.preventDefault()),
  );
}

const exchangeEntry = (store, symbol) => store.get("symbols")?.symbols.find((each) => each.symbol === symbol);

function offerSymbols(symbols) {
  const list = document.getElementById("known-symbols");
  list.replaceChildren(...symbols.map(({ symbol }) => create("option", { value: symbol })));
}

function paintList(view, { config, draft, symbol, faults, choose }) {
  const mark = (entry, isCurrent, isChanged, hasFault) => {
    entry.setAttribute("aria-current", String(isCurrent));
    entry.classList.toggle("is-changed", isChanged);
    entry.classList.toggle("has-fault", hasFault);
  };
  mark(
    slot(view, "globals"),
    symbol === null,
    draft.touches(config, null),
    faults.some((fault) => fault.path.startsWith("globals")),
  );
  patchRows(slot(view, "symbols"), Object.entries(config.symbols), {
    templateName: "settings-entry-row",
    keyOf: ([name]) => name,
    paint: (entry, [name, settings]) => {
      fill(entry, { symbol: name, summary: `${settings.leverage}× ${settings.trade_value_usdt} USDT` });
      entry.onclick = () => choose(name);
      mark(
        entry,
        name === symbol,
        draft.touches(config, name),
        faults.some((fault) => `${fault.path}.`.startsWith(`symbols.${name}.`)),
      );
    },
  });
}

function paintDiff(view, { changes, faults, rows }) {
  const elsewhere = faults.filter((fault) => !rows.has(fault.path));
  show(slot(view, "diff"), changes.length > 0 || elsewhere.length > 0);
  fill(view, {
    "diff-title": changes.length === 1 ? "1 unsaved change" : `${changes.length} unsaved changes`,
    "save-fault": elsewhere.map(({ path, message }) => `${path} ${message}`.trim()).join("; "),
  });
  patchRows(slot(view, "changes"), changes, {
    templateName: "settings-change-row",
    keyOf: ({ path }) => path.join("."),
    paint: (row, { path, field, before, value }) => {
      fill(row, {
        path: path.join("."),
        before: wordFor(before),
        after: wordFor(value),
        applies: `applies ${field.applies}`,
      });
      setTone(slot(row, "applies"), field.applies === "now" ? "gain" : "warn");
    },
  });
  for (const [path, row] of rows)
    row.classList.toggle(
      "is-changed",
      changes.some((change) => change.path.join(".") === path),
    );
}

const wordFor = (value) => (value === null || value === "" ? "not set" : String(value));
