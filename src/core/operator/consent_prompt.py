"""Asks in the bot's terminal to confirm live trading, while the bot already protects open positions."""

import os
import sys
import threading
from collections.abc import Callable, Iterator

from src.core.events import ConsentTyped
from src.core.limits.risk_terms import RiskTerms
from src.domain.commands import CONFIRM_WORD, is_confirmation
from src.domain.enums import LiquidationAction

_MAX_LINE = 1000


def prompt_in_terminal(terms: RiskTerms, post: Callable[[ConsentTyped], None]) -> None:
    """Prompt in the background, if standard input is a terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        arguments = (terms, _read_line, print, post)
        threading.Thread(target=prompt_until_agreed, args=arguments, name="consent", daemon=True).start()


def prompt_until_agreed(
    terms: RiskTerms, read_line: Callable[[], str], say: Callable[[str], None], post: Callable[[ConsentTyped], None]
) -> None:
    """Prompt until the terms are confirmed or standard input ends."""
    say("\n".join(terms_text(terms)))
    while line := read_line():
        if is_confirmation(line, terms.account):
            post(ConsentTyped(terms.fingerprint))
            return
        say(f"Not confirmed: entries are blocked. Type {CONFIRM_WORD} to confirm, or Ctrl-C to stop the bot.")


def terms_text(terms: RiskTerms) -> Iterator[str]:
    """The terms to confirm, line by line."""
    yield f"\nREAL ORDERS on the {terms.network} for {terms.account}."
    mode = "hedge mode" if terms.hedge_mode else "one-way mode"
    assets = ", all assets used as margin" if terms.multi_assets_mode else ""
    yield f"Max total margin {terms.max_total_exposure_usdt:f} USDT; {mode}{assets}."
    if terms.adopt_foreign_positions:
        yield "Positions you opened manually are adopted."
    if terms.on_liquidation_near is LiquidationAction.ALERT:
        yield "A position that would be liquidated before its stop loss is only reported."
    for name, each in terms.symbols.items():
        stop = "NO STOP LOSS" if each.stop_loss_pct is None else f"stop {each.stop_loss_pct:f} %"
        size = f"{each.trade_value_usdt:f} USDT x{each.leverage} = {each.notional:f} USDT per entry"
        yield f"  {name}: {size}, max margin {each.max_position_usdt:f} USDT, {each.margin_type}, {stop}"
    yield f"Entries are blocked, open positions are protected. Type {CONFIRM_WORD} to confirm:"


def _read_line() -> str:
    """Read a line, empty at the end of input. Bypasses ``sys.stdin``: its lock would be held at exit."""
    try:
        return os.read(sys.stdin.fileno(), _MAX_LINE).decode("utf-8", "replace")
    except OSError:
        return ""
