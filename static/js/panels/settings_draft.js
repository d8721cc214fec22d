// Unsaved edits by path, kept on top of the saved settings even when those change elsewhere.

/** Edits map a path to a value; null or "" removes the setting from the file. */
export function createDraft() {
  const edits = new Map();

  const partOf = (config, path) => (path[0] === "globals" ? config.globals : config.symbols[path[1]]) ?? {};
  const saved = (config, path, field) => partOf(config, path)[path.at(-1)] ?? field.default;
  const key = (path) => path.join(".");

  const valueOf = (config, path, field) =>
    edits.has(key(path)) ? edits.get(key(path)).value : saved(config, path, field);

  function edit(config, path, field, value) {
    if (isSame(value, saved(config, path, field))) edits.delete(key(path));
    else edits.set(key(path), { path, field, value, base: saved(config, path, field) });
  }

  /** Whether a setting no longer has the value that it had when it was edited; from then on the new one counts. */
  function areOutdated(config) {
    const outdated = [...edits.values()].filter(({ path, field, base }) => !isSame(base, saved(config, path, field)));
    for (const each of outdated) each.base = saved(config, each.path, each.field);
    return outdated.length > 0;
  }

  /** The edits that differ from the saved settings, each with the saved value as `before`. */
  function changes(config) {
    return [...edits.values()]
      .filter(({ path }) => path[0] === "globals" || config.symbols[path[1]])
      .map((each) => ({ ...each, before: saved(config, each.path, each.field) }))
      .filter((each) => !isSame(each.value, each.before));
  }

  /** The complete settings document with the edits applied. */
  function document(config) {
    const merged = structuredClone(config);
    for (const { path, field, value } of changes(config)) {
      const part = partOf(merged, path);
      if (value === null || value === "") delete part[field.name];
      else part[field.name] = field.kind === "whole number" && /^-?\d+$/.test(value) ? Number(value) : value;
    }
    return { globals: merged.globals, symbols: merged.symbols };
  }

  const touches = (config, symbol) =>
    changes(config).some(({ path }) => (symbol ? path[1] === symbol && path.length === 3 : path[0] === "globals"));

  return { valueOf, edit, areOutdated, changes, document, touches, discard: () => edits.clear() };
}

/** Whether two values are equal: "5", 5 and "5.0" are, and so are null and "". */
function isSame(one, other) {
  const [left, right] = [one ?? "", other ?? ""];
  if (String(left) === String(right)) return true;
  return (
    left !== "" &&
    right !== "" &&
    typeof left !== "boolean" &&
    typeof right !== "boolean" &&
    Number(left) === Number(right)
  );
}
