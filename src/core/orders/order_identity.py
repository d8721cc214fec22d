"""Whose an order is: the bot's, another bot's of this kind (F41), or a person's."""

from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole, OrderStatus
from src.domain.orders import ClientOrderId, Order, OrderUpdate, random_digits

_STATE = "bot_instance"
_TAG_DIGITS = 4
_MAX_SEEN_ORDERS = 200


class OrderIdentity:
    """Finds the order that an update is about. Orders of another bot never count as ours, even after restarts."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._database_created_at = context.started_at
        self._seen_order_ids: list[str] = []
        """Client order ids of another bot's newest orders: those from before a resume are not reported again."""

    def restore(self) -> None:
        """Load the bot's tag and what is known of another bot; a new database gets a new tag."""
        known = self._context.store.get_state(_STATE) or {}
        self._database_created_at = int(known.get("created_at", self._database_created_at))
        self._seen_order_ids = list(known.get("seen_order_ids", ()))
        reason = None if self._context.is_simulated else known.get("reason")
        self._context.trading_status.set_or_clear(EntryBlock.OTHER_BOT, reason)
        self._context.bot_tag = str(known.get("bot_tag", ""))
        if "bot_tag" not in known:
            self._new_tag()

    def on_resume(self) -> None:
        """Clear the block that another bot led to."""
        if self._context.trading_status.has(EntryBlock.OTHER_BOT):
            self._context.trading_status.clear(EntryBlock.OTHER_BOT)
            self._save()

    def find(self, update: OrderUpdate) -> Order | None:
        """Return our order, if it is one; None for an order of another bot or a person.

        One that is not in memory is loaded, or restored if the database has lost it. Its position is the bot's.
        """
        client_order_id, portfolio = update.client_order_id, self._context.portfolio
        found, name = portfolio.orders.get(client_order_id), ClientOrderId.parse(client_order_id)
        if found is not None or name is None:
            return found
        order = self.known(client_order_id)
        is_readable = self._context.store.error is None  # unreadable is not unknown
        if order is None and is_readable and self._is_from_another_bot(update, name):
            self._report(update, name)
            return None
        order = order or self._restore_order(update, name)
        tracked = portfolio.tracked(order.key)
        if not tracked.is_managed:
            tracked.assign_entry(order.entry_client_order_id)  # our protection is open there
        return order

    def known(self, client_order_id: str) -> Order | None:
        """Return our order with this id, loaded from the database if it is not in memory; None if there is none."""
        order = self._context.portfolio.orders.get(client_order_id)
        if order is None and ClientOrderId.parse(client_order_id) is not None:
            order = self._context.store.load_order(client_order_id)
            if order is not None:
                self._add(order)
        return order

    def _restore_order(self, update: OrderUpdate, name: ClientOrderId) -> Order:
        entry_id = None if name.role is OrderRole.ENTRY else str(ClientOrderId(name.entry, OrderRole.ENTRY))
        order = Order(update.to_request(), name.role, created_at=update.event_at, entry_client_order_id=entry_id)
        self._context.store.record_order(order, simulated=self._context.is_simulated)
        self._context.warn(f"restored an order missing from the database: {order.client_order_id}", order.symbol)
        self._add(order)
        return order

    def _add(self, order: Order) -> None:
        self._context.reserve_order_id(order.client_order_id)
        self._context.portfolio.add_order(order)

    def _is_from_another_bot(self, update: OrderUpdate, known: ClientOrderId) -> bool:
        """Whether an order that is missing from our database was placed by another bot.

        We record an order before it is sent, so one with another tag is ours only if it is older than our database (an
        earlier database may be lost). One with our tag may be newer than that, because an old copy of the database may
        have been restored, but not newer than this run. Only the first event of a protective or closing order says
        when it was placed.
        """
        placed_at = update.event_at if update.status is OrderStatus.NEW else 0
        limit = self._context.started_at if known.bot_tag == self._context.bot_tag else self._database_created_at
        return update.client_order_id in self._seen_order_ids or max(placed_at, known.decided_at) > limit

    def _report(self, update: OrderUpdate, known: ClientOrderId) -> None:
        """Block entries: two bots on one account would break each other's limits and protection."""
        name = update.client_order_id
        if name in self._seen_order_ids:
            return
        self._seen_order_ids = [*self._seen_order_ids[1 - _MAX_SEEN_ORDERS :], name]
        if not self._context.trading_status.has(EntryBlock.OTHER_BOT):
            reason = (
                f"another bot trades on this account (order {name} of {update.symbol}); stop one of the two bots, "
                "then resume"
            )
            self._context.trading_status.block(EntryBlock.OTHER_BOT, reason)
            self._context.warn(reason, update.symbol)
        if known.bot_tag == self._context.bot_tag:
            self._new_tag()  # it runs on a copy of our database: use another tag from now on
        else:
            self._save()

    def _new_tag(self) -> None:
        self._context.bot_tag = random_digits(_TAG_DIGITS, self._context.random_below)
        self._save()

    def _save(self) -> None:
        state = {
            "bot_tag": self._context.bot_tag,
            "created_at": self._database_created_at,
            "seen_order_ids": self._seen_order_ids,
            "reason": self._context.trading_status.reason_of(EntryBlock.OTHER_BOT),
        }
        self._context.store.set_state(_STATE, state)
