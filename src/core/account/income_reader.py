"""Reads the income history (Get Income History) until it has what is asked for: it lags, and answers may fail."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from src.core.context import TraderContext
from src.domain.clock import MINUTE_MS
from src.domain.commands import FetchIncome
from src.domain.enums import IncomeType
from src.domain.events import AccountUpdate, IncomeFetched
from src.domain.numbers import ZERO, trimmed
from src.domain.positions import Income

MATCH_MS = 10 * MINUTE_MS
"""Largest difference between the time of an account update and that of its row in the history."""
_PAUSES_MS = tuple(seconds * 1000 for seconds in (5, 15, 60, 120, 300, 600, 1800, 3600))
_MAX_ATTEMPTS = 14
"""About eight hours; the next payment asks again in any case."""
_MAX_EMPTY_RESULTS = 5
_ANSWER_TIMEOUT_MS = 60_000
_OVERLAP_MS = MINUTE_MS

ReadKey = tuple[IncomeType, str | None]
"""The type of income, and the symbol if only its rows are read."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A payment that an account update announced and the history must contain."""

    asset: str
    amount: Decimal
    """0 if the update did not say it."""
    at: int

    def fits(self, income: Income) -> bool:
        """Whether it may be this payment, whatever its amount."""
        return self.asset in ("", income.asset) and abs(income.paid_at - self.at) <= MATCH_MS


def announced_by(update: AccountUpdate) -> list[Announced]:
    """What an update announces: the change of each balance, or one of unknown amount."""
    known = [Announced(each.asset, each.change, update.changed_at) for each in update.balances if each.change]
    asset = update.balances[0].asset if update.balances else ""
    return known or [Announced(asset, ZERO, update.changed_at)]


@dataclass(slots=True)
class _Read:
    """A part of the history that is asked for until it is complete."""

    since_ms: int
    is_wanted: Callable[[Income], bool] | None = None
    """The rows of unknown number that it is for: it is complete when another answer has no more of them."""
    announced: list[Announced] = field(default_factory=list)
    attempts: int = 0
    ask_at: int = 0
    """Monotonic time of the next request."""
    rows: int = 0
    """How many wanted rows the last answer had."""

    def is_complete(self, incomes: Sequence[Income]) -> bool:
        """Whether nothing is missing any more, by the rows of the newest answer."""
        if self.is_wanted is None:
            return not self.announced
        wanted = [each for each in incomes if each.paid_at >= self.since_ms and self.is_wanted(each)]
        before, self.rows = self.rows, len(wanted)
        return 0 < self.rows == before or self.attempts >= _MAX_EMPTY_RESULTS


class IncomeReader:
    """Asks for each part of the history again, with growing pauses, until it is complete."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._reads: dict[ReadKey, _Read] = {}
        self._matched: set[tuple[int, str]] = set()
        """Rows that an announced payment was found in."""
        self._taken: set[tuple[int, str, str]] = set()
        self.is_started = False
        """The account has been read: before that nothing is sent."""

    def request(
        self,
        key: ReadKey,
        since_ms: int,
        announced: Iterable[Announced] = (),
        is_wanted: Callable[[Income], bool] | None = None,
    ) -> None:
        """Read a part of the history since an instant, ms UTC, until ``_Read.is_complete``."""
        read = self._reads.setdefault(key, _Read(since_ms, is_wanted))
        read.announced += announced
        read.since_ms = min([read.since_ms, since_ms, *(each.at for each in read.announced)])
        read.attempts = read.rows = 0
        if self.is_started:
            self._ask(key, read)

    def is_new(self, income: Income) -> bool:
        """Whether this run has not taken the row yet: the database cannot say so while it cannot be written."""
        key = income.transaction_id, income.type, income.symbol
        is_new = key not in self._taken
        self._taken.add(key)
        return is_new

    def is_reading(self, *keys: ReadKey) -> bool:
        """Whether one of these parts is not complete yet."""
        return any(key in self._reads for key in keys)

    def on_fetched(self, event: IncomeFetched) -> None:
        """Note what an answer contains, and ask again later for what is still missing."""
        key = event.type, event.symbol
        read = self._reads.get(key)
        if read is None:
            return
        read.announced = self._still_missing(read.announced, event.incomes)
        if read.is_complete(event.incomes):
            del self._reads[key]
        else:
            self._postpone(key, read)

    def on_failed(self, command: FetchIncome) -> None:
        """Ask again after a pause."""
        key = command.type, command.symbol
        if key in self._reads:
            self._postpone(key, self._reads[key])

    def check(self) -> None:
        """Called every second: ask again for what is due."""
        now_ms = self._context.clock.monotonic_ms()
        for key, read in self._reads.items():
            if self.is_started and now_ms >= read.ask_at:
                self._ask(key, read)

    def _ask(self, key: ReadKey, read: _Read) -> None:
        read.ask_at = self._context.clock.monotonic_ms() + _ANSWER_TIMEOUT_MS
        self._context.queue_command(FetchIncome(read.since_ms - _OVERLAP_MS, *key))

    def _postpone(self, key: ReadKey, read: _Read) -> None:
        read.attempts += 1
        pause_ms = _PAUSES_MS[min(read.attempts, len(_PAUSES_MS)) - 1]
        read.ask_at = self._context.clock.monotonic_ms() + pause_ms
        if read.attempts >= _MAX_ATTEMPTS and read.announced:
            if key[0] is IncomeType.FUNDING_FEE:
                missing = ", ".join(f"{trimmed(each.amount)} {each.asset}" for each in read.announced)
                self._context.warn(
                    f"the funding of {missing} is not in the exchange's income history, so the results lack it. "
                    "Compare them with the transaction history on the exchange's site"
                )
            read.announced.clear()  # the next answer ends the read

    def _still_missing(self, announced: Iterable[Announced], incomes: Iterable[Income]) -> list[Announced]:
        """The announced payments that the rows do not contain, each row counted once.

        One update may announce the sum of several rows, as one for all crossed positions does.
        """
        missing: list[Announced] = []
        for each in announced:
            free = [row for row in incomes if (row.transaction_id, row.symbol) not in self._matched and each.fits(row)]
            found = [row for row in free if each.amount in (ZERO, row.amount)][:1]
            if not found and sum((row.amount for row in free), ZERO) == each.amount:
                found = free
            self._matched.update((row.transaction_id, row.symbol) for row in found)
            if not found:
                missing.append(each)
        return missing
