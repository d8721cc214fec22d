// All changes of the page: text is set as text, rows are made from templates and patched in place.

// Invisible and bidirectional control characters can make one name look like another, so they are shown as escapes.
const DECEPTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const rowsOf = new WeakMap();

const visible = (text) =>
  text.replace(DECEPTIVE, (character) => `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`);

/** Set the text of an element, if it differs. */
export function setText(element, value) {
  const text = visible(String(value ?? ""));
  if (element.textContent !== text) element.textContent = text;
}

export const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

/** Fill the `data-slot` elements below `root` with text, by name. */
export function fill(root, texts) {
  for (const [name, text] of Object.entries(texts)) setText(slot(root, name), text);
}

/** Set an element's tone (gain, loss, warn …), which CSS maps to a colour. */
export function setTone(element, name) {
  if (element.dataset.tone !== name) element.dataset.tone = name;
}

export function setTitle(element, text) {
  element.title = visible(String(text ?? ""));
}

/** Fill a bar to `share`, clamped to 0…1. */
export function setFill(element, share) {
  const bounded = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  element.style.setProperty("--share", String(bounded));
}

export const show = (element, isShown) => element.toggleAttribute("hidden", !isShown);

export const template = (name) => document.getElementById(name);

/** A new element from a `<template>`. */
export const cloneTemplate = (name) => template(name).content.firstElementChild.cloneNode(true);

export function create(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) element.append(typeof child === "string" ? visible(child) : child);
  return element;
}

/**
 * Update the rows of `body` to match `items`: rows are identified by `keyOf`, created from `templateName`, and filled by
 * `paint(row, item)`. A row added after the first call gets the class `is-new`.
 */
export function patchRows(body, items, { templateName, keyOf, paint }) {
  const before = rowsOf.get(body);
  const after = new Map();
  let place = body.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    if (after.has(key)) continue;
    const row = before?.get(key) ?? newRow(templateName, Boolean(before));
    paint(row, item);
    after.set(key, row);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
  before?.forEach((row, key) => after.has(key) || row.remove());
  rowsOf.set(body, after);
}

function newRow(templateName, isLate) {
  const row = cloneTemplate(templateName);
  row.classList.toggle("is-new", isLate);
  return row;
}

/** Add an event listener; returns a function that removes it. */
export function on(target, type, handle, options) {
  target.addEventListener(type, handle, options);
  return () => target.removeEventListener(type, handle, options);
}

/** Combine several undo functions into one. */
export const combine =
  (...undos) =>
  () =>
    undos.forEach((undo) => undo?.());
