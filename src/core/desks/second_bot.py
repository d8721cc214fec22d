"""Another bot of this kind on the account: told by its orders, remembered in the ledger, and a reason to stop (F41)."""

from src.core.desks.desk import Desk
from src.core.plans.recall import Instance, is_of_another_bot
from src.core.standing import Obstacle
from src.domain.orders import ClientOrderId, OrderUpdate, drawn

_STATE = "instance"
_DIGITS = 4
_NAMES_KNOWN = 200


class SecondBotDesk:
    """Knows which bot we are. What was seen of another one never becomes ours, however often either is started."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._born_at = desk.started_at
        self._names: list[str] = []
        """Its newest orders that we have seen: what a person has resumed after is not told once more."""

    def restore(self) -> None:
        known = self._desk.store.get_state(_STATE) or {}
        self._born_at = int(known.get("born_at", self._born_at))
        self._names = list(known.get("names", ()))
        self._desk.standing.settle(Obstacle.SECOND_BOT, None if self._desk.is_simulated else known.get("reason"))
        if "mark" in known:
            self._desk.mark = str(known["mark"])
        else:
            self._take_mark()

    def is_its(self, update: OrderUpdate, known: ClientOrderId) -> bool:
        """The order, which our ledger does not hold, is another bot's."""
        desk = self._desk
        ours = Instance(desk.mark, self._born_at, desk.started_at)
        return update.client_order_id in self._names or is_of_another_bot(update, known, ours)

    def note(self, update: OrderUpdate, known: ClientOrderId) -> None:
        """Two bots on one account would trade against each other's limits and protection: both make no entry."""
        name = update.client_order_id
        if name in self._names:
            return
        self._names = [*self._names[1 - _NAMES_KNOWN :], name]
        if not self._desk.standing.has(Obstacle.SECOND_BOT):
            reason = (
                f"another bot trades on this account: it made {name} of {update.symbol}; "
                "stop one of the two, then resume"
            )
            self._desk.standing.raise_obstacle(Obstacle.SECOND_BOT, reason)
            self._desk.alert(reason, update.symbol)
        if known.mark == self._desk.mark:
            self._take_mark()  # it runs on a copy of our ledger: from now on our orders differ from its
        else:
            self._save()

    def lift(self) -> None:
        """A person resumes."""
        if self._desk.standing.has(Obstacle.SECOND_BOT):
            self._desk.standing.clear(Obstacle.SECOND_BOT)
            self._save()

    def _take_mark(self) -> None:
        self._desk.mark = drawn(_DIGITS, self._desk.draw)
        self._save()

    def _save(self) -> None:
        state = {
            "mark": self._desk.mark,
            "born_at": self._born_at,
            "names": self._names,
            "reason": self._desk.standing.reason_of(Obstacle.SECOND_BOT),
        }
        self._desk.store.set_state(_STATE, state)
