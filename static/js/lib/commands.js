// Commands sent to the bot. A command stays pending until the journal reports its outcome; the page never guesses it.

import { newNonce } from "./api.js";
import { sentence } from "./format.js";

const TIMEOUT_MS = 20_000;
const MAX_OUTCOMES = 50;

/**
 * `pending` in the store maps a key ("entries", "close:BTCUSDT:LONG") to its unconfirmed command.
 * `notify(level, text)` shows a notification.
 */
export function createCommands(api, store, notify) {
  const outcomes = new Map(); // by command id: the bot may report before the server's response arrives
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
    notify("warn", `${command.name}: not confirmed by the bot after 20 s. Check its positions and its log.`);
  }

  /** A journal entry of kind "command": what the bot did with the command of that id. */
  function onEvent({ payload }) {
    outcomes.set(payload.id, payload.message);
    if (outcomes.size > MAX_OUTCOMES) outcomes.delete(outcomes.keys().next().value);
    settle();
  }

  function settle() {
    for (const [key, { id }] of store.get("pending")) {
      if (!outcomes.has(id)) continue;
      forget(key);
      notify("info", sentence(outcomes.get(id)));
    }
  }

  return { send, onEvent };
}
