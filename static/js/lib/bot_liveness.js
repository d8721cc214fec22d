// Is what the page shows still true, and may its buttons act? A silent bot cannot be asked for anything.

const BOT_TIMEOUT_MS = 15_000;
const SERVER_TIMEOUT_MS = 10_000;

/**
 * Once a second, out of "health": "now" is the server's time (ms); "controls" is {enabled, reason, level}, with the
 * one sentence that says why nothing can be asked of the bot.
 */
export function watchBotLiveness(store) {
  let offsetMs = 0;
  store.subscribe("health", (health) => {
    offsetMs = health.timestamp - Date.now();
    update();
  });
  store.subscribe("fault:health", update);

  function update() {
    const now = Date.now() + offsetMs;
    store.set("now", now);
    store.set("controls", controlsFor(store.get("health"), store.ageOf("health"), now, store.get("fault:health")));
  }

  const timer = setInterval(update, 1000);
  return () => clearInterval(timer);
}

/** @param fault why the last question for "health" failed, if it did. */
export function controlsFor(health, healthAgeMs, now, fault = null) {
  if (!health) return disabled(fault?.message ?? null, fault ? "loss" : "info");
  if (healthAgeMs > SERVER_TIMEOUT_MS) {
    if (fault?.status) return disabled(`${fault.message} What you see is old.`, "loss");
    return disabled(`The dashboard server has not answered for ${seconds(healthAgeMs)}. What you see is old.`, "loss");
  }
  const heartbeatAt = health.bot?.heartbeat_at;
  if (!heartbeatAt) return disabled("The bot has never run with this database: start it with launcher.py.", "warn");
  if (!health.bot.alive || now - heartbeatAt > BOT_TIMEOUT_MS) {
    return disabled(
      `The bot has been silent for ${seconds(now - heartbeatAt)}: figures are old, and nothing can be asked of it.`,
      "loss",
    );
  }
  return { enabled: true, reason: null, level: "info" };
}

const disabled = (reason, level) => ({ enabled: false, reason, level });

function seconds(ms) {
  const whole = Math.round(ms / 1000);
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}
