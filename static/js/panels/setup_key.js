// The key form: choose the kind of key, test it, and save it once the test has passed. Keys are never shown again.

import { fill, on, patchRows, setText, setTone, show, slot } from "../lib/dom.js";

const TONES = { ok: "gain", warn: "warn", fail: "loss" };
const TEST_TIMEOUT_MS = 60_000; // a test makes five requests to the exchange

/** @param onSaved is called with the response to the save. `open()` shows the form. */
export function mountKey(card, api, { stored }, onSaved) {
  const form = slot(card, "form");
  let tested = ""; // the values that passed the test; an edit clears them
  paintStored(card, stored);
  if (stored.kind) choose(card, stored.kind);
  for (const button of card.querySelectorAll("[data-kind]")) on(button, "click", () => choose(card, button.dataset.kind));
  on(form, "input", () => forget());
  for (const button of card.querySelectorAll("[data-kind]")) on(button, "click", () => forget());
  on(form, "submit", (event) => {
    event.preventDefault();
    test();
  });
  on(slot(card, "save"), "click", save);

  function forget() {
    tested = "";
    slot(card, "save").disabled = true;
    setText(slot(card, "key-fault"), "");
    paintChecks(card, []);
  }

  async function test() {
    forget();
    const body = typed(card);
    await during(slot(card, "test"), async () => {
      const { passed, checks } = await api.post("/api/setup/test", body, TEST_TIMEOUT_MS);
      paintChecks(card, checks);
      tested = passed ? JSON.stringify(body) : "";
    });
    slot(card, "save").disabled = !tested;
  }

  async function save() {
    const body = typed(card);
    if (JSON.stringify(body) !== tested) return forget();
    await during(slot(card, "save"), async () => {
      const answer = await api.post("/api/setup/save", body);
      form.reset();
      forget();
      onSaved(answer);
    });
  }

  /** Run `act` with the button disabled; an error is shown below the fields. */
  async function during(button, act) {
    button.disabled = true;
    button.classList.add("is-pending");
    try {
      await act();
    } catch (error) {
      setText(slot(card, "key-fault"), error.message);
    }
    button.classList.remove("is-pending");
    button.disabled = false;
  }

  return {
    open() {
      show(card, true);
      document.querySelector('[data-slot="live"]').setAttribute("aria-expanded", "true");
      card.scrollIntoView({ block: "start", behavior: "smooth" });
      form.querySelector("fieldset:not([hidden]) input").focus({ preventScroll: true });
    },
  };
}

function choose(card, kind) {
  for (const button of card.querySelectorAll("[data-kind]"))
    button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  for (const fields of card.querySelectorAll("[data-fields]")) {
    show(fields, fields.dataset.fields === kind);
    fields.disabled = fields.dataset.fields !== kind;
  }
}

function typed(card) {
  const fields = card.querySelector("[data-fields]:not([hidden])");
  const values = [...fields.querySelectorAll("input")].map((input) => [input.name, input.value.trim()]);
  return { kind: fields.dataset.fields, ...Object.fromEntries(values) };
}

function paintStored(card, { kind, key_suffix: keySuffix, user, fault, env_override: overrides }) {
  const sentence = overrides.length
    ? `Environment variables override .env: ${overrides.join(", ")}. Remove them before you save a key here.`
    : fault
      ? `The key in .env is not usable: ${fault}`
      : kind === "api_key"
        ? `An API key ending in ${keySuffix} is set. A new one replaces it.`
        : kind === "api_wallet"
          ? `An API wallet ending in ${keySuffix} is set, for ${user}. A new one replaces it.`
          : "";
  setText(slot(card, "stored"), sentence);
  show(slot(card, "stored"), Boolean(sentence));
}

function paintChecks(card, checks) {
  patchRows(slot(card, "checks"), checks, {
    templateName: "check-row",
    keyOf: ({ name }) => name,
    paint: (row, { name, level, message, remedy }) => {
      fill(row, { name, level, message, remedy });
      setTone(slot(row, "level"), TONES[level] ?? "warn");
    },
  });
}
