"""Events: what the exchange, a stream or the scheduler reports to the trader. All are frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from src.domain.commands import AccountCommand, Command, OperatorCommand
from src.domain.enums import IncomeType, MarginType, PositionSide
from src.domain.instrument import IncompleteInstrument, Instrument
from src.domain.margin import Brackets
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import Fill, OrderUpdate, UnrecognizedOrder, UnrecognizedPosition
from src.domain.positions import Balance, Income, Position, PositionReport, Snapshot


class ApiScope(StrEnum):
    """A part of the API that the exchange can deny separately."""

    READ = "read"
    TRADE = "trade"
    USER_STREAM = "user_stream"


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """The exchange rejected the key, its permissions, the signature, the nonce or the clock."""

    code: int
    reason: str
    scope: ApiScope
    at: int


@dataclass(frozen=True, slots=True)
class AuthRecovered:
    """The API accepts our requests again in this scope."""

    scope: ApiScope
    at: int


@dataclass(frozen=True, slots=True)
class PositionsChecked:
    """The response to ``CheckPositions``."""

    positions: tuple[PositionReport, ...]
    at: int


@dataclass(frozen=True, slots=True)
class PaperAccountSaved:
    """The paper account after the events of the same batch; it is stored in the same transaction as their effects."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """An order that was not placed. ``code`` is None if the request did not reach the exchange."""

    symbol: str
    client_order_id: str
    code: int | None
    reason: str
    at: int
    is_auth_error: bool = False
    """The request was rejected for its key, permissions, signature, nonce or clock."""

    @property
    def is_order_rejection(self) -> bool:
        """Whether the exchange rejected this order itself; otherwise the same order may be sent again."""
        return self.code is not None and not self.is_auth_error


@dataclass(frozen=True, slots=True)
class OrderUnresolved:
    """A submit or cancel without a response: it may have been executed."""

    symbol: str
    client_order_id: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """A rejected cancel; ``code`` -2011 means that the exchange has no such open order."""

    symbol: str
    client_order_id: str
    code: int | None
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class OrderNotFound:
    """The response -2013 to a query: the exchange has no such order, or not yet."""

    symbol: str
    client_order_id: str
    at: int


@dataclass(frozen=True, slots=True)
class FillsFetched:
    symbol: str
    fills: tuple[Fill, ...]
    at: int
    since_ms: int = 0
    is_incomplete: bool = False
    """Some trades could not be read and are left out."""


@dataclass(frozen=True, slots=True)
class OrdersFetched:
    symbol: str
    orders: tuple[OrderUpdate, ...]
    since_ms: int
    at: int
    unrecognized: tuple[UnrecognizedOrder, ...] = ()
    """Orders with values we do not recognize."""


@dataclass(frozen=True, slots=True)
class InstrumentsFetched:
    instruments: tuple[Instrument, ...]
    at: int
    incomplete: tuple[IncompleteInstrument, ...] = ()
    """Listed symbols that lack a trading rule."""


@dataclass(frozen=True, slots=True)
class BracketsFetched:
    """The exchange's leverage brackets by symbol; those that cannot be read are left out."""

    brackets: Mapping[str, Brackets]
    at: int


@dataclass(frozen=True, slots=True)
class IncomeFetched:
    """The response to ``FetchIncome``."""

    incomes: tuple[Income, ...]
    at: int
    type: IncomeType = IncomeType.FUNDING_FEE
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    snapshot: Snapshot
    reason: str


@dataclass(frozen=True, slots=True)
class AccountConfigured:
    """An account command was executed, or the account was already set so."""

    command: AccountCommand
    at: int


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A read or an account command that failed; ``code`` is None if there was no response."""

    command: Command
    code: int | None
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class PositionChange:
    """One position inside an AccountUpdate."""

    position: Position
    margin_type: MarginType | None
    """None if the value is not recognized."""
    isolated_margin: Decimal


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """Changed balances and positions (ACCOUNT_UPDATE); those it does not list are unchanged."""

    reason: str
    balances: tuple[Balance, ...]
    positions: tuple[PositionChange, ...]
    changed_at: int
    """Time of the change (``T``), comparable with trades and REST reports; ms UTC."""
    event_at: int
    """Time the event was sent (``E``), slightly later; ms UTC."""
    unrecognized: tuple[UnrecognizedPosition, ...] = ()
    """Positions with values we do not recognize."""


@dataclass(frozen=True, slots=True)
class LeverageChanged:
    """The leverage of a symbol changed (ACCOUNT_CONFIG_UPDATE)."""

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


@dataclass(frozen=True, slots=True)
class UnreadableMessages:
    """Messages of the exchange that could not be understood; they are left out."""

    stream: Stream | None
    """None for responses to requests."""
    problem: str
    """What was wrong with the last of them."""
    count: int
    at: int


class Task(StrEnum):
    """A task of the trader: periodic ones, triggered by the scheduler, and the two steps of a graceful stop."""

    EVERY_SECOND = "every_second"
    CHECK_POSITIONS = "check_positions"
    CLEANUP = "cleanup"
    RECONCILE = "reconcile"
    REFRESH_INSTRUMENTS = "refresh_instruments"
    PRUNE = "prune"
    CHECKPOINT = "checkpoint"
    STOP = "stop"
    STOP_TIMEOUT = "stop_timeout"
    """The time to stop is over: what is not settled is reported."""


@dataclass(frozen=True, slots=True)
class TaskDue:
    task: Task
    at: int


OrderOutcome = OrderUpdate | UnrecognizedOrder | OrderRejected | OrderUnresolved | CancelRejected | OrderNotFound

RulesOutcome = InstrumentsFetched | BracketsFetched

ReadOutcome = FillsFetched | OrdersFetched | RulesOutcome | IncomeFetched | SnapshotTaken | PositionsChecked

AccountOutcome = OrderOutcome | ReadOutcome | AccountConfigured | CommandFailed

Outcome = AccountOutcome | Quote | UnreadableMessages

MarketEvent = Liquidation | Quote | MarkPrice

UserEvent = OrderUpdate | UnrecognizedOrder | AccountUpdate | LeverageChanged | MarginCall

StreamEvent = MarketEvent | UserEvent

StreamNotice = StreamUp | StreamDown | UnreadableMessages

ExchangeEvent = AccountOutcome | UserEvent | AuthFailed | AuthRecovered | PaperAccountSaved | StreamNotice
"""Everything the exchange reports about our account, its orders and our connections."""

Event = MarketEvent | ExchangeEvent | TaskDue | OperatorCommand
