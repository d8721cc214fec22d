"""The event stream over a real socket: no event is lost, and no page blocks another."""

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from src.api import sse
from src.api.bot_database import BotDatabase, JournalTail
from src.api.errors import ApiError
from src.api.routes.journal import CLIENT_HEADER
from src.api.sse import MAX_STREAMS, MAX_STREAMS_PER_CLIENT, QUEUE_LENGTH, EventHub
from src.database.open_database import open_database
from src.database.tables.market import Cutoffs
from src.domain.clock import ManualClock
from tests.api.harness import ApiHarness, EventStream, RunningDashboard, eventually, served
from tests.builders import NOW, D


@pytest.fixture
def running(harness: ApiHarness) -> Iterator[RunningDashboard]:
    """A running dashboard with a journal of three entries."""
    for number in range(1, 4):
        harness.journal("alert", {"number": number})
    with served(harness) as running:
        yield running


def test_stream_starts_with_hello_and_follows_the_journal(harness: ApiHarness, running: RunningDashboard) -> None:
    with EventStream(running) as page:
        assert page.response.headers["Content-Type"].startswith("text/event-stream")
        assert page.next() == {"kind": "hello", "id": 3, "data": {"id": 3, "at": NOW}}
        harness.journal("fill", {"price": D("1.50"), "text": "line\nbreak, ünïcode"}, "币安人生USDT")
        event = page.next()
    assert (event["kind"], event["id"]) == ("fill", 4)
    assert event["data"] == {
        "id": 4,
        "at": NOW,
        "kind": "fill",
        "symbol": "币安人生USDT",
        "payload": {"price": "1.50", "text": "line\nbreak, ünïcode"},
    }


def test_event_does_not_hold_the_home_path(harness: ApiHarness, running: RunningDashboard) -> None:
    with EventStream(running) as page:
        page.next()
        harness.journal("alert", {"message": f"moved to {harness.home / 'data'}"})
        assert page.next()["data"]["payload"] == {"message": "moved to data"}


def test_every_page_gets_every_event(harness: ApiHarness, running: RunningDashboard) -> None:
    with EventStream(running) as one, EventStream(running) as other:
        assert one.next()["kind"] == other.next()["kind"] == "hello"
        for _ in range(5):
            harness.journal("order")
        assert one.ids(5) == other.ids(5) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(("path", "headers"), [("/api/stream", {"Last-Event-ID": "1"}), ("/api/stream?after=1", {})])
def test_reconnecting_page_gets_missed_events(
    harness: ApiHarness, running: RunningDashboard, path: str, headers: dict[str, str]
) -> None:
    with EventStream(running, path, **headers) as page:
        hello = page.next()
        assert (hello["kind"], hello["id"]) == ("hello", 1)
        assert page.ids(2) == [2, 3]
        harness.journal("order")
        assert page.ids(1) == [4]


@pytest.mark.parametrize("last_id", ["999", "0"])
def test_unavailable_history_is_a_reset(harness: ApiHarness, running: RunningDashboard, last_id: str) -> None:
    harness.clock.advance(1_000)
    store = harness.store
    with store.transaction():
        store.maintenance.prune(Cutoffs(NOW + 1, NOW + 1, NOW + 1))  # removes all entries so far
    harness.journal("order")
    assert eventually(lambda: running.streams.last_id == 4)
    with EventStream(running, **{"Last-Event-ID": last_id}) as page:
        assert page.next()["kind"] == "hello"
        reset = page.next()
        assert (reset["kind"], reset["id"]) == ("reset", 4)
        harness.journal("order")
        assert page.ids(1) == [5]


def test_invalid_last_event_id_is_ignored(running: RunningDashboard) -> None:
    with EventStream(running, **{"Last-Event-ID": "abc"}) as page:
        assert page.next()["id"] == 3


def test_pages_above_the_limit_get_429(running: RunningDashboard) -> None:
    pages = [EventStream(running) for _ in range(MAX_STREAMS_PER_CLIENT)]
    response = running.get("/api/stream")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many_streams")
    assert int(response.headers["Retry-After"]) > 0
    with EventStream(running, **{CLIENT_HEADER: "a" * 32}) as other_browser:
        assert other_browser.next()["kind"] == "hello"
    pages.pop().response.close()
    assert eventually(lambda: running.streams.subscriber_count == MAX_STREAMS_PER_CLIENT - 1)
    with EventStream(running) as page:
        assert page.next()["kind"] == "hello"
    for page in pages:
        page.response.close()
    assert eventually(lambda: running.streams.subscriber_count == 0)


def test_closed_page_frees_its_subscription(running: RunningDashboard) -> None:
    with EventStream(running):
        assert running.streams.subscriber_count == 1
    assert eventually(lambda: running.streams.subscriber_count == 0)


def test_head_request_takes_no_subscription(running: RunningDashboard) -> None:
    answer = running.raw(f"HEAD /api/stream HTTP/1.1\nHost: 127.0.0.1:{running.harness.port}\nConnection: close\n\n")
    assert answer.startswith("HTTP/1.1 200")
    assert eventually(lambda: running.streams.subscriber_count == 0)


def test_200_stalled_readers_block_nobody(running: RunningDashboard) -> None:
    stalled = []
    for number in range(200):
        head = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{running.harness.port}\r\n"
        request = f"{head}{CLIENT_HEADER}: {number:032x}\r\n\r\n".encode()
        connection = socket.create_connection(("127.0.0.1", running.harness.port))
        connection.sendall(request)
        stalled.append(connection)
    assert eventually(lambda: running.streams.subscriber_count == MAX_STREAMS)
    assert running.get("/api/positions").status_code == 200
    assert running.streams.subscriber_count == MAX_STREAMS, "it was answered while they stalled"
    for connection in stalled:
        connection.close()
    assert eventually(lambda: running.streams.subscriber_count == 0)


def test_100_incomplete_requests_are_harmless(running: RunningDashboard) -> None:
    halves = [socket.create_connection(("127.0.0.1", running.harness.port)) for _ in range(100)]
    for connection in halves:
        connection.sendall(b"POST /api/control HTTP/1.1\r\nContent-Le")
    assert running.get("/api/health").status_code == 200
    for connection in halves:
        connection.close()


def test_server_stops_at_once_with_open_pages(running: RunningDashboard) -> None:
    with EventStream(running) as page:
        page.next()
        running.stop_serving()
        assert running.code == 0, "it did not wait for the page to leave"
        with pytest.raises(EOFError):
            page.next()


def test_database_created_later_is_followed(harness: ApiHarness) -> None:
    with served(harness) as running, EventStream(running) as page:
        assert page.next()["id"] == 0
        harness.journal("state")
        assert page.next()["kind"] == "state"


def test_unreadable_journal_is_logged_once(
    harness: ApiHarness, streams: EventHub, caplog: pytest.LogCaptureFixture
) -> None:
    database = harness.home / "data" / "bot.db"
    database.parent.mkdir(exist_ok=True)
    with sqlite3.connect(database) as connection:
        connection.executescript("CREATE TABLE alembic_version (id); CREATE TABLE bot_runs (id)")
    connection.close()
    streams.start()
    try:
        assert eventually(lambda: "journal cannot be read: no such table: journal" in caplog.messages)
    finally:
        streams.stop()
    assert len([record for record in caplog.records if record.name == sse.log.name]) == 1


def test_journal_of_another_program_is_named_and_left_as_it_is(harness: ApiHarness, streams: EventHub) -> None:
    database = harness.home / "data" / "bot.db"
    database.parent.mkdir(exist_ok=True)
    with sqlite3.connect(database) as connection:
        connection.executescript("PRAGMA journal_mode=wal; CREATE TABLE something (id)")
    connection.close()
    with pytest.raises(SQLAlchemyError, match="belongs to another program, with the tables something"):
        streams.poll()
    assert [each.name for each in database.parent.glob("bot.db*")] == ["bot.db"]


# Tests of the hub without a socket: one thread, no waiting.


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def streams(harness: ApiHarness, clock: ManualClock) -> EventHub:
    path = harness.home / "data" / "bot.db"
    return EventHub(JournalTail(path, BotDatabase(path)), clock)


def kinds(subscription: sse.Subscription) -> list[str]:
    """The events that a page would read now."""
    return [text.split("event: ")[1].split("\n")[0] for text in list(subscription.pending.queue)]


def test_slow_page_gets_a_reset_and_continues(harness: ApiHarness, streams: EventHub) -> None:
    harness.journal("order")
    streams.poll()
    slow = streams.subscribe(None)
    for _ in range(QUEUE_LENGTH + 1):
        harness.journal("order")
    streams.poll()
    assert kinds(slow) == ["reset"]
    assert f"id: {QUEUE_LENGTH + 2}\n" in slow.pending.queue[0]
    harness.journal("alert")
    streams.poll()
    assert kinds(slow) == ["reset", "alert"]


def test_replaced_database_is_a_reset(harness: ApiHarness, streams: EventHub, tmp_path: Path) -> None:
    harness.journal("order")
    streams.poll()
    page = streams.subscribe(None)
    harness.close()
    database = harness.home / "data" / "bot.db"
    for companion in database.parent.glob("bot.db*"):
        companion.rename(tmp_path / companion.name)
    streams.poll()
    open_database(database, NOW).engine.dispose()
    harness.journal("alert")
    harness.journal("alert")
    streams.poll()
    assert kinds(page) == ["reset"]
    harness.journal("fill")
    streams.poll()
    assert kinds(page) == ["reset", "fill"]


def test_quiet_stream_sends_heartbeats(streams: EventHub, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "POLL_TIMEOUT_SECONDS", 0.001)
    page = streams.subscribe(None)
    stream = streams.read(page, lambda: False)
    assert "event: hello" in next(stream)
    clock.advance(sse.HEARTBEAT_MS)
    assert next(stream) == sse.HEARTBEAT


def test_disconnected_page_ends_its_stream(streams: EventHub) -> None:
    stream = streams.read(streams.subscribe(None), lambda: True)
    assert len(list(stream)) == 1


def test_unreadable_journal_is_retried(harness: ApiHarness, streams: EventHub) -> None:
    database = harness.home / "data" / "bot.db"
    database.parent.mkdir(exist_ok=True)
    database.write_bytes(b"no database" * 1_000)
    streams.poll()
    assert streams.last_id == 0
    database.unlink()
    harness.journal("order")
    streams.poll()
    assert streams.last_id == 1


def test_subscriptions_above_the_limit_are_rejected(streams: EventHub) -> None:
    for client in range(MAX_STREAMS):
        streams.subscribe(None, f"browser {client}")
    with pytest.raises(ApiError) as caught:
        streams.subscribe(None, "another browser")
    assert caught.value.status == 429
