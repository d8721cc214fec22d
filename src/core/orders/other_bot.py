"""Detects another bot of this kind on the account by its orders and blocks entries until the operator resumes (F41)."""

from src.core.context import TraderContext
from src.core.orders.order_identity import BotInstance, is_from_another_bot
from src.core.trading_status import EntryBlock
from src.domain.orders import ClientOrderId, OrderUpdate, random_digits

_STATE = "bot_instance"
_TAG_DIGITS = 4
_MAX_SEEN_ORDERS = 200


class OtherBotDetector:
    """Keeps our bot tag and the orders seen from another bot: they never count as ours, even after restarts."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._database_created_at = context.started_at
        self._seen_order_ids: list[str] = []
        """Client order ids of its newest orders: those from before a resume are not reported again."""

    def restore(self) -> None:
        known = self._context.store.get_state(_STATE) or {}
        self._database_created_at = int(known.get("created_at", self._database_created_at))
        self._seen_order_ids = list(known.get("seen_order_ids", ()))
        self._context.trading_status.set_or_clear(
            EntryBlock.OTHER_BOT, None if self._context.is_simulated else known.get("reason")
        )
        if "bot_tag" in known:
            self._context.bot_tag = str(known["bot_tag"])
        else:
            self._new_tag()

    def is_from_other_bot(self, update: OrderUpdate, known: ClientOrderId) -> bool:
        """Whether an order that is missing from our database is another bot's."""
        context = self._context
        ours = BotInstance(context.bot_tag, self._database_created_at, context.started_at)
        return update.client_order_id in self._seen_order_ids or is_from_another_bot(update, known, ours)

    def on_detected(self, update: OrderUpdate, known: ClientOrderId) -> None:
        """Block entries: two bots on one account would break each other's limits and protection."""
        client_order_id = update.client_order_id
        if client_order_id in self._seen_order_ids:
            return
        self._seen_order_ids = [*self._seen_order_ids[1 - _MAX_SEEN_ORDERS :], client_order_id]
        if not self._context.trading_status.has(EntryBlock.OTHER_BOT):
            reason = (
                f"another bot trades on this account (order {client_order_id} of {update.symbol}); "
                "stop one of the two bots, then resume"
            )
            self._context.trading_status.block(EntryBlock.OTHER_BOT, reason)
            self._context.warn(reason, update.symbol)
        if known.bot_tag == self._context.bot_tag:
            self._new_tag()  # it runs on a copy of our database: use another tag from now on
        else:
            self._save()

    def on_resume(self) -> None:
        """Clear the block."""
        if self._context.trading_status.has(EntryBlock.OTHER_BOT):
            self._context.trading_status.clear(EntryBlock.OTHER_BOT)
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
