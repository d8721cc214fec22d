// A symbol's settings in a sentence: position size, effect of the exits, and warnings.

import { toNumber, plainNumber, money, percent } from "../lib/format.js";

/**
 * @param entry the symbol's row of /api/exchange/symbols, if known; `price` is its newest price, if known;
 * `maxRaise` is max_raise_factor.
 */
export function summaryOf(settings, { entry, price, maxRaise }) {
  const leverage = toNumber(settings.leverage);
  const notional = toNumber(settings.trade_value_usdt) * leverage;
  const warnings = [
    sizeWarning(notional, leverage, smallestOrder(entry, price), maxRaise),
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

/** The exchange's smallest order in USDT; without a price only its minimum notional is known. */
function smallestOrder(entry, price) {
  const [least, step, quantity] = [entry?.minNotional, entry?.stepSize, entry?.minQty].map(toNumber);
  if (!(price > 0 && step > 0)) return least;
  return Math.max(Math.ceil(least / price / step - 1e-9) * step, quantity) * price;
}

function sizeWarning(notional, leverage, smallest, maxRaise) {
  if (!(notional > 0 && notional < smallest)) return null;
  const factor = smallest / notional;
  const minimum = `The exchange's minimum is ${plainNumber(roundUp(smallest))} USDT, ${factor.toFixed(1)} times this size.`;
  if (factor <= maxRaise) return `${minimum} Entries are raised to it if the limits allow, else skipped.`;
  const margin = plainNumber(roundUp(smallest / leverage));
  return `${minimum} That is more than max. raise to the minimum (${maxRaise}) allows, so no entry will be made: use ${margin} USDT of margin or more.`;
}

const roundUp = (amount) => Math.ceil(amount * 100 - 1e-6) / 100;
