// Results over a period: PnL by day and symbol, equity, and liquidated volume.

import { drawBarChart } from "../lib/bar_chart.js";
import { drawLineChart } from "../lib/line_chart.js";
import { fill, patchRows, setText, setTone, show, slot, combine } from "../lib/dom.js";
import { clockTime, compact, date, toNumber, plainNumber, money, notIncluded, percent, signed, tone, humanize } from "../lib/format.js";
import { makeSegments } from "../lib/tabs.js";

export function mount(sheet, store, { onPeriod }) {
  const paint = () => {
    if (store.get("stats")) paintStats(sheet, store.get("stats"));
    if (store.get("pnl")) paintPnl(sheet, store.get("pnl"));
  };
  return combine(
    ...["stats", "pnl", "view"].map((name) => store.subscribe(name, paint)),
    store.subscribe("pnl-symbols", (rows) => paintSymbols(sheet, rows)),
    makeSegments(slot(sheet, "periods"), (button) => onPeriod(Number(button.dataset.days))),
  );
}

function paintStats(sheet, { liquidations, trades, hourly_volume: hourly }) {
  fill(sheet, {
    liquidations: compact(liquidations.total_liquidations),
    "liquidation-volume": `${compact(liquidations.total_liquidation_volume)} USDT, 24 h, symbols: ${liquidations.unique_symbols}`,
    "success-rate": percent(trades.success_rate, 1),
    "success-count": `${trades.successful_trades} of ${trades.total_trades} entries, 24 h`,
  });
  const byTime = [...hourly].sort((one, other) => one.hour - other.hour);
  paintBars(
    sheet,
    "hourly",
    byTime.map((hour) => ({
      value: toNumber(hour.volume),
      label: hourLabel(hour.hour),
      title: `${hourLabel(hour.hour)}: ${money(hour.volume, 0)} USDT`,
      tone: "accent",
    })),
  );
}

const hourLabel = (hour) => {
  const when = new Date(hour);
  return Number.isNaN(when.getTime()) ? String(hour) : `${String(when.getHours()).padStart(2, "0")}:00`;
};

function paintPnl(sheet, { totals, daily, exits, equity }) {
  fill(sheet, {
    "net-parts": `realised ${signed(totals.realized_pnl)}, fees ${signed(totals.commission)}, funding ${signed(totals.funding_fee)}${notIncluded(totals.not_included)}`,
    "win-rate": totals.trades ? percent(totals.win_rate, 1) : "—",
    "win-count": `${totals.winning_trades} won, ${totals.losing_trades} lost`,
    "profit-factor": plainNumber(totals.profit_factor),
    exits: exits.map(({ reason, trades }) => `${trades} by ${humanize(reason || "other").toLowerCase()}`).join(", "),
  });
  setSigned(slot(sheet, "net"), totals.net_pnl);
  paintEquity(sheet, equity);
  paintBars(
    sheet,
    "daily",
    daily.map((day) => ({
      value: toNumber(day.net_pnl),
      label: String(day.date).slice(5),
      title: `${day.date}: ${signed(day.net_pnl)} USDT`,
      tone: tone(day.net_pnl),
    })),
  );
}

function paintEquity(sheet, equity) {
  const points = equity.map((point) => ({ at: point.at, value: toNumber(point.equity) }));
  const isDrawn = points.length > 1;
  show(slot(sheet, "equity-empty"), !isDrawn);
  slot(sheet, "equity").toggleAttribute("hidden", !isDrawn);
  if (!isDrawn) return;
  const isShort = points.at(-1).at - points[0].at < 2 * 86_400_000;
  const formatTime = (at) => (isShort ? clockTime(at).slice(0, 5) : date(at).slice(5));
  drawLineChart(slot(sheet, "equity"), points, { formatValue: (value) => money(value), formatTime });
}

function paintBars(sheet, name, bars) {
  const hasBars = bars.some((bar) => bar.value);
  show(slot(sheet, `${name}-empty`), !hasBars);
  slot(sheet, name).toggleAttribute("hidden", !hasBars);
  if (hasBars) drawBarChart(slot(sheet, name), bars);
}

function paintSymbols(sheet, rows) {
  patchRows(slot(sheet, "symbols"), rows, {
    templateName: "symbol-result-row",
    keyOf: (row) => row.symbol,
    paint: (element, row) => {
      fill(element, {
        symbol: row.symbol,
        trades: row.trades,
        "win-rate": row.trades ? percent(row.win_rate, 0) : "—",
        realized: signed(row.realized_pnl),
        fees: signed(row.commission),
        funding: signed(row.funding_fee),
      });
      setSigned(slot(element, "net"), row.net_pnl);
    },
  });
  show(slot(sheet, "symbols-empty"), rows.length === 0);
}

function setSigned(element, value) {
  setText(element, signed(value));
  setTone(element, tone(value));
}
