// A symbol's settings in a sentence: position size, effect of the exits, and warnings.

import { toNumber, plainNumber, money, percent } from "../lib/format.js";

/** @param entry the symbol's row of /api/exchange/symbols, if known. */
export function summaryOf(settings, entry) {
  const leverage = toNumber(settings.leverage);
  const notional = toNumber(settings.trade_value_usdt) * leverage;
  const smallest = toNumber(entry?.minNotional);
  const warnings = [
    notional < smallest &&
      `The exchange's minimum is ${plainNumber(smallest)} USDT. ` +
        "Smaller entries are raised to it if the limits allow, else skipped.",
    settings.stop_loss_enabled === false && "Without a stop loss, a losing position ends only by liquidation.",
    toNumber(settings.stop_loss_pct) * leverage >= 100 &&
      "The stop loss is beyond the liquidation price, so no entry will be made.",
  ].filter(Boolean);
  const effects =
    `Each entry uses ${plainNumber(settings.trade_value_usdt)} USDT of margin for a ${money(notional)} USDT position. ` +
    `Take profit gains ${effect(settings.take_profit_pct, leverage)} of that margin, ` +
    `stop loss costs ${effect(settings.stop_loss_pct, leverage)}.`;
  return { text: [effects, ...warnings].join(" "), isWarning: warnings.length > 0 };
}

const effect = (distance, leverage) => percent(toNumber(distance) * leverage, 0);
