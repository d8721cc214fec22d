// Wishes sent to the bot. A wish is pending until the journal tells what became of it: the page never guesses.

import { newNonce } from "./api.js";

const TIMEOUT_MS = 20_000;
const MAX_OUTCOMES = 50;

/**
 * `pending` in the store maps a key ("entries", "close:BTCUSDT:LONG") to the wish; what ends it comes from the journal.
 * `notify(level, text)` says what a person must read.
 */
export function createCommands(api, store, notify) {
  const outcomes = new Map(); // by the wish's number: the bot may answer before the server's reply is here
  store.set("pending", new Map());

  function change(edit) {
    const pending = new Map(store.get("pending"));
    edit(pending);
    store.set("pending", pending);
  }

  const forget = (key) => change((pending) => pending.delete(key));

  async function send(key, name, path, body) {
    if (store.get("pending").has(key)) return;
    change((pending) => pending.set(key, { name, id: null }));
    try {
      const { command_id: id } = await api.post(path, { ...body, nonce: newNonce() });
      change((pending) => pending.set(key, { name, id }));
      setTimeout(() => onTimeout(key, id), TIMEOUT_MS);
      settle();
    } catch (error) {
      forget(key);
      notify("error", `${name}: ${error.message}`);
    }
  }

  function onTimeout(key, id) {
    const command = store.get("pending").get(key);
    if (command?.id !== id) return;
    forget(key);
    notify("warn", `${command.name}: the bot has not confirmed it yet. Look at its positions and its log.`);
  }

  /** A journal entry of kind "command": the bot says what it did, under the wish's number. */
  function onEvent({ payload }) {
    outcomes.set(payload.id, payload.message);
    if (outcomes.size > MAX_OUTCOMES) outcomes.delete(outcomes.keys().next().value);
    settle();
  }

  function settle() {
    for (const [key, { name, id }] of store.get("pending")) {
      if (!outcomes.has(id)) continue;
      forget(key);
      notify("info", `${name}: ${outcomes.get(id)}.`);
    }
  }

  return { send, onEvent };
}
