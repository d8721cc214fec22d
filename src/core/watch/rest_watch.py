"""Does the exchange answer by REST, and does it know what our streams have not told? Looked at every few seconds."""

from src.core.desks.account_desk import AccountDesk
from src.core.desks.desk import Desk
from src.core.desks.order_desk import OrderDesk
from src.core.standing import Obstacle
from src.core.watch.stream_watch import StreamWatch
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.messages import CommandFailed, TakeSnapshot
from src.domain.positions import Snapshot

_PATIENCE_MS = 5_000
"""No answer for so long is an answer: with the look's own pause entries wait within ten seconds (F19)."""


class RestWatch:
    """Every two seconds: the whole account while the private stream is not to be trusted (I27), else its positions."""

    def __init__(self, desk: Desk, watch: StreamWatch, account: AccountDesk, orders: OrderDesk) -> None:
        self._desk = desk
        self._watch = watch
        self._account = account
        self._orders = orders
        self._asked_at: int | None = None
        """Monotonic; None while no question is open."""

    def look(self) -> None:
        """It is time for a look."""
        if not self._watch.is_private_trusted:
            self._account.poll("the private stream is not to be trusted")
        elif self._asked_at is None:
            self._desk.send(CheckPositions())
        if self._asked_at is None:
            self._asked_at = self._desk.clock.monotonic_ms()

    def on_checked(self, event: PositionsChecked) -> None:
        """The exchange answers; where a position is not as we know it, all is read, and our orders there are asked
        about: a fill that nobody told must not wait for its protection."""
        self._on_answer()
        different = self._watch.compare(event.positions)
        if different:
            self._account.ask("a position differs")
        for slot in different:
            for order in self._desk.books.orders_in(slot):
                if order.is_open:
                    self._orders.doubt(order)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """All was read; what the private stream has not told of it is its debt."""
        self._on_answer()
        self._watch.compare(snapshot.positions)

    def on_failed(self, event: CommandFailed) -> None:
        if isinstance(event.command, CheckPositions | TakeSnapshot):
            self._asked_at = None
            self._desk.standing.raise_obstacle(Obstacle.REST, f"the account cannot be read: {event.reason}")

    def check(self) -> None:
        """An answer that does not come is no better than a failure."""
        waited_ms = 0 if self._asked_at is None else self._desk.clock.monotonic_ms() - self._asked_at
        if waited_ms > _PATIENCE_MS:
            reason = f"the account cannot be read: no answer for {waited_ms // 1000} s"
            self._desk.standing.raise_obstacle(Obstacle.REST, reason)

    def _on_answer(self) -> None:
        """The account could be read."""
        self._asked_at = None
        self._desk.standing.clear(Obstacle.REST)
