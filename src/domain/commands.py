"""Commands: what the trader asks the gateway to do, and what a person asks the bot to do. All are frozen."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import MarginType, PositionSide
from src.domain.orders import OrderRequest


@dataclass(frozen=True, slots=True)
class SetPositionMode:
    hedge_mode: bool


@dataclass(frozen=True, slots=True)
class SetMultiAssetsMode:
    multi_assets_mode: bool


@dataclass(frozen=True, slots=True)
class SetMarginType:
    symbol: str
    margin_type: MarginType


@dataclass(frozen=True, slots=True)
class SetLeverage:
    symbol: str
    leverage: int


AccountCommand = SetPositionMode | SetMultiAssetsMode | SetMarginType | SetLeverage


class OperatorAction(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    FLATTEN = "flatten"
    CLOSE_POSITION = "close_position"
    CANCEL_ENTRY = "cancel_entry"
    RELOAD_SETTINGS = "reload_settings"
    CONFIRM_LIVE = "confirm_live"
    """Real orders under the terms that ``terms_fingerprint`` names."""
    RESTART = "restart"
    """End this process; the launcher starts a new one at once."""


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A wish of the person at the dashboard or the command line, written to ``control.db`` first.

    Of a position 0 < ``close_fraction`` ≤ 1 is closed; ``terms_fingerprint`` names what is agreed to.
    """

    id: int
    action: OperatorAction
    at: int
    symbol: str | None = None
    position_side: PositionSide | None = None
    close_fraction: Decimal = Decimal(1)
    client_order_id: str | None = None
    terms_fingerprint: str | None = None


CONFIRM_WORD = "LIVE"

_SUFFIX_LENGTH = 4


def is_confirmation(typed: str, account: str) -> bool:
    """LIVE, or the last four signs of the account; a phone may write them small."""
    suffix = {account[-_SUFFIX_LENGTH:].upper()} if len(account) >= _SUFFIX_LENGTH else set()
    return typed.strip().upper() in {CONFIRM_WORD} | suffix


@dataclass(frozen=True, slots=True)
class CheckPositions:
    """The positions alone: a cheap look at whether the exchange answers, and whether we know what it knows."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    request: OrderRequest
    not_after: int | None = None
    """An entry that was not sent by then (ms UTC) is not sent at all: its signal has expired."""

    def is_expired(self, now_ms: int) -> bool:
        return self.not_after is not None and now_ms > self.not_after


@dataclass(frozen=True, slots=True)
class CancelOrder:
    symbol: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """What became of an order? Asked by client order id."""

    symbol: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class FetchFills:
    """Our trades of a symbol from a trade id on (Account Trade List); None starts at ``since_ms``."""

    symbol: str
    since_ms: int
    from_trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class FetchOrders:
    """Every order of a symbol since an instant, ended ones too (All Orders)."""

    symbol: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class FetchInstruments:
    """What may be traded and on which grid (Exchange Information)."""


@dataclass(frozen=True, slots=True)
class FetchFunding:
    """What funding the account paid or received since an instant (Get Income History, FUNDING_FEE)."""

    since_ms: int


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    reason: str
    is_poll: bool = False
    """One of many: what changes seldom and costs most to read, the modes, is taken from the last that was whole."""


@dataclass(frozen=True, slots=True)
class FetchQuote:
    """The top of the book by REST (Order Book), where the stream has none that is fresh."""

    symbol: str


OrderCommand = SubmitOrder | CancelOrder | QueryOrder

ReadCommand = FetchFills | FetchOrders | FetchInstruments | FetchFunding | TakeSnapshot | CheckPositions | FetchQuote

Command = OrderCommand | ReadCommand | AccountCommand
