"""Symbols that left the settings while something was held of them: protected as they were set last, for ever."""

from src.core.desks.desk import Desk
from src.utils.config import Settings, SymbolSettings

_STATE = "symbol_settings"


def recall_retired(desk: Desk) -> None:
    """Take up those of the last run whose orders or positions are still here, and keep what is in force now."""
    known = desk.store.get_state(_STATE) or {}
    held = {symbol for symbol, _ in desk.books.holdings} | {order.symbol for order in desk.books.orders.values()}
    for symbol in sorted(held & known.keys() - desk.settings.symbols.keys()):
        desk.retired[symbol] = SymbolSettings.model_validate(known[symbol])
    _remember(desk)
    for symbol in sorted({each.position.symbol for each in desk.books.open_holdings() if each.is_ours}):
        if desk.symbol_settings(symbol) is None:
            desk.alarm(
                f"a position of {symbol} is the bot's and its symbol is not in the settings, now or before: what rests "
                "on the exchange is all that protects it. Add the symbol again, or close the position",
                symbol,
            )


def retire(desk: Desk, running: Settings) -> None:
    """Settings were replaced: what the old ones said of a symbol holds for what is held there."""
    desk.retired = {**desk.retired, **running.symbols}
    _remember(desk)


def _remember(desk: Desk) -> None:
    settings = {**desk.retired, **desk.settings.symbols}
    desk.store.set_state(_STATE, {symbol: each.model_dump(mode="json") for symbol, each in settings.items()})
