"""What the bot writes of itself, so that the dashboard can tell it: positions, exposure, connections, standing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

from src.core.books import Holding
from src.core.desks.desk import Desk
from src.core.desks.entries import EntryDesk
from src.core.plans.protection import ProtectionPlan, is_confirmed
from src.core.vitals import Vitals
from src.core.watch.stream_watch import StreamWatch
from src.database.repositories import Store
from src.domain.enums import Network, OrderRole, TradingState
from src.domain.positions import AccountSummary, PositionRecord, Protection

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which bot this is."""

    version: str
    pid: int
    started_at: int
    network: str
    is_simulated: bool
    account: str = ""
    """Whose money it is, in what may be shown: an address, or the end of a key."""
    is_supervised: bool = False
    """A launcher would start it anew."""


def tell_waiting(store: Store, identity: Identity, now_ms: int, reason: str) -> None:
    """A bot that lives, makes no entry, and says why: before there is a trader to say it."""
    with store.transaction():
        store.set_state("bot", {**asdict(identity), "heartbeat_at": now_ms})
        store.set_state("trading", {"state": TradingState.REDUCE_ONLY, "reason": reason})


def mode_of(network: str, *, is_simulated: bool) -> str:
    """What is at stake, in words: only the main network holds money."""
    if is_simulated:
        return "paper trading"
    return "REAL ORDERS" if network == Network.MAINNET else "orders with play money"


class StatusDesk:
    """Publishes the state once a second and says in the journal what changed."""

    def __init__(
        self,
        desk: Desk,
        entries: EntryDesk,
        watch: StreamWatch,
        identity: Identity,
        read_vitals: Callable[[], Vitals],
    ) -> None:
        self._desk = desk
        self._entries = entries
        self._watch = watch
        self._identity = identity
        self._read_vitals = read_vitals
        self._last_standing: tuple[str, str, bool] | None = None

    def publish(self) -> None:
        """One heartbeat: every state row, and every open position at its mark."""
        now_ms, store = self._desk.clock.now_ms(), self._desk.store
        vitals, identity = self._read_vitals(), self._identity
        store.set_state("bot", {**asdict(identity), "heartbeat_at": now_ms + vitals.clock_strayed_ms})
        store.set_state("limits", asdict(vitals))
        store.set_state("clock", {"offset_ms": vitals.clock_offset_ms - vitals.clock_strayed_ms})
        for stream, state in self._watch.states.items():
            store.set_state(f"{stream}_stream", {"state": state, "last_event_at": self._watch.heard_at.get(stream)})
        store.set_state("exposure", self._exposure())
        store.set_state("foreign_orders", {"items": self._foreign_orders()})
        if self._desk.account is not None:
            store.set_state("account", {**asdict(self._at_the_marks(self._desk.account)), "at": now_ms})
        for holding in self._desk.books.open_holdings():
            self.save(holding)
        self.tell_standing()

    def tell_standing(self) -> None:
        """The trading state and its reason; the journal hears of changes only."""
        standing = self._desk.standing
        awaits_resume = standing.awaits_resume or bool(self._desk.locked)
        now = standing.state.value, standing.reason, awaits_resume
        if now != self._last_standing:
            self._last_standing = now
            payload = {"state": now[0], "reason": now[1]}
            self._desk.store.set_state("trading", {**payload, "awaits_resume": awaits_resume})
            self._desk.tell("state", payload)

    def save(self, holding: Holding, plan: ProtectionPlan | None = None) -> None:
        """Write the position as a person wants to see it."""
        standing = plan or self._standing_orders(holding)
        record = PositionRecord(
            position=holding.position,
            mark_price=self._desk.mark_price(holding.position.symbol),
            leverage=holding.leverage,
            margin_type=holding.margin_type,
            liquidation_price=holding.liquidation_price,
            take_profit_price=standing.take_profit_price,
            stop_loss_price=standing.stop_loss_price,
            protection=standing.state if holding.is_ours else Protection.FOREIGN,
            opened_at=holding.opened_at,
            as_of=self._desk.clock.now_ms(),
            entry_client_order_id=holding.entry,
        )
        self._desk.store.save_position(record)

    def _standing_orders(self, holding: Holding) -> ProtectionPlan:
        orders = self._desk.books.orders_in(holding.slot)
        standing = {order.role: order.request.stop_price for order in orders if is_confirmed(order)}
        stop = standing.get(OrderRole.STOP_LOSS)
        settings = self._desk.symbol_settings(holding.position.symbol)
        if stop is not None:
            state = Protection.OK
        elif settings is not None and not settings.stop_loss_enabled:
            state = Protection.DISABLED
        else:
            is_asked = any(order.role is OrderRole.STOP_LOSS for order in orders)
            state = Protection.PENDING if is_asked else Protection.MISSING
        return ProtectionPlan(state, stop_loss_price=stop, take_profit_price=standing.get(OrderRole.TAKE_PROFIT))

    def _at_the_marks(self, account: AccountSummary) -> AccountSummary:
        """The wallet as last told, and what open positions make of it now: a snapshot knows that only every 30 s."""
        unrealized_pnl = self._desk.unrealized_pnl()
        return replace(
            account,
            unrealized_pnl=unrealized_pnl,
            margin_balance=account.wallet_balance + unrealized_pnl,
            available_balance=account.wallet_balance + min(unrealized_pnl, ZERO) - self._entries.total_margin(),
            initial_margin=sum((each.margin for each in self._desk.books.open_holdings()), ZERO),
        )

    def _exposure(self) -> dict[str, object]:
        holdings = self._desk.books.open_holdings()
        notional = sum((abs(each.position.quantity) * each.position.entry_price for each in holdings), ZERO)
        cap = self._desk.settings.globals_.max_total_exposure_usdt
        return {"margin": self._entries.total_margin(), "notional": notional, "cap": cap}

    def _foreign_orders(self) -> list[dict[str, object]]:
        return [
            {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "symbol": order.symbol,
                "side": order.side,
                "position_side": order.position_side,
                "type": order.original_type,
                "quantity": order.quantity,
                "price": order.price,
                "stop_price": order.stop_price,
                "status": order.status,
            }
            for order in self._desk.books.foreign_orders.values()
        ] + [asdict(order) for order in self._desk.books.strange_orders.values()]
