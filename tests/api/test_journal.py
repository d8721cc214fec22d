"""The journal endpoint."""

import pytest

from tests.api.harness import ApiHarness
from tests.builders import NOW, D


def numbers(harness: ApiHarness, query: str = "") -> list[int]:
    return [entry["payload"]["number"] for entry in harness.json(f"/api/journal{query}")]


@pytest.fixture
def harness(harness: ApiHarness) -> ApiHarness:
    """Five entries: alert 1, order 2, alert 3, order 4, alert 5."""
    for number in range(1, 6):
        harness.journal("alert" if number % 2 else "order", {"number": number}, "BTCUSDT")
    return harness


def test_newest_entries_come_oldest_first(harness: ApiHarness) -> None:
    assert numbers(harness) == [1, 2, 3, 4, 5]
    assert numbers(harness, "?limit=2") == [4, 5]
    assert harness.json("/api/journal?limit=1") == [
        {"id": 5, "at": NOW, "kind": "alert", "symbol": "BTCUSDT", "payload": {"number": 5}}
    ]


def test_after_returns_the_following_entries(harness: ApiHarness) -> None:
    assert numbers(harness, "?after=3") == [4, 5]
    assert numbers(harness, "?after=1&limit=2") == [2, 3]
    assert numbers(harness, "?after=5") == []


def test_entries_are_filtered_by_kind(harness: ApiHarness) -> None:
    assert numbers(harness, "?kind=order") == [2, 4]
    assert numbers(harness, "?kind=alert&after=1") == [3, 5]
    assert numbers(harness, "?kind=order,alert&limit=2") == [4, 5]
    assert harness.get("/api/journal?kind=order,gossip").status_code == 400
    assert harness.get("/api/journal?kind=gossip").status_code == 400


def test_money_in_an_entry_is_a_string(harness: ApiHarness) -> None:
    harness.journal("fill", {"price": D("0.00000001")})
    assert harness.json("/api/journal?limit=1")[0]["payload"] == {"price": "0.00000001"}
