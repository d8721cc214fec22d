"""Events of the private stream that concern the account, not one order (User Data Streams)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import ProtocolError
from src.domain.messages import AccountUpdate, LeverageChanged, MarginCall, PositionChange
from src.domain.positions import Balance, Position, PositionReport
from src.domain.strange import StrangePosition
from src.exchange.wire.account import render_margin_type
from src.exchange.wire.fields import Body, Fields, number
from src.exchange.wire.words import MARGIN_TYPES

_ZERO = Decimal(0)
Slot = tuple[str, PositionSide]


@dataclass(frozen=True, slots=True)
class ListenKeyExpired:
    """Nothing more will come on this connection; it is not closed (Event: User Data Stream Expired)."""

    event_at: int


@dataclass(frozen=True, slots=True)
class AccountModeChanged:
    """A mode of the whole account was changed: ask for it anew. None where the event does not tell it."""

    multi_assets_mode: bool | None
    hedge_mode: bool | None
    event_at: int


def parse_account_update(event: Fields) -> AccountUpdate:
    """What changed; funding on a crossed position comes without ``P`` (Event: Balance and Position Update)."""
    update = event.part("a")
    balances = list(update.parts("B")) if "B" in update else []
    changes = [_position_change(each) for each in update.parts("P")] if "P" in update else []
    return AccountUpdate(
        reason=update.text("m"),
        balances=tuple(Balance(each.text("a"), each.decimal("wb"), each.decimal("cw")) for each in balances),
        positions=tuple(each for each in changes if isinstance(each, PositionChange)),
        changed_at=event.integer("T"),
        event_at=event.integer("E"),
        balance_change=sum((each.decimal("bc") for each in balances if "bc" in each), _ZERO),
        strange=tuple(each for each in changes if isinstance(each, StrangePosition)),
    )


def _position_change(change: Fields) -> PositionChange | StrangePosition:
    """One that is not understood must not take those of other symbols with it (I30)."""
    try:
        return _known_change(change)
    except ProtocolError as error:
        return StrangePosition(change.text("s"), str(error), is_flat=False)


def _known_change(change: Fields) -> PositionChange:
    return PositionChange(
        position=Position(
            symbol=change.text("s"),
            position_side=change.word("ps", PositionSide),
            quantity=change.decimal("pa"),
            entry_price=change.decimal("ep"),
        ),
        margin_type=change.known_word("mt", MarginType, MARGIN_TYPES),
        isolated_margin=change.decimal("iw"),
    )


def render_account_update(update: AccountUpdate, unrealized_pnl: Mapping[Slot, Decimal] | None = None) -> Body:
    """The event; ``bc`` stands with the first balance. A slot without a known profit is written with 0."""
    profits = unrealized_pnl or {}
    changes = [update.balance_change, *[_ZERO] * len(update.balances)]
    content: Body = {
        "m": update.reason,
        "B": [
            {
                "a": balance.asset,
                "wb": number(balance.wallet_balance),
                "cw": number(balance.cross_wallet_balance),
                "bc": number(change),
            }
            for balance, change in zip(update.balances, changes, strict=False)
        ],
    }
    if update.positions:
        content["P"] = [_render_change(each, profits) for each in update.positions]
    return {"e": "ACCOUNT_UPDATE", "E": update.event_at, "T": update.changed_at, "a": content}


def _render_change(change: PositionChange, profits: Mapping[Slot, Decimal]) -> Body:
    position = change.position
    return {
        "s": position.symbol,
        "pa": number(position.quantity),
        "ep": number(position.entry_price),
        "cr": "0",
        "up": number(profits.get((position.symbol, position.position_side), _ZERO)),
        "mt": render_margin_type(change.margin_type),
        "iw": number(change.isolated_margin),
        "ps": position.position_side.value,
    }


def parse_configuration(event: Fields) -> LeverageChanged | AccountModeChanged:
    """ACCOUNT_CONFIG_UPDATE: ``ac`` is a symbol's leverage, ``ai`` the modes of the account."""
    event_at = event.integer("E")
    if "ac" in event:
        symbol = event.part("ac")
        return LeverageChanged(symbol.text("s"), symbol.integer("l"), event_at)
    account = event.part("ai")
    multi_assets_mode, hedge_mode = (account.truth(key) if key in account else None for key in ("j", "d"))
    return AccountModeChanged(multi_assets_mode, hedge_mode, event_at)


def render_configuration(change: LeverageChanged | AccountModeChanged) -> Body:
    frame: Body = {"e": "ACCOUNT_CONFIG_UPDATE", "E": change.event_at, "T": change.event_at}
    if isinstance(change, LeverageChanged):
        return {**frame, "ac": {"s": change.symbol, "l": change.leverage}}
    told = {"j": change.multi_assets_mode, "f": False, "d": change.hedge_mode}
    return {**frame, "ai": {key: value for key, value in told.items() if value is not None}}


def parse_margin_call(event: Fields) -> MarginCall:
    """The positions that are near liquidation (Event: Margin Call): a warning that no strange word may swallow."""
    positions = tuple((each.text("s"), each.known_word("ps", PositionSide)) for each in event.parts("p"))
    return MarginCall(positions, event.integer("E"))


def render_margin_call(positions: Sequence[tuple[PositionReport, Decimal]], at: int) -> Body:
    """The event for positions, each with the maintenance margin it requires."""
    return {
        "e": "MARGIN_CALL",
        "E": at,
        "p": [
            {
                "s": report.symbol,
                "ps": report.position_side.value,
                "pa": number(report.quantity),
                "mt": str(report.margin_type),
                "iw": number(report.isolated_margin),
                "mp": number(report.mark_price),
                "up": number(report.unrealized_pnl),
                "mm": number(maintenance_margin),
            }
            for report, maintenance_margin in positions
        ],
    }


def render_listen_key_expired(expired: ListenKeyExpired) -> Body:
    return {"e": "listenKeyExpired", "E": expired.event_at}
