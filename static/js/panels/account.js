// The account strip: equity, margin in use, and today's result.

import { fill, setFill, setText, setTone, slot, combine } from "../lib/dom.js";
import { arrow, toNumber, money, notIncluded, percent, signed, signOf, span, tone } from "../lib/format.js";

const STALE_MS = 30_000;

export function mount(strip, store) {
  const paint = () => {
    const [account, health] = [store.get("account"), store.get("health")];
    if (account) paintAccount(strip, account, store.get("positions")?.length ?? 0);
    if (health) paintHealth(strip, health);
    if (account) paintAge(strip, account.as_of, store.get("now"));
  };
  return combine(...["account", "health", "positions", "now"].map((name) => store.subscribe(name, paint)));
}

function paintAccount(strip, account, count) {
  const equity = toNumber(account.totalMarginBalance);
  fill(strip, {
    equity: money(account.totalMarginBalance),
    wallet: Number.isFinite(equity) ? `wallet ${money(account.totalWalletBalance)}` : "",
    available: money(account.availableBalance),
    "available-share": equity > 0 ? `${percent((toNumber(account.availableBalance) / equity) * 100, 0)} of equity` : "",
    "open-count": count === 1 ? "1 position" : `${count} positions`,
  });
  setSigned(slot(strip, "unrealized"), account.totalUnrealizedProfit);
  setText(slot(strip, "ratio"), percent(account.margin_ratio));
  setUsage(slot(strip, "ratio-bar"), toNumber(account.margin_ratio) / 100);
}

function paintHealth(strip, { exposure, today, drawdown_pct: drawdown }) {
  const share = toNumber(exposure?.margin) / toNumber(exposure?.cap);
  fill(strip, {
    exposure: `${money(exposure?.margin)} / ${money(exposure?.cap, 0)}`,
    notional: `notional ${money(exposure?.notional, 0)}`,
    drawdown: drawdown === null || drawdown === undefined ? "—" : percent(drawdown),
    "today-parts": `realised ${signed(today?.realized_pnl)}, fees ${signed(today?.commission)}, funding ${signed(today?.funding)}${notIncluded(today?.not_included)}`,
  });
  slot(strip, "today-parts").title = slot(strip, "today-parts").textContent;
  setTone(slot(strip, "drawdown"), toNumber(drawdown) ? "loss" : "flat");
  setSigned(slot(strip, "today"), today?.net);
  setUsage(slot(strip, "exposure-bar"), share);
}

/** Show how much of a limit is used: normal, yellow above 70 %, red above 90 %. */
function setUsage(bar, share) {
  setFill(bar, share);
  setTone(bar, share > 0.9 ? "loss" : share > 0.7 ? "warn" : "accent");
}

function setSigned(element, value) {
  setText(element, signOf(value) ? `${arrow(value)} ${signed(value)}` : signed(value));
  setTone(element, tone(value));
}

function paintAge(strip, at, now) {
  const isStale = Boolean(at) && now - at > STALE_MS;
  strip.classList.toggle("is-stale", isStale);
  strip.title = isStale ? `Last updated ${span(now - at)} ago` : "";
}
