// The form of one settings section, built from the schema: controls, ranges, errors, and when a change applies.

import { create, fill, setText, slot, cloneTemplate } from "../lib/dom.js";
import { humanize } from "../lib/format.js";
import { faultOf, rangeOf } from "./settings_schema.js";

/**
 * Build the fields of `groups` into `form`. `path(name)` returns a field's path, `valueOf(path, field)` its value;
 * `onEdit(path, field, value)` is called at every change. Returns the rows by dotted path.
 */
export function buildForm(form, groups, { path, valueOf, onEdit }) {
  const rows = new Map();
  form.replaceChildren(
    ...groups.map(({ title, fields }) => {
      const set = create("fieldset", {}, create("legend", {}, title));
      for (const field of fields) {
        const row = buildRow(field, path(field.name), valueOf, onEdit);
        rows.set(path(field.name).join("."), row);
        set.append(row);
      }
      return set;
    }),
  );
  return rows;
}

/** Update the form's values without rebuilding it; the field being edited keeps its text and focus. */
export const refillForm = (rows) => rows.forEach((row) => row.refill());

function buildRow(field, path, valueOf, onEdit) {
  const row = cloneTemplate("settings-field-row");
  const id = `field-${path.join("-")}`;
  const control = controlFor(field, valueOf(path, field), id);
  slot(row, "label").htmlFor = id;
  fill(row, { title: field.title, help: helpOf(field) });
  slot(row, "control").append(control, ...unitOf(field));
  const onInput = () => {
    const text = field.kind === "flag" ? control.checked : control.value.trim();
    showFault(row, faultOf(field, text));
    onEdit(path, field, text);
  };
  control.addEventListener(field.kind === "flag" || field.kind === "choice" ? "change" : "input", onInput);
  row.refill = () => {
    if (control !== document.activeElement) setValue(control, field, valueOf(path, field));
  };
  return row;
}

function setValue(control, field, value) {
  if (field.kind === "flag") control.checked = value === true;
  else control.value = value ?? "";
}

function helpOf(field) {
  const range = rangeOf(field);
  const parts = [
    field.description,
    range && `${humanize(range)}.`,
    field.isLocked ? "Can only be changed in settings.json." : field.applies === "now" ? "" : "Applies after a bot restart.",
  ];
  return parts.filter(Boolean).join(" ");
}

const unitOf = ({ unit }) => (unit ? [create("span", { class: "field-unit" }, unit)] : []);

function controlFor(field, value, id) {
  const name = field.name;
  if (field.kind === "flag")
    return create("input", { id, name, type: "checkbox", role: "switch", class: "switch", checked: value === true });
  if (field.kind === "choice") {
    const options = field.choices.map((choice) =>
      create("option", { value: choice, selected: choice === value }, choice),
    );
    return create("select", { id, name, class: "select" }, ...options);
  }
  const control = create("input", {
    id,
    name,
    class: "input",
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    inputmode: { "whole number": "numeric", number: "decimal" }[field.kind] ?? "text",
    placeholder: field.optional ? "not set" : "",
    disabled: field.isLocked,
  });
  setValue(control, field, value);
  return control;
}

/** Show a field's error, or clear it. */
export function showFault(row, message) {
  setText(slot(row, "fault"), message ? humanize(message) : "");
  row.classList.toggle("has-fault", Boolean(message));
  row.querySelector("input, select").setAttribute("aria-invalid", String(Boolean(message)));
}
