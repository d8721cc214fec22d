// The page is changed here and nowhere else: text as text, rows from templates, patched in place.

// Invisible and direction-changing characters would let one name pass for another: they are shown by their number.
const DECEPTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const rowsOf = new WeakMap();

const visible = (text) =>
  text.replace(DECEPTIVE, (character) => `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`);

/** Set the text of an element; untouched where it says so already. */
export function setText(element, value) {
  const text = visible(String(value ?? ""));
  if (element.textContent !== text) element.textContent = text;
}

export const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

/** Fill the `data-slot` elements below `root` with text, by name. */
export function fill(root, texts) {
  for (const [name, text] of Object.entries(texts)) setText(slot(root, name), text);
}

/** Give a slot a tone (gain, loss, warn …): a colour and nothing else. */
export function setTone(element, name) {
  if (element.dataset.tone !== name) element.dataset.tone = name;
}

export function setTitle(element, text) {
  element.title = visible(String(text ?? ""));
}

/** Fill a bar to a share between 0 and 1. */
export function setFill(element, share) {
  const bounded = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  element.style.setProperty("--share", String(bounded));
}

export const show = (element, isShown) => element.toggleAttribute("hidden", !isShown);

export const template = (name) => document.getElementById(name);

/** A fresh element from a `<template>`. */
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
 * Make the rows of `body` agree with `items`, in their order: rows are kept by `keyOf`, made from `templateName`,
 * and painted by `paint(row, item)`. A row that arrives later than the first list is marked `is-new`.
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

/** Listen, and return how to stop. */
export function on(target, type, handle, options) {
  target.addEventListener(type, handle, options);
  return () => target.removeEventListener(type, handle, options);
}

/** One undo out of many. */
export const combine =
  (...undos) =>
  () =>
    undos.forEach((undo) => undo?.());
