"""Messages that were not understood: counted, reported once, and the account is read instead."""

from typing import Any

from src.domain.commands import TakeSnapshot
from src.domain.events import Stream, UnreadableMessages
from tests.core.harness import Harness


def lose(harness: Harness, problem: str, stream: Stream | None = Stream.USER, count: int = 1) -> None:
    harness.feed(UnreadableMessages(stream, problem, count, harness.now))
    harness.audit()


def published(harness: Harness) -> Any:
    with harness.context.store.transaction():
        return harness.context.store.get_state("unreadable_messages")


def test_messages_are_counted_and_published(harness: Harness) -> None:
    harness.audit()
    assert published(harness)["count"] == 0
    lose(harness, "p is missing", Stream.MARKET, 5)
    lose(harness, "not JSON", None)
    state = published(harness)
    assert (state["count"], state["last_problem"]) == (6, "a response of the exchange: not JSON")


def test_each_kind_of_problem_is_reported_once(harness: Harness) -> None:
    for price in ("0", "-1", "-2"):
        lose(harness, f"invalid p: {price!r}", Stream.MARKET)
    messages = [each["message"] for each in harness.journal("alert")]
    assert messages == ["a message of the market stream was not understood (invalid p: '0'): it is left out"]


def test_account_is_read_after_a_lost_message_of_the_user_data_stream(harness: Harness) -> None:
    before = len(harness.commands_of(TakeSnapshot))
    lose(harness, "i is missing")
    lose(harness, "i is missing")
    assert len(harness.commands_of(TakeSnapshot)) == before + 1
    assert "the account is read instead" in harness.journal("alert")[-1]["message"]


def test_unknown_kind_of_event_is_only_counted(harness: Harness) -> None:
    before = len(harness.commands_of(TakeSnapshot))
    lose(harness, "unknown event announcement")
    assert published(harness)["count"] == 1
    assert harness.journal("alert") == []
    assert len(harness.commands_of(TakeSnapshot)) == before
