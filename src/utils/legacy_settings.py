"""Settings of the older bot that have no work to do here, each with its reason: read, named once at start, ignored."""

from collections.abc import Mapping
from typing import Any

OBSOLETE_GLOBALS: Mapping[str, str] = {
    "batch_orders": "every order is sent and recorded by itself, so that a lost answer concerns one order only",
    "enable_order_consolidation": "protection belongs to the position: there is nothing to consolidate",
    "use_position_monitor": "every position is always watched and protected",
    "tranche_pnl_increment_pct": "a position has one average entry and no tranches",
    "max_tranches_per_symbol_side": "a position has no tranches; max_position_usdt limits its size",
    "instant_tp_enabled": "the take profit rests at the exchange from the first fill on",
    "tp_sl_batch_enabled": "the stop loss is sent first and by itself, so that nothing can delay it",
    "buffer_liquidations": "liquidations are handled as they arrive, a burst in one go; none waits",
    "liquidation_buffer_ms": "liquidations are handled as they arrive, a burst in one go; none waits",
}
OBSOLETE_OF_SYMBOLS: Mapping[str, str] = {
    "use_trailing_stop": "the stop loss stays at stop_loss_pct from the average entry price",
}


def without_obsolete(document: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The document without obsolete keys, and one sentence for each key that was left out."""
    kept = dict(document)
    sentences: list[str] = []
    if isinstance(part := document.get("globals"), dict):
        kept["globals"] = {key: value for key, value in part.items() if key not in OBSOLETE_GLOBALS}
        sentences += [f"globals.{key} is obsolete: {why}" for key, why in OBSOLETE_GLOBALS.items() if key in part]
    if isinstance(symbols := document.get("symbols"), dict):
        kept["symbols"] = {symbol: _without(part) for symbol, part in symbols.items()}
        sentences += _of_symbols(symbols)
    return kept, tuple(sentences)


def with_obsolete_of(earlier: object, document: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The document, and in it the obsolete keys of an earlier one: they may matter to the older bot beside us."""
    earlier_globals = _obsolete_in(_part(earlier, "globals"), OBSOLETE_GLOBALS)
    earlier_symbols = _part(earlier, "symbols")
    symbols = {
        name: {**part, **_obsolete_in(_part(earlier_symbols, name), OBSOLETE_OF_SYMBOLS)}
        for name, part in document["symbols"].items()
    }
    return {"globals": {**document["globals"], **earlier_globals}, "symbols": symbols}


def _part(document: object, name: str) -> Mapping[str, object]:
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}


def _obsolete_in(part: Mapping[str, object], obsolete: Mapping[str, str]) -> dict[str, object]:
    return {key: value for key, value in part.items() if key in obsolete}


def _without(part: object) -> object:
    if not isinstance(part, dict):
        return part
    return {key: value for key, value in part.items() if key not in OBSOLETE_OF_SYMBOLS}


def _of_symbols(symbols: Mapping[str, object]) -> list[str]:
    sentences = []
    for key, why in OBSOLETE_OF_SYMBOLS.items():
        holders = [symbol for symbol, part in symbols.items() if isinstance(part, dict) and key in part]
        if holders:
            sentences.append(f"{key} of {', '.join(holders)} is obsolete: {why}")
    return sentences
