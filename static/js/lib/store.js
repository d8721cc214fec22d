// What the page knows: named values, each with the moment it was last confirmed, and who wants to hear of it.

export function createStore() {
  const values = new Map();
  const confirmedAt = new Map();
  const listeners = new Map();

  const get = (name) => values.get(name);

  function set(name, value) {
    values.set(name, value);
    confirmedAt.set(name, Date.now());
    listeners.get(name)?.forEach((listener) => listener(value));
  }

  /** Hear the value now, if there is one, and whenever it is set; returns the undo. */
  function subscribe(name, listener) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(listener);
    if (values.has(name)) listener(values.get(name));
    return () => listeners.get(name).delete(listener);
  }

  /** Milliseconds since the value was last confirmed; Infinity where it never was. */
  const ageOf = (name) => Date.now() - (confirmedAt.get(name) ?? -Infinity);

  return { get, set, subscribe, ageOf };
}
