"""Everything that crosses a queue: events are facts, commands are wishes. All are frozen."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from src.domain.access import AccessGranted as AccessGranted
from src.domain.access import AccessRefused as AccessRefused
from src.domain.account_commands import AccountCommand
from src.domain.enums import MarginType, PositionSide
from src.domain.instrument import Instrument
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.paper import PaperKept
from src.domain.positions import Balance, Income, Position, Snapshot
from src.domain.strange import StrangeOrder, StrangePosition
from src.domain.wishes import OperatorAction as OperatorAction
from src.domain.wishes import OperatorCommand as OperatorCommand


# Commands: the trader asks, the gateway executes.
@dataclass(frozen=True, slots=True)
class SubmitOrder:
    request: OrderRequest
    not_after: int | None = None
    """An entry that could not leave by then (ms UTC) is not sent at all: its reason has gone."""


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


# Events: what the exchange did, or did not, make of a command.
@dataclass(frozen=True, slots=True)
class OrderRefused:
    """A submit that did not happen and will not. ``code`` is None where nothing reached the exchange."""

    symbol: str
    client_order_id: str
    code: int | None
    reason: str
    at: int
    of_access: bool = False
    """Not the order was refused but we: key, permission, signature, nonce or clock."""

    @property
    def judges_order(self) -> bool:
        """The exchange has said no to this very order; else the same may be tried again as it is."""
        return self.code is not None and not self.of_access


@dataclass(frozen=True, slots=True)
class OrderUnresolved:
    """A submit or cancel whose answer was lost: it may have happened."""

    symbol: str
    client_order_id: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class CancelRefused:
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
    strange: tuple[StrangeOrder, ...] = ()
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
class AccountSet:
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
    strange: tuple[StrangePosition, ...] = ()
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


# Events: paper trading.
# Events: the state of our connections.
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


class Duty(StrEnum):
    """What a scheduler job reminds the trader of."""

    AUDIT = "audit"
    LOOK = "look"
    CLEANUP = "cleanup"
    RECONCILE = "reconcile"
    RULES = "rules"
    PRUNE = "prune"
    CHECKPOINT = "checkpoint"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Due:
    duty: Duty
    at: int


OrderOutcome = OrderUpdate | OrderRefused | OrderUnresolved | CancelRefused | OrderNotFound
SnapshotOutcome = SnapshotTaken | PositionsChecked
ReadOutcome = FillsFetched | OrdersFetched | InstrumentsFetched | FundingFetched | SnapshotOutcome | Quote
Outcome = OrderOutcome | ReadOutcome | AccountSet | CommandFailed
StreamEvent = (
    Liquidation | Quote | MarkPrice | OrderUpdate | StrangeOrder | AccountUpdate | LeverageChanged | MarginCall
)
AccessEvent = AccessRefused | AccessGranted
Event = Outcome | AccessEvent | StreamEvent | PaperKept | StreamUp | StreamDown | Due | OperatorCommand
