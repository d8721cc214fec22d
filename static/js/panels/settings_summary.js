// A symbol's settings in a sentence: position size, effect of the exits, and warnings.
// What prevents entries comes from the server, which checks unsaved settings by the rules of the bot.

import { toNumber, plainNumber, money, percent } from "../lib/format.js";

/**
 * @param entry the symbol's row of /api/exchange/symbols, if known; `price` is its newest price, if known;
 * `maxRaise` is max_raise_factor, `checks` what the server found.
 */
export function summaryOf(settings, { entry, price, maxRaise, checks }) {
  const leverage = toNumber(settings.leverage);
  const notional = toNumber(settings.trade_value_usdt) * leverage;
  const warnings = [
    sizeWarning(notional, leverage, smallestOrder(entry, price), maxRaise),
    ...checks.filter(({ message }) => !message.startsWith(OF_SIZE)).map(sentenceOf),
  ].filter(Boolean);
  const effects =
    `Each entry uses ${plainNumber(settings.trade_value_usdt)} USDT of margin for a ${money(notional)} USDT position. ` +
    `Take profit gains ${effect(settings.take_profit_pct, leverage)} of that margin, ` +
    `stop loss costs ${effect(settings.stop_loss_pct, leverage)}.`;
  return { text: [effects, ...warnings].join(" "), isWarning: warnings.length > 0 };
}

/** Starts a message about the order size, which the page words itself, at once. */
const OF_SIZE = "the minimum order is";

function sentenceOf({ level, message, remedy }) {
  const consequence = level === "fail" && !message.endsWith("no entry is made") ? ", so no entry will be made" : "";
  return `${message[0].toUpperCase()}${message.slice(1)}${consequence}: ${remedy}.`;
}

/**
 * Asks the server what is wrong with the settings shown, and calls `onAnswer` when the answer to the newest question
 * has come. Nothing is said of faulty settings: the form marks them when they are saved.
 */
export function createChecker(api, onAnswer) {
  let [asked, symbol, checks, timer] = ["", null, [], 0];
  return function checksOf(question) {
    if (question.symbol !== symbol) [symbol, checks] = [question.symbol, []];
    const text = JSON.stringify(question);
    if (text === asked) return checks;
    asked = text;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await api.post("/api/config/check", question).catch(() => ({ checks: [] }));
      if (text !== asked) return;
      checks = answer.checks;
      onAnswer();
    }, CHECK_AFTER_MS);
    return checks;
  };
}

const CHECK_AFTER_MS = 250;

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
