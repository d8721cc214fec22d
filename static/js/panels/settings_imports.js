// What was imported from other bots: the notes of each import, and the trades, which count in no result.

import { closesOutside } from "../lib/dialogs.js";
import { fill, on, patchRows, setTone, show, slot } from "../lib/dom.js";
import { date, dateTime, humanize, plainNumber, signed, toNumber, tone } from "../lib/format.js";

const ROWS = 100;
const PROGRAMS = { older: "the older bot", node: "the node bot" };
const NOTHING =
  "Nothing yet. python main.py --import-settings FILE takes over the settings of another bot, and --import-db FILE the history in its database.";

/** Open the list of imports, newest first. */
export async function showImports({ api, notify }) {
  let found;
  try {
    found = await api.get(`/api/imports?limit=${ROWS}`);
  } catch (error) {
    notify("error", `Could not load the imports. ${error.message}`);
    return;
  }
  const dialog = document.getElementById("imports");
  paintImports(dialog, found);
  const undo = [
    on(slot(dialog, "leave"), "click", () => dialog.close()),
    closesOutside(dialog),
    on(dialog, "close", () => undo.forEach((each) => each())),
  ];
  dialog.showModal();
}

function paintImports(dialog, { imports, liquidations, trades, newest_trades }) {
  const parts = [...liquidations.map((part) => partText(part, "liquidation")), ...trades.map((part) => partText(part, "trade"))];
  const lead = parts.length > 0 ? `${parts.join(" ")} They count in no position, statistic or limit of this bot.` : NOTHING;
  fill(dialog, { lead: imports.length > 0 && parts.length === 0 ? "" : lead });
  patchRows(slot(dialog, "imports"), imports, {
    templateName: "import-row",
    keyOf: ({ id }) => id,
    paint: (row, { imported_at, source, summary, notes }) =>
      fill(row, { at: dateTime(imported_at), summary: `${source}: ${summary}`, notes: notes.join("\n") }),
  });
  show(slot(dialog, "trades-part"), newest_trades.length > 0);
  patchRows(slot(dialog, "trades"), newest_trades, { templateName: "imported-trade-row", keyOf: ({ id }) => id, paint: paintTrade });
}

const partText = ({ program, count, first_at, last_at }, name) =>
  `${plainNumber(count)} ${name}${count === 1 ? "" : "s"} of ${PROGRAMS[program]}, ${date(first_at)} to ${date(last_at)}.`;

function paintTrade(row, trade) {
  const isFilled = toNumber(trade.filled_quantity) > 0;
  fill(row, {
    time: dateTime(trade.recorded_at),
    symbol: trade.symbol,
    side: trade.side,
    quantity: plainNumber(isFilled ? trade.filled_quantity : trade.quantity),
    price: plainNumber(isFilled ? trade.average_price : trade.price),
    status: humanize(trade.status),
    realized: signed(trade.realized_pnl, 4),
  });
  setTone(slot(row, "side"), trade.side === "BUY" ? "gain" : "loss");
  setTone(slot(row, "realized"), tone(trade.realized_pnl));
}
