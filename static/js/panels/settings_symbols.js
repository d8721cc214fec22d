// Adding a symbol with conservative defaults, and removing one after confirmation.

import { confirm } from "../lib/dialogs.js";
import { setText, slot } from "../lib/dom.js";

/** Add the symbol typed in the `sheet`'s form and show its settings. */
export async function addSymbol(sheet, event) {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.symbol.value.trim().toUpperCase();
  setText(slot(sheet.view, "add-fault"), "");
  try {
    const answer = await sheet.api.post("/api/config/symbol/add", { symbol: name });
    sheet.notify("info", answer.message ?? `${name} added.`);
    form.reset();
    sheet.keep(await sheet.api.get("/api/config/in-force"));
    sheet.choose(name);
    sheet.onSaved();
  } catch (error) {
    setText(slot(sheet.view, "add-fault"), error.faults?.[0]?.message ?? error.message);
  }
}

/** Remove the symbol that the `sheet` shows, after confirmation. */
export async function removeSymbol({ symbol, api, notify, onSaved }) {
  const agreed = await confirm({
    title: `Remove ${symbol} from the settings?`,
    lead: "The bot stops trading it. An open position stays open and protected.",
    action: "remove",
  });
  if (!agreed) return;
  try {
    const answer = await api.post("/api/config/symbol/remove", { symbol });
    notify("info", answer.message ?? `${symbol} removed.`);
    onSaved();
  } catch (error) {
    notify("error", `${symbol} not removed: ${error.message}`);
  }
}
