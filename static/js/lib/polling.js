// Keeps named values of the store up to date with the server: fetches on demand, at most every MIN_INTERVAL_MS, and
// does not ask again while the server still computes the answer, unless that takes PATIENCE_MS: it may be lost.

const MIN_INTERVAL_MS = 500;
const PATIENCE_MS = 2_000;

/**
 * @param paths name → path, or a function that returns the path (null: nothing to fetch now).
 * A response is stored under its name, an error under "fault:<name>" (null after the next success).
 */
export function createPoller(api, store, paths) {
  const states = new Map(Object.keys(paths).map((name) => [name, { requestedAt: 0, timer: null, turn: 0, receivedTurn: 0, awaited: null }]));

  const pathOf = (name) => (typeof paths[name] === "function" ? paths[name]() : paths[name]);

  async function request(name) {
    const state = states.get(name);
    state.timer = null;
    state.requestedAt = Date.now();
    const turn = ++state.turn;
    const path = pathOf(name);
    if (path === null) return;
    state.awaited = path;
    // On a slow connection requests overlap: a response counts unless that of a later request came first.
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
    if (turn === state.turn) state.awaited = null;
    if (state.timer === null) return;
    clearTimeout(state.timer); // it waited for this answer
    state.timer = null;
    refresh(name);
  }

  /** Fetch again as soon as the last request is answered and MIN_INTERVAL_MS old. */
  function refresh(...names) {
    for (const name of names) {
      const state = states.get(name);
      if (state.timer !== null) continue;
      const isAwaited = state.awaited !== null && state.awaited === pathOf(name);
      const wait = Math.max(0, state.requestedAt + (isAwaited ? PATIENCE_MS : MIN_INTERVAL_MS) - Date.now());
      state.timer = setTimeout(() => request(name), wait);
    }
  }

  /** Fetch every `ms` while the page is visible; returns how to stop. */
  function poll(name, ms) {
    refresh(name);
    const timer = setInterval(() => document.hidden || refresh(name), ms);
    return () => clearInterval(timer);
  }

  /** Store a value fetched elsewhere; responses still under way are older and are ignored. */
  function keep(name, value) {
    const state = states.get(name);
    state.receivedTurn = state.turn;
    store.set(name, value);
  }

  return { refresh, poll, keep };
}
