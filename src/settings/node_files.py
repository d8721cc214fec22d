"""Converts the config.json of the node bot (aster_lick_hunter_node) into a settings document of this bot."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeGuard

from src.domain.numbers import PER_CENT, trimmed
from src.settings.errors import InvalidSetting
from src.settings.fields import format_value, listed
from src.settings.schema import new_symbol_defaults

_NO_VWAP = "entries are not compared with VWAP yet; a higher volume threshold makes them fewer"
_LIMIT_ORDERS = "entries are limit orders; with time_in_force IOC they fill at once, within max_slippage_pct"
_OWN_LIMITER = "the program limits and orders its requests itself; rate_limit_buffer_pct reserves a share of the limit"
_PAGE = "the dashboard is on this machine only; HOST and PORT in .env are its address"
SYMBOL_KEYS: Mapping[str, str] = {
    "volumeThresholdUSDT": "volume_threshold",
    "longVolumeThresholdUSDT": "volume_threshold_long",
    "shortVolumeThresholdUSDT": "volume_threshold_short",
    "tradeSize": "trade_value_usdt",
    "maxPositionMarginUSDT": "max_position_usdt",
    "leverage": "leverage",
    "tpPercent": "take_profit_pct",
    "slPercent": "stop_loss_pct",
    "priceOffsetBps": "price_offset_pct",
    "trade_side": "trade_side",
}
"""Keys of a symbol that mean the same here; basis points become percent."""
GLOBAL_KEYS: Mapping[str, str] = {
    "paperMode": "simulate_only",
    "positionMode": "hedge_mode",
    "rateLimit.reservePercent": "rate_limit_buffer_pct",
}
SHARED_KEYS: Mapping[str, str] = {
    "longTradeSize": "trade_value_usdt is one size for both sides: the smaller one is used",
    "shortTradeSize": "trade_value_usdt is one size for both sides: the smaller one is used",
    "thresholdTimeWindow": "volume_window_sec is one value for all symbols: the shortest is used",
    "thresholdCooldown": "cooldown_sec is one value for all symbols: the longest is used",
    "maxSlippageBps": "max_slippage_pct is one value for all symbols: the smallest is used",
    "usePostOnly": "time_in_force is one value for all symbols: GTX if every symbol has it",
    "useThreshold": "without it, or without useThresholdSystem, volume_window_sec is 1: close to one liquidation alone",
    "useThresholdSystem": "see useThreshold",
}
"""Keys that become one value, and how."""
UNUSED_SYMBOL_KEYS: Mapping[str, str] = {
    "vwapProtection": _NO_VWAP,
    "vwapTimeframe": _NO_VWAP,
    "vwapLookback": _NO_VWAP,
    "orderType": _LIMIT_ORDERS,
    "forceMarketEntry": _LIMIT_ORDERS,
}
UNUSED_GLOBALS: Mapping[str, str] = {
    "riskPercent": "the size of an entry is its margin, trade_value_usdt; max_daily_loss_usdt limits losses",
    "maxOpenPositions": "max_total_exposure_usdt limits the margin of all positions instead of their number",
    "server": _PAGE,
    "rateLimit": _OWN_LIMITER,
    "discord": "nothing is sent to Discord; the dashboard, the log and python main.py --status show what happens",
}
UNUSED_PARTS: Mapping[str, str] = {
    "api": "keys are not copied: python main.py --setup tests them and saves them in .env",
}
_STRUCTURE = ("global", "symbols", "version")
_MERGED = {
    "thresholdCooldown": "cooldown_sec",
    "thresholdTimeWindow": "volume_window_sec",
    "maxSlippageBps": "max_slippage_pct",
}
_FLAGS = ("usePostOnly", "useThreshold", "useThresholdSystem")
_SAME_HERE: Mapping[str, tuple[object, ...]] = {"orderType": ("LIMIT",), "forceMarketEntry": (False,)}
"""Values that need no word: they are what happens here anyway."""
_UNKNOWN = "not a known key of that bot; docs/settings.md lists all settings"
_SIGNAL = {"use_usdt_volume": True, "volume_scope": "SIDE"}
"""Its thresholds are in USDT, and longs and shorts are added up separately."""
_SINGLE_EVENT_SEC, _DEFAULT_COOLDOWN_MS = 1, 30_000
_MS_PER_SECOND = 1000
_POSITION_MODES = {"HEDGE": True, "ONE_WAY": False}
_REQUIRED = ("trade_value_usdt", "max_position_usdt", "take_profit_pct", "stop_loss_pct", "leverage")
_THRESHOLDS = ("volume_threshold_long", "volume_threshold_short", "volume_threshold")


@dataclass(frozen=True, slots=True)
class NodeFile:
    """The file as a settings document of this bot."""

    document: dict[str, Any]
    notes: tuple[str, ...]
    """One sentence for each key that was left out, changed or added."""
    faults: tuple[InvalidSetting, ...]
    """Values of a wrong kind in keys that become one value; those of other keys are found by the validation."""
    names: Mapping[str, str]
    """Where a setting comes from, by our path: ``symbols.BTCUSDT.stop_loss_pct`` is ``symbols.BTCUSDT.slPercent``."""


def convert(document: Mapping[str, Any]) -> NodeFile:
    """Convert a parsed config.json. Values of a wrong kind stay as they are: the validation names them."""
    globals_, symbols = document.get("global", {}), document.get("symbols", {})
    if not isinstance(globals_, dict) or not isinstance(symbols, dict):
        return NodeFile({"globals": globals_, "symbols": symbols}, (), (), {"globals": "global"})
    parts = {name if name.upper() in symbols else name.upper(): part for name, part in symbols.items()}
    known = {name: part for name, part in parts.items() if isinstance(part, dict)}
    converted = {name: _symbol(part) if name in known else part for name, part in parts.items()}
    notes = [
        *(f"{key}: {UNUSED_PARTS.get(key, _UNKNOWN)}" for key in document if key not in _STRUCTURE),
        *_global_notes(globals_),
        *_symbol_notes(known),
        *_fill_missing({name: converted[name] for name in known}),
    ]
    timing, more = _signal(globals_, known)
    return NodeFile(
        {"globals": {**_SIGNAL, **_globals(globals_), **_shared(known), **timing}, "symbols": converted},
        (*notes, *more),
        tuple(_faults(globals_, known)),
        _names(known),
    )


def _symbol(part: Mapping[str, Any]) -> dict[str, Any]:
    given = {ours: part[key] for key, ours in SYMBOL_KEYS.items() if part.get(key) is not None}
    if "price_offset_pct" in given:
        given["price_offset_pct"] = _divided(given["price_offset_pct"], PER_CENT)
    sizes = [part.get(key) or part.get("tradeSize") for key in ("longTradeSize", "shortTradeSize")]
    numbers = [each for each in sizes if _is_number(each)]
    if len(numbers) == len(sizes):
        given["trade_value_usdt"] = min(numbers)
    return {name: value for name, value in given.items() if not _is_switched_off(name, value)}


def _is_switched_off(name: str, value: object) -> bool:
    """There, a limit or threshold of 0 means none."""
    return name in (*_THRESHOLDS, "max_position_usdt") and _is_number(value) and value == 0


def _globals(part: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "paperMode" in part:
        found["simulate_only"] = part["paperMode"]
    if "positionMode" in part:
        mode = part["positionMode"]
        found["hedge_mode"] = _POSITION_MODES.get(mode, mode) if isinstance(mode, str) else mode
    limits = part.get("rateLimit")
    if isinstance(limits, dict) and limits.get("reservePercent") is not None:
        found["rate_limit_buffer_pct"] = limits["reservePercent"]
    return found


def _shared(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings of each symbol there that are one setting of the whole bot here."""
    found: dict[str, Any] = {}
    slippages = [each for part in parts.values() if (each := _number_of(part, "maxSlippageBps", 0)) > 0]
    if slippages:
        found["max_slippage_pct"] = _divided(min(slippages), PER_CENT)
    if parts and all(part.get("usePostOnly") is True for part in parts.values()):
        found["time_in_force"] = "GTX"
    return found


def _signal(
    globals_: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The window and the cooldown. There, each liquidation counts alone unless the symbol adds them up."""
    is_on = globals_.get("useThresholdSystem") is True
    adding = [name for name, part in parts.items() if is_on and part.get("useThreshold") is True]
    cooldown_ms = max(
        (_number_of(part, "thresholdCooldown", _DEFAULT_COOLDOWN_MS) for part in parts.values()), default=0
    )
    found = {"cooldown_sec": max(1, round(cooldown_ms / _MS_PER_SECOND))}
    if adding and len(adding) == len(parts):
        window_ms = min(_number_of(parts[name], "thresholdTimeWindow", 60_000) for name in adding)
        return {**found, "volume_window_sec": max(1, round(window_ms / _MS_PER_SECOND))}, ()
    reason = f"only {listed(adding)} adds" if adding else "no symbol adds"
    note = (
        f"useThreshold: {reason} liquidations up there, so volume_window_sec is {_SINGLE_EVENT_SEC}; "
        "set it to 60 to add up those of a minute"
    )
    return {**found, "volume_window_sec": _SINGLE_EVENT_SEC}, (note,)


def _global_notes(part: Mapping[str, Any]) -> Iterator[str]:
    mapped = {key.partition(".")[0] for key in GLOBAL_KEYS} | {"useThresholdSystem"}
    for key in part:
        if key in UNUSED_GLOBALS:
            yield f"global.{key}: {UNUSED_GLOBALS[key]}"
        elif key not in mapped:
            yield f"global.{key}: {_UNKNOWN}"


def _symbol_notes(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    keys = list(dict.fromkeys(key for part in parts.values() for key in part))
    for key in keys:
        holders = [name for name, part in parts.items() if key in part and part[key] not in _SAME_HERE.get(key, ())]
        why = UNUSED_SYMBOL_KEYS.get(key)
        if why is None and key in SHARED_KEYS and _differ(parts, key):
            why = SHARED_KEYS[key]
        elif why is None and key not in SYMBOL_KEYS and key not in SHARED_KEYS:
            why = _UNKNOWN
        if holders and why is not None:
            yield f"{key} of {listed(holders)}: {why}"


def _differ(parts: Mapping[str, Mapping[str, Any]], key: str) -> bool:
    """Whether one value for all changes anything."""
    if key in ("longTradeSize", "shortTradeSize"):
        return any(part.get(key) not in (None, part.get("tradeSize")) for part in parts.values())
    return key not in ("useThreshold",) and len({str(part.get(key)) for part in parts.values()}) > 1


def _fill_missing(symbols: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Add safe values; one sentence for each setting."""
    defaults = new_symbol_defaults()
    for key in _REQUIRED:
        lacking = [name for name, part in symbols.items() if key not in part]
        for name in lacking:
            symbols[name][key] = defaults[key]
            if key == "max_position_usdt" and _is_number(size := symbols[name]["trade_value_usdt"]):
                symbols[name][key] = max(Decimal(str(defaults[key])), size)
        if lacking:
            value = format_value(symbols[lacking[0]][key])
            yield f"{key} of {listed(lacking)} is missing: {value} applies until you set it"
    lacking = [name for name, part in symbols.items() if not _has_threshold(part)]
    for name in lacking:
        symbols[name]["volume_threshold"] = defaults["volume_threshold"]
    if lacking:
        value = format_value(defaults["volume_threshold"])
        yield f"a volume threshold of {listed(lacking)} is missing or 0: {value} applies until you set it"


def _has_threshold(part: Mapping[str, Any]) -> bool:
    long, short, both = (name in part for name in _THRESHOLDS)
    return both or (long and short)


def _faults(globals_: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> Iterator[InvalidSetting]:
    values = [(f"symbols.{name}.{key}", key, part.get(key)) for name, part in parts.items() for key in SHARED_KEYS]
    values.append(("global.useThresholdSystem", "useThresholdSystem", globals_.get("useThresholdSystem")))
    for path, key, value in values:
        if key in _FLAGS and not isinstance(value, bool | None):
            yield InvalidSetting(path, f"must be true or false, not {format_value(value)}")
        if key not in _FLAGS and value is not None and not _is_number(value):
            yield InvalidSetting(path, f"must be a number, not {format_value(value)}")


def _names(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    names = {f"globals.{ours}": f"global.{key}" for key, ours in GLOBAL_KEYS.items()} | {"globals": "global"}
    names |= {f"globals.{ours}": f"symbols.*.{key}" for key, ours in _MERGED.items()}
    for symbol, part in parts.items():
        names |= {
            f"symbols.{symbol}.{ours}": f"symbols.{symbol}.{key}" for key, ours in SYMBOL_KEYS.items() if key in part
        }
    return names


def _is_number(value: object) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _divided(value: object, divisor: Decimal) -> object:
    return Decimal(trimmed(Decimal(value) / divisor)) if _is_number(value) else value


def _number_of(part: Mapping[str, Any], key: str, default: int) -> int | Decimal:
    value = part.get(key)
    return value if _is_number(value) and value else default
