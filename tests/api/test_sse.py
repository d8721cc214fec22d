"""The event stream over a real socket: nothing lost, nothing shared out, nobody held up (SAFETY D14)."""

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.api import sse
from src.api.errors import ApiError
from src.api.ledger import LedgerJournal, LedgerReader
from src.api.sse import MOST_STREAMS, QUEUE_LENGTH, Streams
from src.database.ledger import open_ledger
from src.domain.clock import ManualClock
from tests.api.rig import Rig
from tests.api.serving import Page, Served, eventually, served
from tests.builders import NOW, D


@pytest.fixture
def running(rig: Rig) -> Iterator[Served]:
    """Served over a journal of three entries."""
    for number in range(1, 4):
        rig.tell("alert", {"number": number})
    with served(rig) as running:
        yield running


def test_it_begins_with_hello_and_follows_the_journal(rig: Rig, running: Served) -> None:
    with Page(running) as page:
        assert page.response.headers["Content-Type"].startswith("text/event-stream")
        assert page.next() == {"kind": "hello", "id": 3, "data": {"id": 3, "at": NOW}}
        rig.tell("fill", {"price": D("1.50"), "text": "line\nbreak, ünïcode"}, "币安人生USDT")
        event = page.next()
    assert (event["kind"], event["id"]) == ("fill", 4)
    assert event["data"] == {
        "id": 4,
        "at": NOW,
        "kind": "fill",
        "symbol": "币安人生USDT",
        "payload": {"price": "1.50", "text": "line\nbreak, ünïcode"},
    }


def test_every_page_gets_every_event(rig: Rig, running: Served) -> None:
    with Page(running) as one, Page(running) as other:
        assert one.next()["kind"] == other.next()["kind"] == "hello"
        for _ in range(5):
            rig.tell("order")
        assert one.ids(5) == other.ids(5) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(("path", "headers"), [("/api/stream", {"Last-Event-ID": "1"}), ("/api/stream?after=1", {})])
def test_a_page_that_comes_back_gets_what_it_missed(
    rig: Rig, running: Served, path: str, headers: dict[str, str]
) -> None:
    with Page(running, path, **headers) as page:
        hello = page.next()
        assert (hello["kind"], hello["id"]) == ("hello", 1)
        assert page.ids(2) == [2, 3]
        rig.tell("order")
        assert page.ids(1) == [4]


@pytest.mark.parametrize("last_id", ["999", "0"])
def test_a_past_that_is_not_kept_is_a_reset(rig: Rig, running: Served, last_id: str) -> None:
    rig.clock.advance(1_000)
    store = rig.store
    with store.transaction():
        store.prune(NOW + 1)  # everything so far is forgotten
    rig.tell("order")
    assert eventually(lambda: running.streams.position == 4)
    with Page(running, **{"Last-Event-ID": last_id}) as page:
        assert page.next()["kind"] == "hello"
        reset = page.next()
        assert (reset["kind"], reset["id"]) == ("reset", 4)
        rig.tell("order")
        assert page.ids(1) == [5]


def test_a_last_id_that_is_no_number_is_a_first_visit(running: Served) -> None:
    with Page(running, **{"Last-Event-ID": "abc"}) as page:
        assert page.next()["id"] == 3


def test_past_the_limit_pages_are_told_so(running: Served) -> None:
    pages = [Page(running) for _ in range(MOST_STREAMS)]
    response = running.get("/api/stream")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many_streams")
    pages.pop().response.close()
    assert eventually(lambda: running.streams.count == MOST_STREAMS - 1)
    with Page(running) as page:
        assert page.next()["kind"] == "hello"
    for page in pages:
        page.response.close()
    assert eventually(lambda: running.streams.count == 0)


def test_a_page_that_is_gone_frees_its_place(running: Served) -> None:
    with Page(running):
        assert running.streams.count == 1
    assert eventually(lambda: running.streams.count == 0)


def test_a_head_request_holds_no_place(running: Served) -> None:
    answer = running.raw(f"HEAD /api/stream HTTP/1.1\nHost: 127.0.0.1:{running.rig.port}\nConnection: close\n\n")
    assert answer.startswith("HTTP/1.1 200")
    assert eventually(lambda: running.streams.count == 0)


def test_200_readers_that_stall_hold_nobody_up(running: Served) -> None:
    request = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{running.rig.port}\r\n\r\n".encode()
    stalled = []
    for _ in range(200):
        connection = socket.create_connection(("127.0.0.1", running.rig.port))
        connection.sendall(request)
        stalled.append(connection)
    assert eventually(lambda: running.streams.count == MOST_STREAMS)
    assert running.get("/api/positions").status_code == 200
    assert running.streams.count == MOST_STREAMS, "it was answered while they stalled"
    for connection in stalled:
        connection.close()
    assert eventually(lambda: running.streams.count == 0)


def test_100_half_requests_are_harmless(running: Served) -> None:
    halves = [socket.create_connection(("127.0.0.1", running.rig.port)) for _ in range(100)]
    for connection in halves:
        connection.sendall(b"POST /api/control HTTP/1.1\r\nContent-Le")
    assert running.get("/api/health").status_code == 200
    for connection in halves:
        connection.close()


def test_it_ends_at_once_with_pages_open(running: Served) -> None:
    with Page(running) as page:
        page.next()
        running.end()
        assert running.code == 0, "it did not wait for the page to leave"
        with pytest.raises(EOFError):
            page.next()


def test_a_database_that_appears_later_is_followed(rig: Rig) -> None:
    with served(rig) as running, Page(running) as page:
        assert page.next()["id"] == 0
        rig.tell("state")
        assert page.next()["kind"] == "state"


def test_a_journal_that_stays_unreadable_is_said_once(
    rig: Rig, streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    database = rig.home / "data" / "bot.db"
    database.parent.mkdir(exist_ok=True)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE something (id)")
    connection.close()
    streams.start()
    try:
        assert eventually(lambda: "the journal cannot be read: no such table: journal" in caplog.messages)
    finally:
        streams.stop()
    assert len([record for record in caplog.records if record.name == sse.log.name]) == 1


# Below the socket: one object, one thread, no waiting.


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def streams(rig: Rig, clock: ManualClock) -> Streams:
    path = rig.home / "data" / "bot.db"
    return Streams(LedgerJournal(path, LedgerReader(path)), clock)


def kinds(subscription: sse.Subscription) -> list[str]:
    """What a page would read now."""
    return [text.split("event: ")[1].split("\n")[0] for text in list(subscription.pending.queue)]


def test_a_page_too_slow_is_told_to_load_again_and_goes_on(rig: Rig, streams: Streams) -> None:
    rig.tell("order")
    streams.turn()
    slow = streams.join(None)
    for _ in range(QUEUE_LENGTH + 1):
        rig.tell("order")
    streams.turn()
    assert kinds(slow) == ["reset"]
    assert f"id: {QUEUE_LENGTH + 2}\n" in slow.pending.queue[0]
    rig.tell("alert")
    streams.turn()
    assert kinds(slow) == ["reset", "alert"]


def test_another_database_in_its_place_is_a_reset(rig: Rig, streams: Streams, tmp_path: Path) -> None:
    rig.tell("order")
    streams.turn()
    page = streams.join(None)
    rig.close()
    database = rig.home / "data" / "bot.db"
    for companion in database.parent.glob("bot.db*"):
        companion.rename(tmp_path / companion.name)
    streams.turn()
    open_ledger(database, NOW).engine.dispose()
    rig.tell("alert")
    rig.tell("alert")
    streams.turn()
    assert kinds(page) == ["reset"]
    rig.tell("fill")
    streams.turn()
    assert kinds(page) == ["reset", "fill"]


def test_a_quiet_stream_shows_that_it_lives(
    streams: Streams, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "TURN_SECONDS", 0.001)
    page = streams.join(None)
    stream = streams.read(page, lambda: False)
    assert "event: hello" in next(stream)
    clock.advance(sse.BEAT_MS)
    assert next(stream) == sse.BEAT


def test_a_page_that_is_gone_ends_its_stream(streams: Streams) -> None:
    stream = streams.read(streams.join(None), lambda: True)
    assert len(list(stream)) == 1


def test_a_journal_that_cannot_be_read_is_tried_again(rig: Rig, streams: Streams) -> None:
    database = rig.home / "data" / "bot.db"
    database.parent.mkdir(exist_ok=True)
    database.write_bytes(b"no database" * 1_000)
    streams.turn()
    assert streams.position == 0
    database.unlink()
    rig.tell("order")
    streams.turn()
    assert streams.position == 1


def test_the_limit_is_the_limit(streams: Streams) -> None:
    for _ in range(MOST_STREAMS):
        streams.join(None)
    with pytest.raises(ApiError) as caught:
        streams.join(None)
    assert caught.value.status == 429
