// What a symbol's settings amount to, before any money is risked: size, effect of the exits, and what cannot work.

import { toNumber, plainNumber, money, percent } from "../lib/format.js";

/** @param entry the symbol's line of /api/exchange/symbols, where it is known. */
export function summaryOf(settings, entry) {
  const leverage = toNumber(settings.leverage);
  const notional = toNumber(settings.trade_value_usdt) * leverage;
  const smallest = toNumber(entry?.minNotional);
  const warnings = [
    notional < smallest &&
      `The exchange asks for at least ${plainNumber(smallest)} USDT: each entry is raised to that where the caps allow, else skipped.`,
    settings.stop_loss_enabled === false && "Without a stop loss only the liquidation ends a losing position.",
    toNumber(settings.stop_loss_pct) * leverage >= 100 &&
      "The stop loss lies beyond the liquidation price: no entry will be made.",
  ].filter(Boolean);
  const effects =
    `Each entry binds ${plainNumber(settings.trade_value_usdt)} USDT of margin for ${money(notional)} USDT of position. ` +
    `The take profit is ${effect(settings.take_profit_pct, leverage)} of that margin, the stop loss ${effect(settings.stop_loss_pct, leverage)}.`;
  return { text: [effects, ...warnings].join(" "), isWarning: warnings.length > 0 };
}

const effect = (distance, leverage) => percent(toNumber(distance) * leverage, 0);
