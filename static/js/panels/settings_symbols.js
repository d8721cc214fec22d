// Symbols of the settings: added with careful values, removed after a question.

import { confirm } from "../lib/dialogs.js";
import { setText, slot } from "../lib/dom.js";

/** Add what the form of the `sheet` names, and show it. */
export async function addSymbol(sheet, event) {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.symbol.value.trim().toUpperCase();
  setText(slot(sheet.view, "add-fault"), "");
  try {
    const answer = await sheet.api.post("/api/config/symbol/add", { symbol: name });
    sheet.notify("info", answer.message ?? `${name} was added.`);
    form.reset();
    sheet.keep(await sheet.api.get("/api/config"));
    sheet.choose(name);
    sheet.onSaved();
  } catch (error) {
    setText(slot(sheet.view, "add-fault"), error.faults?.[0]?.message ?? error.message);
  }
}

/** Remove the symbol that the `sheet` shows. */
export async function removeSymbol({ symbol, api, notify, onSaved }) {
  const agreed = await confirm({
    title: `Remove ${symbol} from the settings?`,
    lead: "Its liquidations will no longer be traded. A position that is open stays open and protected.",
    action: "remove",
  });
  if (!agreed) return;
  try {
    const answer = await api.post("/api/config/symbol/remove", { symbol });
    notify("info", answer.message ?? `${symbol} was removed.`);
    onSaved();
  } catch (error) {
    notify("error", `${symbol} was not removed: ${error.message}`);
  }
}
