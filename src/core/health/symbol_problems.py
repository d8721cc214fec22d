"""Says which symbols cannot be traded as set, and why: at the start, when it changes, and on the page."""

import logging
import re
from collections.abc import Iterable
from dataclasses import asdict

from src.core.account import wallet
from src.core.context import TraderContext
from src.core.positions.liquidation_estimate import LiquidationEstimate
from src.domain.checks import Check, CheckLevel
from src.domain.enums import MarginType, PositionSide
from src.settings.symbol_checks import SymbolListing, check_symbol

log = logging.getLogger("hunter.trader")

SYMBOL_CHECKS_STATE = "symbol_checks"
_ROUND_SECONDS = 30
"""Every symbol is checked again within this time: prices and the wallet change."""
_AT_ONCE = 50
"""Symbols that are checked in one second at most: 500 at once would take the trader 0.3 s."""
_WAIT_SECONDS = 10
"""How long the first report waits for the brackets and for a price of every symbol."""
_MAX_NAMED = 20
_NUMBERS = re.compile(r"\d[\d.,]*")


class SymbolProblems:
    """Checks every configured symbol by the rules of ``--check``, in rounds of a few symbols each second."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._inputs: tuple[object, ...] = (None, None, None)
        self._seconds = self._next_round = 0
        self._due: list[str] = []
        """Symbols that the current round has not checked yet."""
        self._is_ready = False
        """Everything is known that the first report needs."""
        self._facts: dict[str, dict[str, object]] = {}
        """By symbol: what the page needs to check an edit by the same rule."""
        self._said: dict[str, str] = {}
        """By symbol: the reasons that the operator knows, without their numbers."""

    def check(self) -> None:
        """Called every second, once the account is known: start a round, continue it, and report at its end."""
        context, symbols = self._context, list(self._context.settings.symbols)
        if context.account is None:
            return
        self._seconds += 1
        if self._is_round_due(symbols):
            self._due, self._next_round = symbols, self._seconds + _ROUND_SECONDS
            self._facts = {symbol: facts for symbol, facts in self._facts.items() if symbol in context.settings.symbols}
            context.unworkable = {
                symbol: found for symbol, found in context.unworkable.items() if symbol in context.settings.symbols
            }
        elif not self._due:
            return
        now, self._due = self._due[:_AT_ONCE], self._due[_AT_ONCE:]
        for symbol in now:
            self._check_symbol(symbol)
        if not self._due:
            context.store.set_state(SYMBOL_CHECKS_STATE, {"symbols": self._facts})
            if self._is_ready:
                self._report()

    def _is_round_due(self, symbols: list[str]) -> bool:
        """Whether the settings or the exchange's rules have changed, enough is known by now, or time has passed."""
        context, was_ready = self._context, self._is_ready
        before, self._inputs = self._inputs, (context.settings, context.instruments, context.brackets)
        has_changed = any(new is not old for new, old in zip(self._inputs, before, strict=True))
        if not was_ready:
            is_known = all(symbol in context.brackets and symbol in context.mark_prices for symbol in symbols)
            self._is_ready = is_known or self._seconds >= _WAIT_SECONDS
        return has_changed or self._is_ready is not was_ready or self._seconds >= self._next_round

    def _check_symbol(self, symbol: str) -> None:
        context, settings = self._context, self._context.settings.symbols[symbol]
        side = PositionSide.LONG if context.settings.globals_.hedge_mode else PositionSide.BOTH
        backing = LiquidationEstimate(context, (symbol, side)).backing(settings.leverage, MarginType.CROSSED)
        listing = SymbolListing(
            instrument=context.instruments.get(symbol),
            price=context.mark_price(symbol),
            brackets=backing.brackets,
            balance=wallet.wallet_balance(context, wallet.margin_assets(context, symbol)),
            collateral=backing.collateral,
            is_account_known=self._is_ready,
            problem=context.incomplete_instruments.get(symbol, ""),
        )
        checks = check_symbol(symbol, settings, context.settings.globals_, listing)
        faults = tuple(each for each in checks if each.level is not CheckLevel.OK)
        context.unworkable[symbol] = faults
        rows = [{"level": each.level, "message": each.message, "remedy": each.remedy} for each in faults]
        self._facts[symbol] = {
            "price": listing.price,
            "balance": listing.balance,
            "collateral": listing.collateral,
            "brackets": [asdict(each) for each in listing.brackets],
            "checks": rows,
        }

    def _report(self) -> None:
        """Name each symbol that has become untradable, in one alert; a reason with other numbers is no news."""
        context, fresh = self._context, []
        for symbol, faults in context.unworkable.items():
            failed = untradable(faults)
            reasons = _NUMBERS.sub("#", "; ".join(each.message for each in faults))
            if reasons == self._said.get(symbol, ""):
                continue
            self._said[symbol] = reasons
            for each in faults:
                log.warning("%s", each.line)
            if failed:
                fresh.append(describe(symbol, failed))
        if fresh:
            count = sum(bool(untradable(faults)) for faults in context.unworkable.values())
            more = f" And {len(fresh) - _MAX_NAMED} more: see the settings page." if len(fresh) > _MAX_NAMED else ""
            context.warn(
                f"{count} of {len(context.settings.symbols)} symbols cannot be traded as set. "
                f"{' '.join(fresh[:_MAX_NAMED])}{more}"
            )


def untradable(faults: Iterable[Check]) -> list[Check]:
    """The faults because of which no entry is made."""
    return [each for each in faults if each.level is CheckLevel.FAIL]


def describe(symbol: str, failed: Iterable[Check]) -> str:
    """The reasons of one symbol, each with its remedy."""
    return f"{symbol}: {'; '.join(f'{each.message}: {each.remedy}' for each in failed)}."
