// The dashboard: which data is fetched from the server, when, and which panel shows it.

import { createApi } from "./lib/api.js";
import { createCommands } from "./lib/commands.js";
import { setText, combine } from "./lib/dom.js";
import { watchBotLiveness } from "./lib/bot_liveness.js";
import { humanize } from "./lib/format.js";
import { createPoller } from "./lib/polling.js";
import { followSharedStream } from "./lib/shared_stream.js";
import { createStore } from "./lib/store.js";
import { makeTabs } from "./lib/tabs.js";
import { followTheme } from "./lib/theme.js";
import * as account from "./panels/account.js";
import * as chart from "./panels/chart.js";
import * as liquidationFeed from "./panels/liquidation_feed.js";
import * as goingLive from "./panels/going_live.js";
import * as log from "./panels/log.js";
import * as notifications from "./panels/notifications.js";
import * as orders from "./panels/orders.js";
import * as positionQuestions from "./panels/position_questions.js";
import * as positions from "./panels/positions.js";
import * as settings from "./panels/settings.js";
import * as statistics from "./panels/statistics.js";
import * as status from "./panels/status.js";
import * as trades from "./panels/trades.js";

/** The data to fetch again after each kind of journal event. */
const STALE_AFTER = {
  liquidation: ["liquidations", "chart"],
  decision: ["liquidations"],
  order: ["orders", "trades", "health"],
  fill: ["positions", "orders", "trades", "chart", "account", "health"],
  protection: ["positions", "orders", "chart"],
  position: ["positions", "account", "health", "trades", "chart"],
  account: ["account", "positions", "health"],
  state: ["health", "live", "journal"],
  alert: ["health", "journal", "config"],
  settings: ["config", "journal", "health"],
  command: ["journal", "health", "live", "orders", "positions"],
};

/** How often each is fetched without an event: ages and mark prices change all the time. */
const POLLED_MS = {
  health: 2_000,
  positions: 3_000,
  account: 5_000,
  orders: 10_000,
  liquidations: 10_000,
  trades: 20_000,
  journal: 20_000,
  candles: 5_000,
  chart: 10_000,
  stats: 60_000,
  pnl: 60_000,
  "pnl-symbols": 60_000,
};

const byId = (id) => document.getElementById(id);
const token = document.querySelector('meta[name="hunter-token"]').content;

function pathsFor(choice) {
  const ofSymbol = (path) => () => (choice.symbol ? path(encodeURIComponent(choice.symbol)) : null);
  return {
    health: "/api/health",
    live: "/api/live-consent",
    account: "/api/account",
    positions: "/api/positions",
    orders: "/api/orders",
    liquidations: "/api/liquidations?limit=400&hours=24",
    trades: "/api/trades?limit=100&hours=168",
    journal: () => `/api/journal?limit=400&kind=${choice.kinds}`,
    candles: ofSymbol((symbol) => `/api/klines?symbol=${symbol}&interval=${choice.interval}&limit=500`),
    chart: ofSymbol((symbol) => `/api/chart?symbol=${symbol}`),
    stats: "/api/stats?hours=24",
    pnl: () => `/api/pnl/stats?days=${choice.days}`,
    "pnl-symbols": () => `/api/pnl/symbols?days=${choice.days}`,
    config: "/api/config/in-force",
    schema: "/api/config/schema",
    symbols: "/api/exchange/symbols",
  };
}

function start() {
  const store = createStore();
  const api = createApi(token);
  const notify = notifications.mount(byId("notices"));
  const commands = createCommands(api, store, notify);
  const choice = { symbol: null, interval: "1m", days: 7, kinds: log.DEFAULT_KINDS };
  const paths = pathsFor(choice);
  const poller = createPoller(api, store, paths);

  function onEvent({ kind, data }) {
    if (kind === "hello" || kind === "reset") poller.refresh(...Object.keys(paths));
    const entry = JSON.parse(data);
    if (kind === "command") commands.onEvent(entry);
    if (kind === "alert") notify("warn", log.messageOf(entry));
    poller.refresh(...(STALE_AFTER[kind] ?? []));
  }

  // The journal also has the events that the stream missed while it was disconnected.
  store.subscribe("journal", (entries) => entries.filter((entry) => entry.kind === "command").forEach(commands.onEvent));
  followTheme(byId("theme"), store);
  const undo = combine(
    mountPanels({ store, api, notify, commands, choice, poller }),
    watchBotLiveness(store),
    followSharedStream({ onEvent, onState: (state) => store.set("stream", state) }),
    ...Object.entries(POLLED_MS).map(([name, ms]) => poller.poll(name, ms)),
  );
  poller.refresh("config", "schema", "symbols", "live");
  window.addEventListener("pagehide", undo, { once: true });
}

function mountPanels({ store, api, notify, commands, choice, poller }) {
  return combine(
    status.mount(byId("status"), store, { banner: byId("banner"), commands }),
    positionQuestions.mount(byId("position-questions"), store, { commands }),
    account.mount(byId("account"), store),
    positions.mount(byId("book-positions"), store, { count: byId("count-positions"), commands }),
    orders.mount(byId("book-orders"), store, { count: byId("count-orders"), commands }),
    trades.mount(byId("book-trades"), store, { api, notify }),
    liquidationFeed.mount(byId("feed"), store),
    goingLive.mount(byId("going-live"), store, { api, notify, refresh: () => poller.refresh("live") }),
    chart.mount(byId("chart"), store, {
      onChoose: (chosen) => {
        Object.assign(choice, chosen);
        poller.refresh("candles", "chart");
      },
    }),
    statistics.mount(byId("statistics"), store, {
      onPeriod: (days) => {
        choice.days = days;
        poller.refresh("pnl", "pnl-symbols");
      },
    }),
    settings.mount(byId("settings"), store, {
      api,
      notify,
      commands,
      keep: (config) => poller.keep("config", config),
      onSaved: () => poller.refresh("config", "health"),
    }),
    log.mount(byId("journal"), store, {
      onKinds: (kinds) => {
        choice.kinds = kinds;
        poller.refresh("journal");
      },
    }),
    makeTabs(document.querySelector('[data-tabs="view"]'), {
      inAddress: true,
      onChoose: (id) => store.set("view", id),
    }),
    makeTabs(document.querySelector('[data-tabs="book"]')),
    ...["positions", "orders", "trades"].map((name) =>
      store.subscribe(`fault:${name}`, (fault) =>
        setText(byId("books-fault"), fault ? `${humanize(name)}: ${fault.message}` : ""),
      ),
    ),
  );
}

start();
