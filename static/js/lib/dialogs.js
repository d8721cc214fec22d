// Confirmation dialogs, and buttons that must be held down.

import { create, fill, on, setText, show, slot, combine } from "./dom.js";
import { capitalize } from "./format.js";

const HOLD_MS = 1200;

/**
 * Show the confirmation dialog. `facts` is a list of [name, value, tone?]. Resolves to true if the user confirmed;
 * Escape, a click outside and Cancel resolve to false. With `hold` the button must be held down.
 */
export function confirm({ title, lead, facts = [], action, hold = false, note = "" }) {
  const dialog = document.getElementById("confirm");
  fill(dialog, { title, lead, note });
  show(slot(dialog, "note"), Boolean(note));
  slot(dialog, "facts").replaceChildren(...facts.flatMap(factRow));
  const agree = slot(dialog, "agree");
  setText(slot(agree, "action"), hold ? `Hold to ${action}` : capitalize(action));
  return new Promise((resolve) => {
    const answerWith = (answer) => () => {
      dialog.returnValue = answer;
      dialog.close();
    };
    const undo = combine(
      hold ? onHold(agree, answerWith("yes")) : on(agree, "click", answerWith("yes")),
      on(slot(dialog, "cancel"), "click", answerWith("no")),
      closesOutside(dialog),
      on(dialog, "close", () => {
        undo();
        resolve(dialog.returnValue === "yes");
      }),
    );
    dialog.returnValue = "no";
    dialog.showModal();
    slot(dialog, "cancel").focus();
  });
}

export function factRow([name, value, tone]) {
  return [create("dt", {}, name), create("dd", { "data-tone": tone }, String(value))];
}

/** Close the dialog on a click on its backdrop; returns how to stop. */
export function closesOutside(dialog) {
  return on(dialog, "click", (event) => event.target === dialog && dialog.close());
}

/** Call `act` once the button was held down for HOLD_MS, by pointer or key. */
export function onHold(button, act) {
  let timer = null;
  const start = () => {
    if (timer !== null || button.disabled) return;
    button.classList.add("is-held");
    timer = setTimeout(() => {
      stop();
      act();
    }, HOLD_MS);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    button.classList.remove("is-held");
  };
  const byKey = (act) => (event) => (event.key === " " || event.key === "Enter") && act();
  return combine(
    stop,
    on(button, "pointerdown", start),
    on(button, "keydown", byKey(start)),
    on(button, "keyup", byKey(stop)),
    ...["pointerup", "pointerleave", "pointercancel", "blur"].map((type) => on(button, type, stop)),
  );
}
