"""Server-sent events: one thread follows the journal and feeds a bounded queue for each open page."""

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

MAX_STREAMS = 40
MAX_STREAMS_PER_CLIENT = 4
"""A browser needs one, which its tabs share."""
REFUSED_RETRY_SECONDS = 20
QUEUE_LENGTH = 1_000
REPLAY_LENGTH = 1_000
POLL_SECONDS = 0.02  # a look costs 40 µs
IDLE_POLL_SECONDS = 0.2  # while no page is open
POLL_TIMEOUT_SECONDS = 0.5  # how late a closed page, or a stop, may be noticed
HEARTBEAT_MS = 15_000

Version = tuple[tuple[int, int], int]

HEARTBEAT = ": heartbeat\n\n"


class JournalSource(Protocol):
    """The bot's journal. The database may be missing at any call."""

    def version(self) -> Version | None:
        """The database file's identity, and a number that changes at every commit; None without a database."""
        ...

    def bounds(self) -> tuple[int, int]:
        """The oldest and the newest id; (1, 0) for an empty journal."""
        ...

    def after(self, entry_id: int, limit: int) -> Sequence[JournalEntry]:
        """Up to ``limit`` entries after ``entry_id``, oldest first."""
        ...


def render(kind: str, entry_id: int, body: dict[str, Any]) -> str:
    """One event in the text/event-stream format."""
    return f"id: {entry_id}\nevent: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


@dataclass(eq=False, slots=True)
class Subscription:
    """The unread events of one page: the hub's thread fills it, the page's request empties it."""

    backlog: tuple[str, ...]
    client: str = ""
    """Who opened it: the browser's name for itself, else its address."""
    pending: queue.Queue[str] = field(default_factory=lambda: queue.Queue(QUEUE_LENGTH))

    def put(self, text: str, reset: str) -> None:
        """Queue an event; if the queue is full, replace its content by ``reset``, so that the page reloads its data."""
        try:
            self.pending.put_nowait(text)
        except queue.Full:
            with suppress(queue.Empty):
                while True:
                    self.pending.get_nowait()
            self.pending.put_nowait(reset)


class EventHub:
    """The subscriptions of all open pages, and the thread that feeds them."""

    def __init__(self, journal: JournalSource, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._last_id = 0
        self._version: Version | None = None
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()  # serializes subscribe and broadcast, so that no event is lost between them
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
        """The id of the last broadcast entry."""
        return self._last_id

    def start(self) -> None:
        """Start the thread; it broadcasts entries newer than the journal's last one."""
        with suppress(SQLAlchemyError):  # a database being created has no journal yet
            self._last_id = self._journal.bounds()[1]
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and end all streams; may be called from a signal handler."""
        self._stop.set()

    def subscribe(self, seen_id: int | None, client: str = "") -> Subscription:
        """Subscribe a page that has seen the journal up to ``seen_id`` (None: a new page).

        Raises `ApiError` 429 above MAX_STREAMS_PER_CLIENT and MAX_STREAMS: the page then has to poll.
        """
        with self._lock:
            own = sum(each.client == client for each in self._subscriptions)
            if own >= MAX_STREAMS_PER_CLIENT or len(self._subscriptions) >= MAX_STREAMS:
                message = "Too many pages are open: this one updates every few seconds. Close some of them."
                raise ApiError(429, "too_many_streams", message, headers={"Retry-After": str(REFUSED_RETRY_SECONDS)})
            subscription = Subscription(tuple(self._backlog(seen_id)), client)
            self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.discard(subscription)

    def read(self, subscription: Subscription, is_disconnected: Callable[[], bool]) -> Iterator[str]:
        """The text of a stream, until the page disconnects or the hub stops."""
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
        """The `hello` event and the missed entries, or `reset` if those are no longer available."""
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
        while not self._stop.wait(POLL_SECONDS if self._subscriptions else IDLE_POLL_SECONDS):
            try:
                self.poll()
                error_text = logged = ""
            except SQLAlchemyError as error:
                reason = str(getattr(error, "orig", error))
                # Log an error once, at its second occurrence: a database being created has no journal at first.
                if reason == error_text != logged:
                    log.warning("journal cannot be read: %s", reason)
                    logged = reason
                error_text = reason
                self._stop.wait(POLL_TIMEOUT_SECONDS)

    def poll(self) -> None:
        """Broadcast the entries committed since the last poll. Raises SQLAlchemyError; the next poll then retries."""
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
        """The database file was replaced: continue with the new one and make all pages reload their data."""
        self._last_id = self._journal.bounds()[1]
        log.warning("database file replaced newest_id=%s", self._last_id)
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
