"""What the desks share: the trader's state, the open transaction, and the commands that wait for its commit."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from src.core.books import Books, Slot
from src.core.desks.cancels import MOST_TRIES, CancelTries
from src.core.operator.restart import RestartWish
from src.core.standing import Standing
from src.database.repositories import Store
from src.domain import crash_points
from src.domain.clock import Clock
from src.domain.crash_points import Point
from src.domain.enums import OrderRole, OrderStatus
from src.domain.errors import InvariantError
from src.domain.instrument import Instrument
from src.domain.market import MarkPrice, Quote
from src.domain.messages import CancelOrder, Command, FetchQuote, SubmitOrder
from src.domain.orders import ClientOrderId, Order, OrderRequest, new_entry_token
from src.domain.positions import AccountSummary
from src.utils.config import Settings, SymbolSettings

log = logging.getLogger("hunter.trader")

QUOTE_EVERY_MS = 1_000


@dataclass(slots=True)
class Desk:
    """The trader's state. One thread, no locks."""

    settings: Settings
    instruments: Mapping[str, Instrument]
    store: Store
    clock: Clock
    draw: Callable[[int], int]
    """``draw(n)`` gives 0 … n-1: the random part of client order ids."""
    is_simulated: bool
    assume_yes: bool = False
    """Whoever started the bot agrees to real orders as they are set."""
    restart: RestartWish = field(default_factory=lambda: RestartWish(0, is_supervised=False))
    started_at: int = field(init=False)
    mark: str = ""
    """Tells our ids from those of other bots of this kind (I4)."""
    books: Books = field(default_factory=Books)
    standing: Standing = field(default_factory=Standing)
    quotes: dict[str, Quote] = field(default_factory=dict)
    marks: dict[str, MarkPrice] = field(default_factory=dict)
    account: AccountSummary | None = None
    outbox: list[Command] = field(default_factory=list)
    """Commands of the open transaction: they leave after its commit."""
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    """What may be done only once the open transaction is committed."""
    renew_private: Callable[[], None] = lambda: None
    """Opens the private stream anew."""
    unwanted: set[str] = field(default_factory=set)
    """Entries that are to be cancelled as soon as the exchange shows them to stand."""
    cancels: dict[str, CancelTries] = field(default_factory=dict)
    """Orders whose end this run has asked for."""
    retired: dict[str, SymbolSettings] = field(default_factory=dict)
    """Symbols that left the settings: what is held there is protected as before."""
    unsettled: dict[Slot, int] = field(default_factory=dict)
    """Slots in which a position of ours has ended and trades of it are missing, and since when."""
    locked: dict[str, str] = field(default_factory=dict)
    """Symbols that are kept from entries until a person resumes, each with its reason."""
    _numbers: dict[str, int] = field(default_factory=dict)
    _asked_at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started_at = self.clock.now_ms()

    def send(self, command: Command) -> None:
        self.outbox.append(command)

    def release(self) -> list[Command]:
        """The transaction is committed: what waited for that is done, its commands may leave."""
        waiting, self.after_commit = self.after_commit, []
        for act in waiting:
            act()
        commands, self.outbox = self.outbox, []
        return commands

    def tell(self, kind: str, payload: Mapping[str, object], symbol: str | None = None) -> None:
        """Append to the journal: the audit log, and the dashboard's news."""
        self.store.journal(kind, payload, symbol)

    def alert(self, message: str, symbol: str | None = None) -> None:
        """Something a person should look at."""
        log.warning("%s", message)
        self.tell("alert", {"level": "warning", "message": message}, symbol)

    def alarm(self, message: str, symbol: str | None = None) -> None:
        """Something only a person can put right."""
        log.error("%s", message)
        self.tell("alert", {"level": "error", "message": message}, symbol)

    def state_key(self, subject: str) -> str:
        """Under which name the ledger keeps it: paper and real share a file and nothing in it."""
        return f"{subject}_paper" if self.is_simulated else subject

    def mark_price(self, symbol: str) -> Decimal | None:
        mark = self.marks.get(symbol)
        return None if mark is None else mark.price

    def symbol_settings(self, symbol: str) -> SymbolSettings | None:
        """How a position of the symbol is to be protected."""
        return self.settings.symbols.get(symbol) or self.retired.get(symbol)

    def ask_quote(self, symbol: str) -> None:
        """Ask for the top of the book, once a second for a burst of liquidations."""
        if self.may_ask(f"quote {symbol}", QUOTE_EVERY_MS):
            self.send(FetchQuote(symbol))

    def may_ask(self, question: str, every_ms: int) -> bool:
        """Not again within this time; a true answer counts as having asked."""
        now_ms = self.clock.monotonic_ms()
        if now_ms - self._asked_at.get(question, -every_ms) < every_ms:
            return False
        self._asked_at[question] = now_ms
        return True

    def unrealized_pnl(self) -> Decimal:
        """Of all open positions at this moment's marks, in the quote asset."""
        positions = [holding.position for holding in self.books.open_holdings()]
        marked = ((position, self.mark_price(position.symbol)) for position in positions)
        return sum((position.unrealized_pnl(mark) for position, mark in marked if mark is not None), Decimal(0))

    def new_entry_id(self) -> str:
        return str(ClientOrderId(new_entry_token(self.clock.now_ms(), self.mark, self.draw), OrderRole.ENTRY))

    def next_id(self, entry_id: str, role: OrderRole) -> str:
        """The next id of an entry's protective or closing orders; never one that was used."""
        entry = ClientOrderId.parse(entry_id)
        if entry is None:
            raise InvariantError(f"{entry_id} is no entry of ours")
        number = self._numbers.get(entry.entry, 0) + 1
        while self.store.load_order(name := str(ClientOrderId(entry.entry, role, number))) is not None:
            number += 1  # given out by an earlier run
        self._numbers[entry.entry] = number
        return name

    def note_id(self, client_order_id: str) -> None:
        """An id that exists already is not given out again."""
        known = ClientOrderId.parse(client_order_id)
        if known is not None:
            self._numbers[known.entry] = max(self._numbers.get(known.entry, 0), known.number)

    def place(self, request: OrderRequest, role: OrderRole, parent: str | None, not_after: int | None = None) -> Order:
        """Record the intent, and let it leave after the commit (I1)."""
        crash_points.reached(Point.ORDER_DECIDED, role)
        now_ms = self.clock.now_ms()
        order = Order(request, role, created_at=now_ms, parent=parent, sent_at=now_ms)
        self.books.add_order(order)
        self.store.record_order(order, simulated=self.is_simulated)
        crash_points.reached(Point.ORDER_WRITTEN, role)
        self.tell_order(order)
        self.send(SubmitOrder(request, not_after))
        return order

    def cancel(self, order: Order, *, at_once: bool = False) -> bool:
        """Ask for the end of an order; of an entry that is on its way as soon as it is known to stand. False where
        nothing was sent: after five tries the next is slow to come, except ``at_once``, at a person's word."""
        if order.role is OrderRole.ENTRY:
            self.unwanted.add(order.client_order_id)
        if order.status not in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            return False
        tries = self.cancels.setdefault(order.client_order_id, CancelTries())
        if tries.count >= MOST_TRIES and not tries.is_told:
            self._tell_uncancelled(order, tries)
        now_ms = self.clock.monotonic_ms()
        if not at_once and not tries.may_follow(now_ms):
            return False
        tries.note(now_ms)
        order.advance(OrderStatus.PENDING_CANCEL)
        order.unresolved_since = None
        self.store.update_order(order, "cancel")
        self.tell_order(order)
        self.send(CancelOrder(order.symbol, order.client_order_id))
        return True

    def _tell_uncancelled(self, order: Order, tries: CancelTries) -> None:
        tries.is_told = True
        self.alarm(
            f"{order.role} {order.client_order_id} of {order.symbol} cannot be cancelled: {tries.count} tries, and it "
            f"still stands ({tries.reason}). Cancel it on the exchange's site; the bot goes on trying",
            order.symbol,
        )

    def tell_order(self, order: Order) -> None:
        request = order.request
        payload = {
            "client_order_id": order.client_order_id,
            "order_id": order.order_id,
            "role": order.role,
            "side": request.side,
            "position_side": request.position_side,
            "type": request.type,
            "quantity": request.quantity,
            "price": request.price,
            "stop_price": request.stop_price,
            "status": order.status,
            "filled_quantity": order.filled_quantity,
            "reason": order.reason,
        }
        self.tell("order", payload, order.symbol)
