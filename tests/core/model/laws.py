"""What must hold whatever happens, judged by the exchange's books and by what has left, not by the bot's word."""

from dataclasses import dataclass, field
from decimal import Decimal

from src.core.inbox import TraderEvent
from src.core.order_answered import OrderAnswered
from src.domain.enums import OrderRole, PositionSide
from src.domain.messages import (
    Command,
    OrderNotFound,
    OrderRefused,
    OrdersFetched,
    OrderUnresolved,
    SnapshotTaken,
    SubmitOrder,
)
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.sandbox.protection import Unprotected
from tests.core.model.exchange import LEVERAGE, SYMBOL, ModelExchange
from tests.core.model.ledger import Ledger
from tests.core.model.network import role_of

D = Decimal
POSITION_CAP, TOTAL_CAP = D(140), D(120)
STOPPED_WITHIN_MS = 5_000
LEFT_ALONE_WITHIN_MS = 10_000
"""From a stranger's position on until no order of ours rests behind it (I14), and none is sent into it (I19)."""
_EXITS = tuple(role for role in OrderRole if role is not OrderRole.ENTRY)
_ABSENT_AFTER_MS, _DENIALS = 10_000, 3


@dataclass
class Doubt:
    """An entry of which nobody knows whether it exists."""

    since: int
    denials: int = 0


@dataclass(frozen=True)
class Excuse:
    """A time in which protection may be late: what was broken was on its own way, and how long mending may take."""

    at: int
    span_ms: int


@dataclass
class Laws:
    exchange: ModelExchange
    ledger: Ledger
    on_their_way: dict[str, OrderRequest] = field(default_factory=dict)
    """Entries that have left the trader and that nobody has answered or refused yet."""
    doubts: dict[str, Doubt] = field(default_factory=dict)
    excuses: list[Excuse] = field(default_factory=list)
    joined_at: dict[PositionSide, int] = field(default_factory=dict)
    """When an entry of ours was last seen to rest in a slot."""

    @property
    def now(self) -> int:
        return self.exchange.clock.now_ms()

    def excuse(self, seconds: int) -> None:
        self.excuses.append(Excuse(self.now, seconds * 1000))

    # What leaves, and what is told

    def see_leaving(self, command: Command) -> None:
        """An entry never leaves while another's fate is unknown (I3)."""
        if not isinstance(command, SubmitOrder):
            return
        self._away_from_strangers(command.request)
        if role_of(command.request.client_order_id) is not OrderRole.ENTRY:
            return
        self._settle_doubts()
        assert not self.doubts, f"{command.request.client_order_id} left while {self.doubts} are unknown"
        self.on_their_way[command.request.client_order_id] = command.request

    def see_told(self, event: TraderEvent) -> None:
        """The trader has heard this, and committed what follows from it."""
        match event:
            case OrderUnresolved(client_order_id=name) if name in self.on_their_way:
                self.doubts.setdefault(name, Doubt(self.now))
            case OrderNotFound(client_order_id=name) if name in self.doubts:
                self.doubts[name].denials += 1
            case OrderUpdate(client_order_id=name) | OrderRefused(client_order_id=name):
                self._forget(name)
            case OrderAnswered(update=update):
                self._forget(update.client_order_id)
            case SnapshotTaken(snapshot=snapshot):
                self._forget(*(each.client_order_id for each in snapshot.open_orders))
            case OrdersFetched(orders=orders):
                self._forget(*(each.client_order_id for each in orders))

    def see_death(self) -> None:
        """Whatever was on its way may have arrived or not."""
        for name in self.on_their_way:
            self.doubts.setdefault(name, Doubt(self.now))

    def is_given_up(self, client_order_id: str) -> bool:
        return self.ledger.status(client_order_id) in ("REJECTED", "CANCELED")

    def _settle_doubts(self) -> None:
        """An entry is given up after three denials and ten seconds, not before (§4, ABSENT)."""
        for name, doubt in list(self.doubts.items()):
            if self.is_given_up(name):
                assert doubt.denials >= _DENIALS, f"{name} was given up after {doubt.denials} denials"
                assert self.now - doubt.since >= _ABSENT_AFTER_MS, f"{name} was given up too early"
                self._forget(name)

    def _forget(self, *names: str) -> None:
        for name in names:
            self.on_their_way.pop(name, None)
            self.doubts.pop(name, None)

    # What holds at every moment

    def hold(self) -> None:
        self._sent_once()
        assert not self.exchange.owners.wrong, self.exchange.owners.wrong
        self._strangers_left_alone()
        self._protected_in_time()
        self._within_caps()
        self._booked_once()
        self._others_untouched()

    def _sent_once(self) -> None:
        twice = {name: times for name, times in self.exchange.arrived.items() if times > 1}
        assert not twice, f"sent twice: {twice}"

    def _protected_in_time(self) -> None:
        for span in self.exchange.protection.spans():
            allowed = STOPPED_WITHIN_MS + self._excused_ms(span)
            assert span.lasted_ms(self.now) <= allowed, f"{span} is longer than {allowed} ms"

    def _away_from_strangers(self, request: OrderRequest) -> None:
        """Once a stranger's position is known no entry is decided in its symbol, no other order in its slot (I19)."""
        is_entry = role_of(request.client_order_id) is OrderRole.ENTRY
        for slot, stay in self.exchange.owners.strangers().items():
            if is_entry or slot is request.position_side:
                since = stay.began_at if is_entry else self._alone_since(slot)
                self._check_young(slot, since, request.client_order_id)

    def _strangers_left_alone(self) -> None:
        """No exit of ours rests behind a stranger's position: for a while it may, until that is known; and as long as
        an entry of ours rests in the slot, which may join it."""
        joining = {each.position_side for each in self.exchange.open_orders(OrderRole.ENTRY)}
        self.joined_at |= dict.fromkeys(joining, self.now)
        strangers = self.exchange.owners.strangers()
        for order in self.exchange.open_orders(*_EXITS):
            if order.position_side in strangers:
                since = max(self._alone_since(order.position_side), order.event_at)
                self._check_young(order.position_side, since, order.client_order_id)

    def _alone_since(self, slot: PositionSide) -> int:
        """Since when it has been sure that a stranger's position is one."""
        return max(self.exchange.owners.stays[slot].began_at, self.joined_at.get(slot, 0))

    def _check_young(self, slot: PositionSide, since: int, name: str) -> None:
        span = Unprotected(SYMBOL, slot, since)
        allowed = LEFT_ALONE_WITHIN_MS + self._excused_ms(span)
        assert span.lasted_ms(self.now) <= allowed, f"{name} is there, and a stranger's position since {since}"

    def _excused_ms(self, span: Unprotected) -> int:
        until = self.now if span.until is None else span.until
        touching = (each for each in self.excuses if each.at <= until and span.since <= each.at + each.span_ms)
        return sum(each.span_ms for each in touching)

    def _within_caps(self) -> None:
        """Positions, resting entries and entries on their way together (I21): reserved from the decision on.

        What people add is nobody's decision.
        """
        if self.exchange.is_excused:
            return
        unseen = [each for name, each in self.on_their_way.items() if not self.exchange.has_met(name)]
        reserved = sum(((each.quantity or D(0)) * (each.price or D(0)) for each in unseen), D(0)) / LEVERAGE
        by_hand = self.exchange.owners.by_hand() / LEVERAGE
        assert self.exchange.margin() + reserved <= min(POSITION_CAP, TOTAL_CAP) + by_hand

    def _booked_once(self) -> None:
        booked = self.ledger.trade_ids()
        assert len(set(booked)) == len(booked)
        assert set(booked) <= {fill.trade_id for fill in self.exchange.fills()}

    def _others_untouched(self) -> None:
        assert len(self.exchange.open_orders(None)) == self.exchange.foreign_orders

    # What holds once everything has arrived

    def disagreement(self) -> str:
        """The first thing in which ledger and exchange differ; empty where they agree."""
        exchange, ledger = self.exchange, self.ledger
        roles = [role_of(each.client_order_id) for each in exchange.open_orders(*OrderRole)]
        claims = {
            "entries or closes are open": OrderRole.ENTRY not in roles and OrderRole.CLOSE not in roles,
            "positions differ": ledger.positions() == {p.position_side: p.quantity for p in exchange.open_positions()},
            "owners differ": self._owners_agree(),
            "a position lacks its stop, or has two": self._stops_fit(),
            "a fill is missing, or a stranger's is booked": self._booked_are_ours(),
            "results differ": ledger.net() == exchange.net(ledger.trade_ids()),
            "orders differ": ledger.open_orders()
            == {each.client_order_id for each in exchange.open_orders(*OrderRole)},
        }
        return next((name for name, holds in claims.items() if not holds), "")

    def _owners_agree(self) -> bool:
        """In a slot where trades are mixed what people open may be anybody's, but what is ours is known as ours."""
        told, owners = self.ledger.owners(), self.exchange.owners
        return told.keys() == owners.stays.keys() and all(
            told[slot] is stay.is_ours or (told[slot] and slot in owners.mixed) for slot, stay in owners.stays.items()
        )

    def _booked_are_ours(self) -> bool:
        """A stranger's are not, but those of a time when his position was still taken for ours."""
        owners, booked = self.exchange.owners, set(self.ledger.trade_ids())
        may_lack = {each.trade_id for each in self.exchange.fills() if self._is_mixed(each)}
        return owners.ours <= booked | may_lack and all(self._is_doubtful(each) for each in booked - owners.ours)

    def _is_mixed(self, fill: Fill) -> bool:
        return role_of(fill.client_order_id) is None and fill.position_side in self.exchange.owners.mixed

    def _is_doubtful(self, trade_id: int) -> bool:
        owners = self.exchange.owners
        fill, ended_at = owners.others[trade_id], owners.ended_at[trade_id]
        if self._is_mixed(fill):
            return True
        span = Unprotected(fill.symbol, fill.position_side, ended_at, fill.traded_at)
        return span.lasted_ms(self.now) <= LEFT_ALONE_WITHIN_MS + self._excused_ms(span)

    def _stops_fit(self) -> bool:
        stops = self.exchange.open_orders(OrderRole.STOP_LOSS)
        takes = self.exchange.open_orders(OrderRole.TAKE_PROFIT)
        ours = self.ledger.owners()
        held = {each.position_side for each in self.exchange.open_positions() if ours.get(each.position_side)}
        return sorted(each.position_side for each in stops) == sorted(held) and {e.position_side for e in takes} <= held
