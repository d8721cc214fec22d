// The page's state: named values, when each was last updated, and their subscribers.

export function createStore() {
  const values = new Map();
  const updatedAt = new Map();
  const listeners = new Map();

  const get = (name) => values.get(name);

  function set(name, value) {
    values.set(name, value);
    updatedAt.set(name, Date.now());
    listeners.get(name)?.forEach((listener) => listener(value));
  }

  /** Call `listener` with the current value, if any, and at every change; returns how to stop. */
  function subscribe(name, listener) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(listener);
    if (values.has(name)) listener(values.get(name));
    return () => listeners.get(name).delete(listener);
  }

  /** Milliseconds since the value was last set; Infinity if it never was. */
  const ageOf = (name) => Date.now() - (updatedAt.get(name) ?? -Infinity);

  return { get, set, subscribe, ageOf };
}
