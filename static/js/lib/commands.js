// Wishes sent to the bot. A wish is pending until the journal tells what became of it: the page never guesses.

import { newNonce } from "./api.js";

const PATIENCE_MS = 20_000;

/**
 * `pending` in the store maps a key ("pause", "close:BTCUSDT:LONG") to the wish; `confirmed` comes from the journal.
 * `tell(level, text)` says what a person must read.
 */
export function createCommands(api, store, tell) {
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
      const answer = await api.post(path, { ...body, nonce: newNonce() });
      change((pending) => pending.set(key, { name, id: answer.command_id }));
      setTimeout(() => giveUp(key, answer.command_id), PATIENCE_MS);
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
    for (const [key, wish] of store.get("pending")) {
      if (wish.id === null || wish.id !== payload.id) continue;
      forget(key);
      tell("info", `${wish.name}: ${payload.message}.`);
    }
  }

  return { send, hear };
}
