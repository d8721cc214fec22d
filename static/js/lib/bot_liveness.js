// Whether the bot and the server respond: if not, the page shows why and its buttons are disabled.

const SERVER_TIMEOUT_MS = 10_000;

/**
 * Once a second, set "now" (the server's time, ms) and "controls" ({enabled, reason, level}) in the store, both derived
 * from "health". `reason` says why the buttons are disabled.
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

/** @param fault the error of the last request for "health", if it failed. */
export function controlsFor(health, healthAgeMs, now, fault = null) {
  if (!health) return disabled(fault?.message ?? null, fault ? "loss" : "info");
  if (healthAgeMs > SERVER_TIMEOUT_MS) {
    if (fault?.status) return disabled(`${fault.message} The figures shown are out of date.`, "loss");
    return disabled(
      `No response from the dashboard server for ${seconds(healthAgeMs)}. The figures shown are out of date.`,
      "loss",
    );
  }
  const heartbeatAt = health.bot?.heartbeat_at;
  if (!heartbeatAt) return disabled("The bot has not been started yet. Start it with launcher.py.", "warn");
  if (!health.bot.alive || now - heartbeatAt > health.bot.timeout_ms) {
    return disabled(
      `The bot has not responded for ${seconds(now - heartbeatAt)}. Figures are out of date and commands are disabled.`,
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
