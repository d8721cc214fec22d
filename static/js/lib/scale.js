// Where a time and a price lie on the chart, and which round prices deserve a line.

/** A window onto candles: `from` and `to` are times (ms), `low` and `high` prices, the rest pixels. */
export function createScale({ from, to, low, high, width, height }) {
  return {
    from,
    to,
    width,
    height,
    x: (at) => ((at - from) / (to - from)) * width,
    y: (price) => ((high - price) / (high - low)) * height,
    timeAt: (x) => from + (x / width) * (to - from),
    priceAt: (y) => high - (y / height) * (high - low),
    holds: (price) => price >= low && price <= high,
    low,
    high,
  };
}

/** The price range of what is seen, with air above and below; prices of lines count while they are near. */
export function priceRange(candles, lines) {
  let low = Math.min(...candles.map((candle) => candle.low));
  let high = Math.max(...candles.map((candle) => candle.high));
  const reach = Math.max(high - low, high * 0.002);
  for (const price of lines) {
    if (price > low - reach * 0.8 && price < high + reach * 0.8) {
      low = Math.min(low, price);
      high = Math.max(high, price);
    }
  }
  const air = (high - low || high * 0.002) * 0.08;
  return { low: low - air, high: high + air };
}

/** Round steps (1, 2, 5 × 10ⁿ) between low and high, about `count` of them. */
export function niceSteps(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough);
  const steps = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) steps.push(value);
  return steps;
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 10080].map((minutes) => minutes * 60_000);

/** Round local times between two instants, about `count` of them. */
export function timeSteps(from, to, count) {
  const step = TIME_STEPS.find((ms) => (to - from) / ms <= count) ?? TIME_STEPS.at(-1);
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const steps = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) steps.push(at);
  return steps;
}
