"""The risk terms of live trading that a person confirms: account, margin, sizes and protection. Pure.

A change that raises risk must be confirmed again; one that lowers it takes effect at once.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from src.domain.enums import LiquidationAction, MarginType, Network, TradeSide
from src.domain.numbers import trimmed
from src.settings.config import Settings, SymbolSettings

_FINGERPRINT_LENGTH = 16
_LIMITS = (
    "max_daily_loss_usdt",
    "max_consecutive_losses",
    "max_drawdown_pct",
    "max_entries_per_minute",
    "max_raise_factor",
)
"""Limits; removing or raising one raises the risk. One that earlier confirmed terms lack was not limited then."""


@dataclass(frozen=True, slots=True)
class SymbolTerms:
    """Risk terms of one symbol."""

    trade_value_usdt: Decimal
    leverage: int
    max_position_usdt: Decimal
    margin_type: MarginType
    trade_side: TradeSide
    stop_loss_pct: Decimal | None
    """None if the stop loss is disabled."""

    @property
    def notional(self) -> Decimal:
        """Notional of one entry."""
        return self.trade_value_usdt * self.leverage

    def to_json(self) -> dict[str, Any]:
        return {
            "trade_value_usdt": trimmed(self.trade_value_usdt),
            "leverage": self.leverage,
            "max_position_usdt": trimmed(self.max_position_usdt),
            "margin_type": self.margin_type.value,
            "trade_side": self.trade_side.value,
            "stop_loss_pct": None if self.stop_loss_pct is None else trimmed(self.stop_loss_pct),
            "notional": trimmed(self.notional),
        }


@dataclass(frozen=True, slots=True)
class RiskTerms:
    """The terms confirmed together."""

    network: Network
    account: str
    """Public label of the account: an address, or the last characters of a key."""
    max_total_exposure_usdt: Decimal
    hedge_mode: bool
    multi_assets_mode: bool
    adopt_foreign_positions: bool
    on_liquidation_near: LiquidationAction
    limits: Mapping[str, Decimal | None]
    symbols: Mapping[str, SymbolTerms]

    @property
    def fingerprint(self) -> str:
        """Hash that is equal for equal terms only, whatever the order of symbols."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_LENGTH]

    def to_json(self) -> dict[str, Any]:
        """Form stored in the database and returned by the API."""
        return {
            "network": self.network.value,
            "account": self.account,
            "max_total_exposure_usdt": trimmed(self.max_total_exposure_usdt),
            "hedge_mode": self.hedge_mode,
            "multi_assets_mode": self.multi_assets_mode,
            "adopt_foreign_positions": self.adopt_foreign_positions,
            "on_liquidation_near": self.on_liquidation_near.value,
            "limits": {name: None if value is None else trimmed(value) for name, value in self.limits.items()},
            "symbols": {name: each.to_json() for name, each in self.symbols.items()},
        }


def terms_from_settings(settings: Settings, network: Network, account: str) -> RiskTerms:
    """Risk terms of trading ``account`` with these settings."""
    globals_ = settings.globals_
    limits: dict[str, Decimal | None] = {}
    for name in _LIMITS:
        value = getattr(globals_, name)
        limits[name] = None if value is None else Decimal(value)
    return RiskTerms(
        network=network,
        account=account,
        max_total_exposure_usdt=globals_.max_total_exposure_usdt,
        hedge_mode=globals_.hedge_mode,
        multi_assets_mode=globals_.multi_assets_mode,
        adopt_foreign_positions=globals_.adopt_foreign_positions,
        on_liquidation_near=globals_.on_liquidation_near,
        limits=limits,
        symbols={name: symbol_terms_from_settings(each) for name, each in settings.symbols.items()},
    )


def terms_from_json(stored: Mapping[str, Any]) -> RiskTerms:
    """Load terms from their stored form."""
    return RiskTerms(
        network=Network(stored["network"]),
        account=stored["account"],
        max_total_exposure_usdt=Decimal(stored["max_total_exposure_usdt"]),
        hedge_mode=stored["hedge_mode"],
        multi_assets_mode=stored["multi_assets_mode"],
        adopt_foreign_positions=stored.get("adopt_foreign_positions", False),
        on_liquidation_near=LiquidationAction(stored.get("on_liquidation_near", LiquidationAction.TIGHTEN)),
        limits={name: None if value is None else Decimal(value) for name, value in stored["limits"].items()},
        symbols={name: _symbol_terms_from_json(each) for name, each in stored["symbols"].items()},
    )


def confirmed_stops(agreed: RiskTerms, wanted: RiskTerms) -> dict[str, Decimal]:
    """Confirmed stop loss distances in percent that the wanted terms would widen or disable, by symbol."""
    if (agreed.network, agreed.account) != (wanted.network, wanted.account):
        return {}
    return {
        symbol: terms.stop_loss_pct
        for symbol, terms in agreed.symbols.items()
        if terms.stop_loss_pct is not None
        and symbol in wanted.symbols
        and _is_stop_wider(terms, wanted.symbols[symbol])
    }


def _is_stop_wider(agreed: SymbolTerms, wanted: SymbolTerms) -> bool:
    if agreed.stop_loss_pct is None:
        return False
    return wanted.stop_loss_pct is None or wanted.stop_loss_pct > agreed.stop_loss_pct


def risk_increases(agreed: RiskTerms | None, wanted: RiskTerms) -> tuple[str, ...]:
    """One phrase for each term that raises risk above the confirmed terms; empty if none does."""
    if agreed is None:
        return ("live trading has not been confirmed yet",)
    if (agreed.network, agreed.account) != (wanted.network, wanted.account):
        return (f"another account: {wanted.account} on the {wanted.network}",)
    return tuple(_increases(agreed, wanted))


def _increases(agreed: RiskTerms, wanted: RiskTerms) -> Iterator[str]:
    if wanted.max_total_exposure_usdt > agreed.max_total_exposure_usdt:
        yield _increase("max total margin", agreed.max_total_exposure_usdt, wanted.max_total_exposure_usdt)
    if wanted.multi_assets_mode and not agreed.multi_assets_mode:
        yield "all assets of the account are used as margin"
    if wanted.adopt_foreign_positions and not agreed.adopt_foreign_positions:
        yield "positions you opened manually are adopted"
    changes = (agreed.on_liquidation_near, wanted.on_liquidation_near)
    if changes == (LiquidationAction.TIGHTEN, LiquidationAction.ALERT):
        yield "a position may be liquidated before its stop loss (on_liquidation_near ALERT)"
    for name in _LIMITS:
        before, after = agreed.limits.get(name), wanted.limits.get(name)
        if before is not None and (after is None or after > before):
            yield _increase(name, before, after)
    for symbol, terms in wanted.symbols.items():
        if symbol not in agreed.symbols:
            yield f"{symbol} is new"
        else:
            yield from (f"{symbol}: {each}" for each in _symbol_increases(agreed.symbols[symbol], terms))


def _symbol_increases(agreed: SymbolTerms, wanted: SymbolTerms) -> Iterator[str]:
    if wanted.notional > agreed.notional:
        yield _increase("entry size", agreed.notional, wanted.notional)
    elif wanted.trade_value_usdt > agreed.trade_value_usdt:
        yield _increase("entry margin", agreed.trade_value_usdt, wanted.trade_value_usdt)
    if wanted.leverage > agreed.leverage:
        yield f"leverage from {agreed.leverage} to {wanted.leverage}"
    if wanted.max_position_usdt > agreed.max_position_usdt:
        yield _increase("max margin", agreed.max_position_usdt, wanted.max_position_usdt)
    if wanted.margin_type is MarginType.CROSSED and agreed.margin_type is MarginType.ISOLATED:
        yield "the whole balance is at risk (CROSSED margin)"
    if wanted.trade_side is TradeSide.OPPOSITE and agreed.trade_side is not TradeSide.OPPOSITE:
        yield "both directions are traded"
    elif wanted.trade_side is not agreed.trade_side and agreed.trade_side is not TradeSide.OPPOSITE:
        yield f"the other direction is traded ({wanted.trade_side})"
    if agreed.stop_loss_pct is not None and wanted.stop_loss_pct is None:
        yield "the stop loss is disabled"
    elif agreed.stop_loss_pct is not None and _is_stop_wider(agreed, wanted):
        yield _increase("stop loss distance in percent", agreed.stop_loss_pct, wanted.stop_loss_pct)


def symbol_terms_from_settings(settings: SymbolSettings) -> SymbolTerms:
    """Risk terms of trading a symbol with these settings."""
    return SymbolTerms(
        trade_value_usdt=settings.trade_value_usdt,
        leverage=settings.leverage,
        max_position_usdt=settings.max_position_usdt,
        margin_type=settings.margin_type,
        trade_side=settings.trade_side,
        stop_loss_pct=settings.stop_loss_pct if settings.stop_loss_enabled else None,
    )


def _symbol_terms_from_json(stored: Mapping[str, Any]) -> SymbolTerms:
    stop = stored["stop_loss_pct"]
    return SymbolTerms(
        trade_value_usdt=Decimal(stored["trade_value_usdt"]),
        leverage=stored["leverage"],
        max_position_usdt=Decimal(stored["max_position_usdt"]),
        margin_type=MarginType(stored["margin_type"]),
        trade_side=TradeSide(stored["trade_side"]),
        stop_loss_pct=None if stop is None else Decimal(stop),
    )


def _increase(what: str, before: Decimal, after: Decimal | None) -> str:
    return f"{what} from {trimmed(before)} to {'no limit' if after is None else trimmed(after)}"
