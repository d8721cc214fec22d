// Keeps named values of the store in step with the server: asked again on demand, but never in a hurry.

const MIN_INTERVAL_MS = 500;

/**
 * @param paths name → path, or a function that gives the path (null: nothing to ask now).
 * An answer goes to the store under its name; a failure goes there as "fault:<name>" (null once it is over).
 */
export function createPoller(api, store, paths) {
  const states = new Map(Object.keys(paths).map((name) => [name, { requestedAt: 0, timer: null, turn: 0, receivedTurn: 0 }]));

  const pathOf = (name) => (typeof paths[name] === "function" ? paths[name]() : paths[name]);

  async function request(name) {
    const state = states.get(name);
    state.timer = null;
    state.requestedAt = Date.now();
    const turn = ++state.turn;
    const path = pathOf(name);
    if (path === null) return;
    // On a slow line the next question leaves before this answer comes: it counts, unless a later one came first.
    const isLatest = () => turn > state.receivedTurn && path === pathOf(name);
    try {
      const value = await api.get(path);
      if (!isLatest()) return;
      state.receivedTurn = turn;
      store.set(name, value);
      store.set(`fault:${name}`, null);
    } catch (error) {
      if (isLatest()) store.set(`fault:${name}`, error);
    }
  }

  /** Ask again soon: at once, or when the shortest gap since the last question is over. */
  function refresh(...names) {
    for (const name of names) {
      const state = states.get(name);
      if (state.timer !== null) continue;
      const wait = Math.max(0, state.requestedAt + MIN_INTERVAL_MS - Date.now());
      state.timer = setTimeout(() => request(name), wait);
    }
  }

  /** Ask every `ms` while the page is looked at; returns the undo. */
  function poll(name, ms) {
    refresh(name);
    const timer = setInterval(() => document.hidden || refresh(name), ms);
    return () => clearInterval(timer);
  }

  /** Keep what was asked for in another way: whatever is still under way is older. */
  function keep(name, value) {
    const state = states.get(name);
    state.receivedTurn = state.turn;
    store.set(name, value);
  }

  return { refresh, poll, keep };
}
