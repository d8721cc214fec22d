"""Events: what the exchange, a stream or the scheduler reports to the trader. All are frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from src.domain.commands import AccountCommand, Command, OperatorCommand
from src.domain.enums import MarginType, PositionSide
from src.domain.instrument import Instrument
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import Fill, OrderUpdate, UnrecognizedOrder, UnrecognizedPosition
from src.domain.positions import Balance, Income, Position, PositionReport, Snapshot


class ApiScope(StrEnum):
    """What the exchange may refuse apart from the rest."""

    READ = "read"
    TRADE = "trade"
    USER_STREAM = "user_stream"


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """Not a command was refused but we: key, permission, signature, nonce or clock."""

    code: int
    reason: str
    scope: ApiScope
    at: int


@dataclass(frozen=True, slots=True)
class AuthRecovered:
    """A door that was refused lets us in again."""

    scope: ApiScope
    at: int


@dataclass(frozen=True, slots=True)
class PositionsChecked:
    positions: tuple[PositionReport, ...]
    at: int


@dataclass(frozen=True, slots=True)
class PaperAccountSaved:
    """The paper account after the events that came with it, to be kept with what they change: it has no other home."""

    document: Mapping[str, Any]


# Events: what the exchange did, or did not, make of a command.
@dataclass(frozen=True, slots=True)
class OrderRejected:
    """A submit that did not happen and will not. ``code`` is None where nothing reached the exchange."""

    symbol: str
    client_order_id: str
    code: int | None
    reason: str
    at: int
    is_auth_error: bool = False
    """Not the order was refused but we: key, permission, signature, nonce or clock."""

    @property
    def is_order_rejection(self) -> bool:
        """The exchange has said no to this very order; else the same may be tried again as it is."""
        return self.code is not None and not self.is_auth_error


@dataclass(frozen=True, slots=True)
class OrderUnresolved:
    """A submit or cancel whose answer was lost: it may have happened."""

    symbol: str
    client_order_id: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """A cancel that did not happen; ``code`` -2011 means the exchange knows no such open order."""

    symbol: str
    client_order_id: str
    code: int | None
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class OrderNotFound:
    """A query the exchange answered with -2013: it knows no such order (yet)."""

    symbol: str
    client_order_id: str
    at: int


@dataclass(frozen=True, slots=True)
class FillsFetched:
    symbol: str
    fills: tuple[Fill, ...]
    at: int
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class OrdersFetched:
    symbol: str
    orders: tuple[OrderUpdate, ...]
    since_ms: int
    at: int
    unrecognized: tuple[UnrecognizedOrder, ...] = ()
    """Those that are told in words we do not know."""


@dataclass(frozen=True, slots=True)
class InstrumentsFetched:
    instruments: tuple[Instrument, ...]
    at: int


@dataclass(frozen=True, slots=True)
class FundingFetched:
    incomes: tuple[Income, ...]
    at: int


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    snapshot: Snapshot
    reason: str


@dataclass(frozen=True, slots=True)
class AccountConfigured:
    """An account command was done, or was already so."""

    command: AccountCommand
    at: int


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A read or an account command that failed; ``code`` is None where no answer came."""

    command: Command
    code: int | None
    reason: str
    at: int


# Events: the private stream.
@dataclass(frozen=True, slots=True)
class PositionChange:
    """One position inside an AccountUpdate."""

    position: Position
    margin_type: MarginType | None
    """None where the exchange's word for it is not known."""
    isolated_margin: Decimal


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """Balances and positions that changed (ACCOUNT_UPDATE): what it does not name is unchanged, not zero."""

    reason: str
    balances: tuple[Balance, ...]
    positions: tuple[PositionChange, ...]
    changed_at: int
    """When it happened (``T``): what trades and reports of REST are dated by, too."""
    event_at: int
    """When it was told (``E``): a moment later."""
    balance_change: Decimal = Decimal(0)
    """Except by trading (``bc``); funding for reason FUNDING_FEE."""
    unrecognized: tuple[UnrecognizedPosition, ...] = ()
    """Positions in it that are not understood."""


@dataclass(frozen=True, slots=True)
class LeverageChanged:
    """ACCOUNT_CONFIG_UPDATE of a symbol."""

    symbol: str
    leverage: int
    event_at: int


@dataclass(frozen=True, slots=True)
class MarginCall:
    positions: tuple[tuple[str, PositionSide | None], ...]
    event_at: int


class Stream(StrEnum):
    MARKET = "market"
    USER = "user"


@dataclass(frozen=True, slots=True)
class StreamUp:
    stream: Stream
    at: int


@dataclass(frozen=True, slots=True)
class StreamDown:
    stream: Stream
    reason: str
    at: int


class Task(StrEnum):
    """What a scheduler job reminds the trader of."""

    EVERY_SECOND = "every_second"
    CHECK_POSITIONS = "check_positions"
    CLEANUP = "cleanup"
    RECONCILE = "reconcile"
    REFRESH_INSTRUMENTS = "refresh_instruments"
    PRUNE = "prune"
    CHECKPOINT = "checkpoint"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class TaskDue:
    task: Task
    at: int


OrderOutcome = OrderUpdate | OrderRejected | OrderUnresolved | CancelRejected | OrderNotFound

ReadOutcome = FillsFetched | OrdersFetched | InstrumentsFetched | FundingFetched | SnapshotTaken | PositionsChecked

AccountOutcome = OrderOutcome | ReadOutcome | AccountConfigured | CommandFailed

Outcome = AccountOutcome | Quote

MarketEvent = Liquidation | Quote | MarkPrice

UserEvent = OrderUpdate | UnrecognizedOrder | AccountUpdate | LeverageChanged | MarginCall

StreamEvent = MarketEvent | UserEvent

ExchangeEvent = AccountOutcome | UserEvent | AuthFailed | AuthRecovered | PaperAccountSaved | StreamUp | StreamDown
"""Everything the exchange reports about our account, its orders and our connections."""

Event = MarketEvent | ExchangeEvent | TaskDue | OperatorCommand
