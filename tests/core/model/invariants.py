"""Invariants that must always hold, checked against the exchange's state and the commands sent."""

from dataclasses import dataclass, field
from decimal import Decimal

from src.core.events import OrderResponse, TraderEvent
from src.domain.commands import Command, SubmitOrder
from src.domain.enums import OrderRole, PositionSide
from src.domain.events import OrderNotFound, OrderRejected, OrdersFetched, OrderUnresolved, SnapshotTaken
from src.domain.orders import OrderRequest, OrderUpdate
from src.sandbox.account.audit import UnprotectedSpan
from tests.core.model.database_view import DatabaseView
from tests.core.model.exchange import LEVERAGE, SYMBOL, ModelExchange
from tests.core.model.faulty_network import role_of

D = Decimal
POSITION_CAP, TOTAL_CAP = D(140), D(120)
STOPPED_WITHIN_MS = 5_000
LEFT_ALONE_WITHIN_MS = 10_000
"""Time until the bot's orders behind an external position are cancelled (I14), and no entry is sent beside it (I19)."""
_EXITS = tuple(role for role in OrderRole if role is not OrderRole.ENTRY)
_ABSENT_AFTER_MS, _NOT_FOUND_COUNT = 10_000, 3


@dataclass
class UnresolvedOrder:
    """An entry that may or may not exist at the exchange."""

    since: int
    not_found_count: int = 0


@dataclass(frozen=True)
class GracePeriod:
    """A period in which protection may be late because of an injected fault."""

    at: int
    span_ms: int


@dataclass
class Invariants:
    exchange: ModelExchange
    database: DatabaseView
    in_flight: dict[str, OrderRequest] = field(default_factory=dict)
    """Entries that were sent and neither accepted nor rejected yet."""
    unresolved: dict[str, UnresolvedOrder] = field(default_factory=dict)
    grace_periods: list[GracePeriod] = field(default_factory=list)
    external_since: dict[PositionSide, int] = field(default_factory=dict)
    """Since when the bot has taken the position of a side for external."""

    @property
    def now(self) -> int:
        return self.exchange.clock.now_ms()

    def allow_delay(self, seconds: int) -> None:
        self.grace_periods.append(GracePeriod(self.now, seconds * 1000))

    def on_command_sent(self, command: Command) -> None:
        """No entry is sent while the outcome of another is unknown (I3)."""
        if not isinstance(command, SubmitOrder):
            return
        self._keeps_off_external(command.request)
        if role_of(command.request.client_order_id) is not OrderRole.ENTRY:
            return
        self._keeps_off_closing(command.request)
        self._resolve_orders()
        assert not self.unresolved, f"{command.request.client_order_id} was sent while {self.unresolved} are unknown"
        self.in_flight[command.request.client_order_id] = command.request

    def on_event_received(self, event: TraderEvent) -> None:
        """Note an event that the trader has handled and committed."""
        match event:
            case OrderUnresolved(client_order_id=name) if name in self.in_flight:
                self.unresolved.setdefault(name, UnresolvedOrder(self.now))
            case OrderNotFound(client_order_id=name) if name in self.unresolved:
                self.unresolved[name].not_found_count += 1
            case OrderUpdate(client_order_id=name) | OrderRejected(client_order_id=name):
                self._forget(name)
            case OrderResponse(update=update):
                self._forget(update.client_order_id)
            case SnapshotTaken(snapshot=snapshot):
                self._forget(*(each.client_order_id for each in snapshot.open_orders))
            case OrdersFetched(orders=orders):
                self._forget(*(each.client_order_id for each in orders))

    def on_kill(self) -> None:
        """After a kill, the outcome of every command in flight is unknown."""
        for name in self.in_flight:
            self.unresolved.setdefault(name, UnresolvedOrder(self.now))

    def is_considered_lost(self, client_order_id: str) -> bool:
        return self.database.status(client_order_id) in ("REJECTED", "CANCELED")

    def _resolve_orders(self) -> None:
        """An entry is considered lost after three not-found answers and ten seconds, not before."""
        for name, unresolved_order in list(self.unresolved.items()):
            if self.is_considered_lost(name):
                assert unresolved_order.not_found_count >= _NOT_FOUND_COUNT, (
                    f"{name} was considered lost after {unresolved_order.not_found_count} not-found answers"
                )
                assert self.now - unresolved_order.since >= _ABSENT_AFTER_MS, f"{name} was considered lost too early"
                self._forget(name)

    def _forget(self, *names: str) -> None:
        for name in names:
            self.in_flight.pop(name, None)
            self.unresolved.pop(name, None)

    def check(self) -> None:
        self._sent_once()
        assert not self.exchange.ownership.mismatches, self.exchange.ownership.mismatches
        self._external_left_alone()
        self._protected_in_time()
        self._within_caps()
        self._recorded_once()
        self._external_orders_untouched()

    def _sent_once(self) -> None:
        twice = {name: times for name, times in self.exchange.arrived.items() if times > 1}
        assert not twice, f"sent twice: {twice}"

    def _protected_in_time(self) -> None:
        for span in self.exchange.protection.spans():
            allowed = STOPPED_WITHIN_MS + self._allowed_delay_ms(span)
            assert span.duration_ms(self.now) <= allowed, f"{span} is longer than {allowed} ms"

    def _keeps_off_external(self, request: OrderRequest) -> None:
        """No entry is sent in the symbol of a position that is not the bot's, nor a close while a person is asked."""
        role = role_of(request.client_order_id)
        if role is OrderRole.ENTRY:
            for position_side, span in self.exchange.ownership.external().items():
                self._check_created_before(position_side, span.started_at, request.client_order_id)
        protected = {each.position_side for each in self.exchange.open_orders(OrderRole.STOP_LOSS)}
        if role is OrderRole.CLOSE and request.position_side in protected:
            assert request.position_side not in self.database.questions(), "a close was sent before the answer"

    def _keeps_off_closing(self, entry: OrderRequest) -> None:
        """No entry is sent while its symbol is being closed (I12), or beside orders of the last position (I14)."""
        assert not self.database.closing(), f"{entry.client_order_id} was sent while a position is closed"
        side = entry.position_side.value
        left = [] if side in self.database.positions() else self.database.open_exits(side)
        assert not left, f"{entry.client_order_id} was sent while {left} of the last position is open"

    def _external_left_alone(self) -> None:
        """No exit of the bot stays open on a position that the bot itself takes for external.

        Allowed for a while until it is cancelled, and while an open entry of the bot may still join it.
        """
        joining = {each.position_side for each in self.exchange.open_orders(OrderRole.ENTRY)}
        owners = self.database.owners()
        left_alone = {side for side, is_ours in owners.items() if not is_ours} - joining
        self.external_since = {side: self.external_since.get(side, self.now) for side in left_alone}
        for order in self.exchange.open_orders(*_EXITS):
            if order.position_side in self.external_since:
                since = max(self.external_since[order.position_side], order.event_at)
                self._check_created_before(order.position_side, since, order.client_order_id)

    def _check_created_before(self, position_side: PositionSide, since: int, name: str) -> None:
        span = UnprotectedSpan(SYMBOL, position_side, since)
        allowed = LEFT_ALONE_WITHIN_MS + self._allowed_delay_ms(span)
        assert span.duration_ms(self.now) <= allowed, f"{name} is open on a position that is external since {since}"

    def _allowed_delay_ms(self, span: UnprotectedSpan) -> int:
        until = self.now if span.until is None else span.until
        touching = (each for each in self.grace_periods if each.at <= until and span.since <= each.at + each.span_ms)
        return sum(each.span_ms for each in touching)

    def _within_caps(self) -> None:
        """Positions, open entries and entries in flight span_ within the margin limits (I21), manual trades aside."""
        if self.exchange.is_excused:
            return
        unseen = [each for name, each in self.in_flight.items() if not self.exchange.has_seen(name)]
        reserved = sum(((each.quantity or D(0)) * (each.price or D(0)) for each in unseen), D(0)) / LEVERAGE
        manual = self.exchange.ownership.manual_quantity() / LEVERAGE
        assert self.exchange.margin() + reserved <= min(POSITION_CAP, TOTAL_CAP) + manual

    def _recorded_once(self) -> None:
        recorded = self.database.trade_ids()
        assert len(set(recorded)) == len(recorded)
        assert set(recorded) <= {fill.trade_id for fill in self.exchange.fills()}

    def _external_orders_untouched(self) -> None:
        assert len(self.exchange.open_orders(None)) == self.exchange.external_orders

    def find_disagreement(self) -> str:
        """The first difference between database and exchange; empty if they agree."""
        exchange, database = self.exchange, self.database
        roles = [role_of(each.client_order_id) for each in exchange.open_orders(*OrderRole)]
        claims = {
            "entries or closes are open": OrderRole.ENTRY not in roles and OrderRole.CLOSE not in roles,
            "positions differ": database.positions()
            == {p.position_side: p.quantity for p in exchange.open_positions()},
            "owners differ": self._owners_agree(),
            "a position lacks its stop, or has two": self._stops_fit(),
            "a fill is missing, or an external one is recorded": set(database.trade_ids())
            == exchange.ownership.own_trades,
            "a question is open": not database.questions(),
            "results differ": database.net() == exchange.net(database.trade_ids()),
            "orders differ": database.open_orders()
            == {each.client_order_id for each in exchange.open_orders(*OrderRole)},
        }
        return next((name for name, holds in claims.items() if not holds), "")

    def _owners_agree(self) -> bool:
        """The bot manages exactly the positions of which some part is its own."""
        spans = self.exchange.ownership.spans
        return self.database.owners() == {side: span.is_ours for side, span in spans.items()}

    def _stops_fit(self) -> bool:
        stops = self.exchange.open_orders(OrderRole.STOP_LOSS)
        takes = self.exchange.open_orders(OrderRole.TAKE_PROFIT)
        ours = self.database.owners()
        held = {each.position_side for each in self.exchange.open_positions() if ours.get(each.position_side)}
        return sorted(each.position_side for each in stops) == sorted(held) and {e.position_side for e in takes} <= held
