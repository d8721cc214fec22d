"""Asks for a person's word in the terminal the bot was started in, while the bot already protects what is open."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from src.core.plans.live_terms import LiveTerms
from src.domain.consent import WORD, is_agreement

_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True)
class TermsTyped:
    """A person at the terminal has agreed to the terms of this fingerprint."""

    fingerprint: str


def ask_in_terminal(terms: LiveTerms, post: Callable[[TermsTyped], None]) -> None:
    """In the background, and only where a person sits at standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        arguments = (terms, _read_line, print, post)
        threading.Thread(target=ask_until_agreed, args=arguments, name="consent", daemon=True).start()


def ask_until_agreed(
    terms: LiveTerms, read_line: Callable[[], str], say: Callable[[str], None], post: Callable[[TermsTyped], None]
) -> None:
    """Until the word is typed, or standard input ends."""
    say("\n".join(sheet(terms)))
    while line := read_line():
        if is_agreement(line, terms.account):
            post(TermsTyped(terms.fingerprint))
            return
        say(f"Not agreed: no entry is made. Type {WORD} to agree, or Ctrl-C to stop the bot.")


def sheet(terms: LiveTerms) -> Iterator[str]:
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
    yield f"Entries wait; what is open is protected. Type {WORD} to agree:"


def _read_line() -> str:
    """Not by ``sys.stdin``: its lock would be held when the interpreter ends. Empty at the end of input."""
    try:
        return os.read(sys.stdin.fileno(), _LONGEST_LINE).decode("utf-8", "replace")
    except OSError:
        return ""
