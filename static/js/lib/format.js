// Formatting of values for display. Money arrives as a decimal string; no arithmetic happens here.

const ABSENT = "—";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const formatters = new Map();

const isAbsent = (value) => value === null || value === undefined || value === "";

function formatter(options) {
  const key = JSON.stringify(options);
  if (!formatters.has(key)) formatters.set(key, new Intl.NumberFormat("en-US", options));
  return formatters.get(key);
}

// Intl formats decimal strings exactly, so a price is never converted to a float.
function decimal(value, options) {
  if (isAbsent(value) || Number.isNaN(Number(value))) return ABSENT;
  return formatter(options).format(value).replace("-", "−");
}

/** "1234.5" → "1,234.50". */
export const money = (value, places = 2) =>
  decimal(value, { minimumFractionDigits: places, maximumFractionDigits: places });

/** Money with its sign: "+3.20", "−0.04", "0.00". */
export const signed = (value, places = 2) =>
  decimal(value, { minimumFractionDigits: places, maximumFractionDigits: places, signDisplay: "exceptZero" });

/** A price or quantity without trailing zeros. */
export const plainNumber = (value) => decimal(value, { maximumFractionDigits: 12 });

/** A quantity without its sign; the side is shown next to it. */
export const size = (value) => plainNumber(isAbsent(value) ? value : String(value).replace(/^-/, ""));

/** A computed price, rounded to six significant digits. */
export const roughPrice = (value) => decimal(value, { maximumSignificantDigits: 6 });

/** "1834000" → "1.83M", for volumes. */
export const compact = (value) => decimal(value, { notation: "compact", maximumSignificantDigits: 3 });

/** A value that is already in percent: "2.5" → "2.50 %". */
export function percent(value, places = 2, options = {}) {
  const text = decimal(value, { minimumFractionDigits: places, maximumFractionDigits: places, ...options });
  return text === ABSENT ? text : `${text} %`;
}

export const signedPercent = (value, places = 2) => percent(value, places, { signDisplay: "exceptZero" });

/** A value as a float, for charts and comparisons only; NaN if it is absent. */
export const toNumber = (value) => (isAbsent(value) ? Number.NaN : Number(value));

/** The sign of the rounded value: −0.001 is shown as 0.00 and counts as neither gain nor loss. */
export const signOf = (value, places = 2) => Math.sign(Number(toNumber(value).toFixed(places))) || 0;

/** An arrow that repeats what the colour says. */
export const arrow = (value, places) => ["▼", "", "▲"][signOf(value, places) + 1];

export const tone = (value, places) => ["loss", "flat", "gain"][signOf(value, places) + 1];

/** A duration in ms as text: "0.4 s", "12 s", "3 min", "5 h 20 min", "2 d 4 h". */
export function span(ms) {
  if (isAbsent(ms)) return ABSENT;
  const rest = Math.max(0, ms);
  if (rest < 10_000) return `${(rest / 1000).toFixed(1)} s`;
  if (rest < MINUTE) return `${Math.floor(rest / 1000)} s`;
  if (rest < HOUR) return `${Math.floor(rest / MINUTE)} min`;
  if (rest < DAY) return `${Math.floor(rest / HOUR)} h ${Math.floor((rest % HOUR) / MINUTE)} min`;
  return `${Math.floor(rest / DAY)} d ${Math.floor((rest % DAY) / HOUR)} h`;
}

const two = (number) => String(number).padStart(2, "0");

export function clockTime(at) {
  if (isAbsent(at)) return ABSENT;
  const when = new Date(at);
  return `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
}

export function date(at) {
  if (isAbsent(at)) return ABSENT;
  const when = new Date(at);
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

export const dateTime = (at) => (isAbsent(at) ? ABSENT : `${date(at)} ${clockTime(at)}`);

/** "take_profit_pct" → "Take profit pct"; "STOP_LOSS" → "Stop loss". */
export function humanize(name) {
  if (isAbsent(name)) return ABSENT;
  const spaced = String(name).replaceAll("_", " ").toLowerCase();
  return capitalize(spaced);
}

export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A message of the bot as a sentence: "entries resumed" → "Entries resumed." */
export const sentence = (text) => (/[.!?…]$/.test(text) ? capitalize(text) : `${capitalize(text)}.`);

/** The tone of each mode that the server reports (`mode`). */
export const MODE_TONES = { PAPER: "accent", SANDBOX: "special", TESTNET: "warn", LIVE: "loss" };

/** Name amounts in assets whose price is not known; they are part of no sum. */
export const notIncluded = (amounts) => (amounts?.length ? ` (not included: ${amounts.join(", ")})` : "");
