// Wishes sent to the bot. A wish is pending until the journal tells what became of it: the page never guesses.

import { newNonce } from "./api.js";

const PATIENCE_MS = 20_000;
const REMEMBERED = 50;

/**
 * `pending` in the store maps a key ("entries", "close:BTCUSDT:LONG") to the wish; what ends it comes from the journal.
 * `tell(level, text)` says what a person must read.
 */
export function createCommands(api, store, tell) {
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
      setTimeout(() => giveUp(key, id), PATIENCE_MS);
      settle();
    } catch (error) {
      forget(key);
      tell("error", `${name}: ${error.message}`);
    }
  }

  function giveUp(key, id) {
    const wish = store.get("pending").get(key);
    if (wish?.id !== id) return;
    forget(key);
    tell("warn", `${wish.name}: the bot has not confirmed it yet. Look at its positions and its log.`);
  }

  /** A journal entry of kind "command": the bot says what it did, under the wish's number. */
  function hear({ payload }) {
    outcomes.set(payload.id, payload.message);
    if (outcomes.size > REMEMBERED) outcomes.delete(outcomes.keys().next().value);
    settle();
  }

  function settle() {
    for (const [key, { name, id }] of store.get("pending")) {
      if (!outcomes.has(id)) continue;
      forget(key);
      tell("info", `${name}: ${outcomes.get(id)}.`);
    }
  }

  return { send, hear };
}
