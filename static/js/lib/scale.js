// Converts times and prices to chart pixels, and picks round values for the grid.

/** The visible range: `from` and `to` are times (ms), `low` and `high` prices, `width` and `height` pixels. */
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

/** The price range of the visible candles and of nearby lines, with a margin above and below. */
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

/** About `count` round values (1, 2 or 5 × 10ⁿ apart) between `low` and `high`. */
export function niceSteps(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough);
  const steps = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) steps.push(value);
  return steps;
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 10080].map((minutes) => minutes * 60_000);

/** About `count` round local times between two instants. */
export function timeSteps(from, to, count) {
  const step = TIME_STEPS.find((ms) => (to - from) / ms <= count) ?? TIME_STEPS.at(-1);
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const steps = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) steps.push(at);
  return steps;
}
