"""Commands: what the trader sends to the gateway, and what the operator sends to the bot. All are frozen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import IncomeType, MarginType, PositionSide
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
    """Confirm live trading under the terms of ``terms_fingerprint``."""
    RESTART = "restart"
    """Exit; the launcher starts a new process at once."""
    POSITION_OURS = "position_ours"
    """Manage an unexplained or external position as the bot's."""
    POSITION_EXTERNAL = "position_external"
    """Leave an unexplained position alone: the bot's orders behind it are cancelled."""


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A command from the dashboard, written to ``control.db`` first, or from the command line.

    ``close_fraction`` (0 < x ≤ 1) is the part of the position to close; ``terms_fingerprint`` identifies the terms that
    are confirmed.
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
    """Whether the text confirms live trading: LIVE or the last four characters of the account, in any case."""
    suffix = {account[-_SUFFIX_LENGTH:].upper()} if len(account) >= _SUFFIX_LENGTH else set()
    return typed.strip().upper() in {CONFIRM_WORD} | suffix


@dataclass(frozen=True, slots=True)
class CheckPositions:
    """Fetch only the positions: a cheap check that the exchange responds and that the portfolio matches."""


def _allow(_now_ms: int) -> None:
    """Protective and closing orders are always sent."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    request: OrderRequest
    not_after: int | None = None
    """An order that was not sent by then (ms UTC) is not sent at all: the signal of an entry has expired, and a close
    is decided again."""
    before_send: Callable[[int], None] = field(default=_allow, compare=False, repr=False)
    """Called with the current time (ms UTC) directly before each attempt to send it; raises ``NotSent``."""

    def is_expired(self, now_ms: int) -> bool:
        return self.not_after is not None and now_ms > self.not_after


@dataclass(frozen=True, slots=True)
class CancelOrder:
    symbol: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Query the status of an order by its client order id."""

    symbol: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class FetchFills:
    """Fetch our trades of a symbol from a trade id on (Account Trade List); None starts at ``since_ms``."""

    symbol: str
    since_ms: int
    from_trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class FetchOrders:
    """Fetch all orders of a symbol since an instant, closed ones included (All Orders)."""

    symbol: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class FetchInstruments:
    """Fetch the symbols and their trading rules (Exchange Information)."""


@dataclass(frozen=True, slots=True)
class FetchBrackets:
    """Fetch the leverage brackets of all symbols (Notional and Leverage Brackets)."""


@dataclass(frozen=True, slots=True)
class FetchIncome:
    """Fetch the income of one type since an instant (Get Income History), of one symbol or of all."""

    since_ms: int
    type: IncomeType = IncomeType.FUNDING_FEE
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Fetch the whole account: modes, balances, positions and open orders."""

    reason: str
    is_poll: bool = False
    """A periodic snapshot: the account modes, expensive to read, may come from the last full one."""


@dataclass(frozen=True, slots=True)
class FetchQuote:
    """Fetch best bid and ask by REST (Order Book) if the stream has no fresh quote."""

    symbol: str


OrderWrite = SubmitOrder | CancelOrder
"""Commands of which several can leave in one request."""

OrderCommand = OrderWrite | QueryOrder

RulesQuery = FetchInstruments | FetchBrackets

ReadCommand = FetchFills | FetchOrders | RulesQuery | FetchIncome | TakeSnapshot | CheckPositions | FetchQuote

Command = OrderCommand | ReadCommand | AccountCommand
