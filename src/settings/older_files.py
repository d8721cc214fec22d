"""Files of the older bot: its keys are named or used, and what such a file lacks gets safe values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from src.domain.numbers import trimmed
from src.settings.fields import format_value, listed
from src.settings.global_settings import GlobalSettings
from src.settings.schema import new_symbol_defaults

_NO_TRANCHES = "a position has one average entry; max_position_usdt limits its size"
_NO_TRAILING = "the stop loss stays at stop_loss_pct from the average entry price: choose its distance accordingly"
_NO_BUFFER = "liquidations are processed as they arrive, without a buffer"
_ONE_STOP = (
    "the bot keeps one stop loss per position, and a symbol with a manual stop takes no entry: cancel that stop to "
    "trade it"
)
_SIDE = "an entry opens LONG for a BUY and SHORT for a SELL; trade_side allows only one of them"
OBSOLETE_GLOBALS: Mapping[str, str] = {
    "order_batch_window_ms": "every order is sent at once; max_entries_per_minute limits the entries",
    "max_stop_orders_per_symbol": _ONE_STOP,
    "enable_order_consolidation": "take profit and stop loss cover the whole position: there is nothing to consolidate",
    "use_position_monitor": "every position is always monitored and protected",
    "price_monitor_reconnect_delay": "streams reconnect by themselves, with pauses that grow while it fails",
    "order_status_check_interval": "the account stream reports orders at once, and lists of the exchange confirm them",
    "open_orders_warning_threshold": "max_open_orders_per_symbol limits the open entries instead of a warning",
    "disable_ssl_verify": "certificates are always checked; name the file of your proxy's in REQUESTS_CA_BUNDLE",
    "tranche_pnl_increment_pct": _NO_TRANCHES,
    "max_tranches_per_symbol_side": _NO_TRANCHES,
    "instant_tp_enabled": "the take profit is placed at the exchange right after the first fill",
    "tp_sl_batch_enabled": "the stop loss is sent first, in its own request, so that nothing delays it",
    "buffer_liquidations": _NO_BUFFER,
    "liquidation_buffer_ms": _NO_BUFFER,
}
OBSOLETE_SYMBOL_KEYS: Mapping[str, str] = {
    "use_trailing_stop": _NO_TRAILING,
    "trailing_activation_pct": _NO_TRAILING,
    "trailing_callback_rate": _NO_TRAILING,
    "position_side": _SIDE,
    "hedge_position_side": _SIDE,
    "trade_qty": "the size of an entry is its margin: set trade_value_usdt",
}
NOT_YET = frozenset({"tranche_pnl_increment_pct", "max_tranches_per_symbol_side"}) | {
    key for key, why in OBSOLETE_SYMBOL_KEYS.items() if why == _NO_TRAILING
}
"""Keys of features that this bot does not have yet."""
_AT_ZERO = 100
_WRAPPER = frozenset({"symbol", "config"})
_FILLED_GLOBALS = ("max_total_exposure_usdt",)
_FILLED_SYMBOL_KEYS = ("trade_value_usdt", "max_position_usdt", "take_profit_pct", "stop_loss_pct")
"""Required settings that the first versions of the older bot did not have."""


@dataclass(frozen=True, slots=True)
class AdaptedFile:
    """A settings document in the shape of this bot."""

    document: dict[str, object]
    obsolete: tuple[str, ...] = ()
    """One sentence for each key that has no effect."""
    adapted: tuple[str, ...] = ()
    """One sentence for each value that was changed or added."""


def adapt(document: Mapping[str, object]) -> AdaptedFile:
    """Drop obsolete keys and unwrap symbols; in a file that has either, also convert and add what the older bot meant.

    A file without them is left alone: there, a missing setting is a fault.
    """
    unwrapped, wrapped_names = _unwrap(document)
    globals_, symbols = unwrapped.get("globals"), unwrapped.get("symbols")
    obsolete = (*_obsolete_globals(globals_), *_obsolete_symbol_keys(symbols))
    adapted: list[str] = []
    if wrapped_names:
        adapted.append(f"{listed(wrapped_names)}: the settings of a symbol were taken from inside its config")
    if isinstance(globals_, dict):
        unwrapped["globals"] = {key: value for key, value in globals_.items() if key not in OBSOLETE_GLOBALS}
    if isinstance(symbols, dict):
        unwrapped["symbols"] = {name: _without(part, OBSOLETE_SYMBOL_KEYS) for name, part in symbols.items()}
    if obsolete or adapted:
        adapted += _take_over(unwrapped)
    return AdaptedFile(unwrapped, obsolete, tuple(adapted))


def keep_obsolete(earlier: object, document: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add the obsolete keys of the earlier document: an older bot may still use the file."""
    known = _unwrap(earlier)[0] if isinstance(earlier, dict) else {}
    symbols = {
        name: {**part, **_only(_part(_part(known, "symbols"), name), OBSOLETE_SYMBOL_KEYS)}
        for name, part in document["symbols"].items()
    }
    return {
        "globals": {**document["globals"], **_only(_part(known, "globals"), OBSOLETE_GLOBALS)},
        "symbols": symbols,
    }


def _unwrap(document: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Replace ``{"symbol": NAME, "config": {...}}`` by its config; return the names of these symbols too.

    All names are in upper case afterwards, except one if its upper-case name is there too: which of them is meant?
    """
    symbols = document.get("symbols")
    if not isinstance(symbols, dict):
        return dict(document), []
    wrapped = [name for name, part in symbols.items() if _is_wrapped(name, part)]
    parts: dict[str, object] = {}
    for name, part in symbols.items():
        is_unique = name == name.upper() or not {name.upper()} & (symbols.keys() | parts.keys())
        parts[name.upper() if is_unique else name] = part["config"] if name in wrapped else part
    return {**document, "symbols": parts}, wrapped


def _is_wrapped(name: str, part: object) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("config"), dict):
        return False
    return part.keys() <= _WRAPPER and part.get("symbol", name) == name


def _obsolete_globals(part: object) -> list[str]:
    if not isinstance(part, dict):
        return []
    return [f"globals.{key} is {_kind(key)}: {why}" for key, why in OBSOLETE_GLOBALS.items() if key in part]


def _obsolete_symbol_keys(symbols: object) -> list[str]:
    holders = {key: _holders(symbols, key) for key in OBSOLETE_SYMBOL_KEYS}
    return [
        f"{key} of {listed(names)} is {_kind(key)}: {OBSOLETE_SYMBOL_KEYS[key]}"
        for key, names in holders.items()
        if names
    ]


def _kind(key: str) -> str:
    return "not supported yet" if key in NOT_YET else "obsolete"


def _holders(symbols: object, key: str) -> list[str]:
    parts = symbols.items() if isinstance(symbols, dict) else ()
    return [name for name, part in parts if isinstance(part, dict) and key in part]


def _take_over(document: dict[str, object]) -> list[str]:
    """Convert and add values of an older file; return the sentences."""
    sentences: list[str] = []
    globals_, symbols = document.get("globals"), document.get("symbols")
    if isinstance(globals_, dict):
        sentences += _convert_buffer(globals_)
        for key in _FILLED_GLOBALS:
            if key not in globals_:
                globals_[key] = GlobalSettings.model_fields[key].examples[0]  # type: ignore[index]
                sentences.append(_filled(f"globals.{key}", globals_[key]))
    if isinstance(symbols, dict):
        defaults = new_symbol_defaults()
        for key in _FILLED_SYMBOL_KEYS:
            sentences += _fill(symbols, key, defaults[key])
        sentences += _replace_impossible_stops(symbols, defaults["stop_loss_pct"])
    return sentences


def _fill(symbols: dict[str, Any], key: str, value: object) -> Iterable[str]:
    lacking = [name for name, part in symbols.items() if isinstance(part, dict) and key not in part]
    for name in lacking:
        symbols[name][key] = value
    if lacking:
        yield _filled(f"{key} of {listed(lacking)}", value)


def _replace_impossible_stops(symbols: dict[str, Any], value: object) -> Iterable[str]:
    """The older bot allowed a stop at a price of 0, also for a symbol that has its stop off."""
    found = [name for name, part in symbols.items() if isinstance(part, dict) and part.get("stop_loss_pct") == _AT_ZERO]
    for name in found:
        symbols[name]["stop_loss_pct"] = value
    if found:
        yield (
            f"stop_loss_pct of {listed(found)} is 100 in this older file, a price of 0: {format_value(value)} "
            "applies until you set it"
        )


def _filled(name: str, value: object) -> str:
    return f"{name} is missing in this older file: {format_value(value)} applies until you set it"


def _convert_buffer(globals_: dict[str, Any]) -> Iterable[str]:
    """The older bot read a share: 0.4 is 40 %."""
    key = "rate_limit_buffer_pct"
    share = globals_.get(key)
    if isinstance(share, Decimal | float) and 0 < share < 1:
        globals_[key] = Decimal(trimmed(Decimal(str(share)) * 100))
        yield f"globals.{key} {share} was a share in the older bot: it is read as {format_value(globals_[key])} %"


def _without(part: object, keys: Mapping[str, str]) -> object:
    return {key: value for key, value in part.items() if key not in keys} if isinstance(part, dict) else part


def _only(part: Mapping[str, object], keys: Mapping[str, str]) -> dict[str, object]:
    return {key: value for key, value in part.items() if key in keys}


def _part(document: object, name: str) -> Mapping[str, object]:
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}
