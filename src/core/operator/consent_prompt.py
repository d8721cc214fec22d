"""Asks for a person's word in the terminal the bot was started in, while the bot already protects what is open."""

import os
import sys
import threading
from collections.abc import Callable, Iterator

from src.core.events import ConsentTyped
from src.core.limits.risk_terms import RiskTerms
from src.domain.commands import CONFIRM_WORD, is_confirmation

_MAX_LINE = 1000


def prompt_in_terminal(terms: RiskTerms, post: Callable[[ConsentTyped], None]) -> None:
    """In the background, and only where a person sits at standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        arguments = (terms, _read_line, print, post)
        threading.Thread(target=prompt_until_agreed, args=arguments, name="consent", daemon=True).start()


def prompt_until_agreed(
    terms: RiskTerms, read_line: Callable[[], str], say: Callable[[str], None], post: Callable[[ConsentTyped], None]
) -> None:
    """Until the word is typed, or standard input ends."""
    say("\n".join(terms_text(terms)))
    while line := read_line():
        if is_confirmation(line, terms.account):
            post(ConsentTyped(terms.fingerprint))
            return
        say(f"Not agreed: no entry is made. Type {CONFIRM_WORD} to agree, or Ctrl-C to stop the bot.")


def terms_text(terms: RiskTerms) -> Iterator[str]:
    """What is agreed to, line by line."""
    yield f"\nREAL ORDERS on the {terms.network} for {terms.account}."
    mode = "a long and a short of a symbol apart (hedge)" if terms.hedge_mode else "one position a symbol (one-way)"
    assets = ", every asset as margin" if terms.multi_assets_mode else ""
    yield f"At most {terms.max_total_exposure_usdt:f} USDT of margin in all; {mode}{assets}."
    if terms.adopt_foreign_positions:
        yield "Positions that you opened by hand are taken over."
    for name, each in terms.symbols.items():
        stop = "NO STOP LOSS" if each.stop_loss_pct is None else f"stop {each.stop_loss_pct:f} %"
        size = f"{each.trade_value_usdt:f} USDT x{each.leverage} = {each.notional:f} USDT an entry"
        yield f"  {name}: {size}, at most {each.max_position_usdt:f} USDT of margin, {each.margin_type}, {stop}"
    yield f"Entries wait; what is open is protected. Type {CONFIRM_WORD} to agree:"


def _read_line() -> str:
    """Not by ``sys.stdin``: its lock would be held when the interpreter ends. Empty at the end of input."""
    try:
        return os.read(sys.stdin.fileno(), _MAX_LINE).decode("utf-8", "replace")
    except OSError:
        return ""
