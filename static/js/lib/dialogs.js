// Questions that must be answered before something happens, and buttons that must be held.

import { create, fill, on, setText, show, slot, combine } from "./dom.js";

const HOLD_MS = 1200;

/**
 * Ask once. `facts` is a list of [name, value, tone?]; resolves to whether the person agreed.
 * With `hold` the button must be kept down; Escape, a click outside and Cancel say no.
 */
export function confirm({ title, lead, facts = [], action, hold = false, note = "" }) {
  const dialog = document.getElementById("confirm");
  fill(dialog, { title, lead, note });
  show(slot(dialog, "note"), Boolean(note));
  slot(dialog, "facts").replaceChildren(...facts.flatMap(factRow));
  const agree = slot(dialog, "agree");
  setText(slot(agree, "action"), hold ? `Hold to ${action}` : capital(action));
  return new Promise((resolve) => {
    const say = (answer) => () => {
      dialog.returnValue = answer;
      dialog.close();
    };
    const undo = combine(
      hold ? onHold(agree, say("yes")) : on(agree, "click", say("yes")),
      on(slot(dialog, "cancel"), "click", say("no")),
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

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function factRow([name, value, tone]) {
  return [create("dt", {}, name), create("dd", { "data-tone": tone }, String(value))];
}

/** A click on the backdrop closes; returns the undo. */
export function closesOutside(dialog) {
  return on(dialog, "click", (event) => event.target === dialog && dialog.close());
}

/** Call `act` when the button was kept down, by pointer or by key, for the whole time. */
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
