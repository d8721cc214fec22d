"""Server-sent events: one thread follows the journal, every page has a bounded queue of its own (SAFETY D14)."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from src.api.errors import ApiError
from src.database.queries.account import JournalEntry
from src.domain.clock import Clock

log = logging.getLogger(__name__)

MAX_SUBSCRIBERS = 8
QUEUE_LENGTH = 1_000
REPLAY_LENGTH = 1_000
POLL_SECONDS = 0.1
POLL_TIMEOUT_SECONDS = 0.5  # how long a dead page, or our own end, may go unnoticed
HEARTBEAT_MS = 15_000

Version = tuple[tuple[int, int], int]

HEARTBEAT = ": still here\n\n"


class JournalSource(Protocol):
    """The bot's journal as this module needs it; any call may find the database missing."""

    def version(self) -> Version | None:
        """Which database it is, and a number that changes with every commit; None while there is none."""
        ...

    def bounds(self) -> tuple[int, int]:
        """The first id that is kept and the newest one; (1, 0) where there is none."""
        ...

    def after(self, entry_id: int, limit: int) -> Sequence[JournalEntry]:
        """The entries that follow one, oldest first."""
        ...


def render(kind: str, entry_id: int, body: dict[str, Any]) -> str:
    """One event in the text/event-stream format; JSON holds no line break."""
    return f"id: {entry_id}\nevent: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


@dataclass(eq=False, slots=True)
class Subscription:
    """What one page has not read yet. The monitor fills it, the page's own request empties it."""

    backlog: tuple[str, ...]
    pending: queue.Queue[str] = field(default_factory=lambda: queue.Queue(QUEUE_LENGTH))

    def put(self, text: str, reset: str) -> None:
        """Queue an event; a page too slow for that is told to load everything again instead."""
        try:
            self.pending.put_nowait(text)
        except queue.Full:
            with suppress(queue.Empty):
                while True:
                    self.pending.get_nowait()
            self.pending.put_nowait(reset)


class EventHub:
    """Every open page, and the thread that feeds them."""

    def __init__(self, journal: JournalSource, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._last_id = 0
        self._version: Version | None = None
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()  # makes "join" and "tell everyone" take turns: nothing is lost between them
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="database-monitor", daemon=True)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def subscriber_count(self) -> int:
        return len(self._subscriptions)

    @property
    def last_id(self) -> int:
        """The newest entry that the pages were told of."""
        return self._last_id

    def start(self) -> None:
        """Begin to follow, from the journal's newest entry on."""
        with suppress(SQLAlchemyError):  # a database that is being made has no journal yet
            self._last_id = self._journal.bounds()[1]
        self._thread.start()

    def stop(self) -> None:
        """End the thread and every stream; safe to call from a signal handler."""
        self._stop.set()

    def subscribe(self, seen_id: int | None) -> Subscription:
        """A new page that has seen the journal up to ``last_id`` (None: nothing yet). Raises 429 past the limit."""
        with self._lock:
            if len(self._subscriptions) >= MAX_SUBSCRIBERS:
                raise ApiError(429, "too_many_streams", f"{MAX_SUBSCRIBERS} pages are open already: close one.")
            subscription = Subscription(tuple(self._backlog(seen_id)))
            self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.discard(subscription)

    def read(self, subscription: Subscription, is_disconnected: Callable[[], bool]) -> Iterator[str]:
        """The text of a stream, until its page is gone or we stop."""
        sent_at = self._clock.monotonic_ms()
        yield from subscription.backlog
        while not (self._stop.is_set() or is_disconnected()):
            try:
                text = subscription.pending.get(timeout=POLL_TIMEOUT_SECONDS)
            except queue.Empty:
                if self._clock.monotonic_ms() - sent_at < HEARTBEAT_MS:
                    continue
                text = HEARTBEAT
            yield text
            sent_at = self._clock.monotonic_ms()

    def _backlog(self, seen_id: int | None) -> Iterator[str]:
        """Where the page stands, and what it missed; `reset` where that is no longer kept."""
        position = self._last_id if seen_id is None else seen_id
        yield "retry: 2000\n\n" + render("hello", position, {"id": position, "at": self._clock.now_ms()})
        if seen_id is None or seen_id == self._last_id:
            return
        oldest, _ = self._journal.bounds()
        if not oldest - 1 <= seen_id <= self._last_id or self._last_id - seen_id > REPLAY_LENGTH:
            yield self._reset()
            return
        for entry in self._journal.after(seen_id, self._last_id - seen_id):
            if entry.id <= self._last_id:
                yield render_entry(entry)

    def _follow(self) -> None:
        error_text = logged = ""
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.poll()
                error_text = logged = ""
            except SQLAlchemyError as error:
                reason = str(getattr(error, "orig", error))
                if (
                    reason == error_text != logged
                ):  # once, and only where it lasts: one that is being made has no journal yet
                    log.warning("the journal cannot be read: %s", reason)
                    logged = reason
                error_text = reason
                self._stop.wait(POLL_TIMEOUT_SECONDS)

    def poll(self) -> None:
        """Tell every page what was committed since the last turn. Raises SQLAlchemyError, and tells it next time."""
        version = self._journal.version()
        if version is None or version == self._version:
            return
        with self._lock:
            if self._version is not None and version[0] != self._version[0]:
                self._reset_all()
            while entries := self._journal.after(self._last_id, REPLAY_LENGTH):
                for entry in entries:
                    self._broadcast(entry)
        self._version = version

    def _reset_all(self) -> None:
        """Another database lies in the place of the one we knew: the pages start over with it."""
        self._last_id = self._journal.bounds()[1]
        log.warning("the database was replaced newest=%s", self._last_id)
        for subscription in self._subscriptions:
            subscription.put(self._reset(), self._reset())

    def _broadcast(self, entry: JournalEntry) -> None:
        self._last_id = entry.id
        text = render_entry(entry)
        for subscription in self._subscriptions:
            subscription.put(text, self._reset())

    def _reset(self) -> str:
        return render("reset", self._last_id, {"id": self._last_id, "at": self._clock.now_ms()})


def render_entry(entry: JournalEntry) -> str:
    return render(entry.kind, entry.id, entry.to_dict())
