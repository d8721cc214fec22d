"""The journal in pages."""

import pytest

from tests.api.rig import Rig
from tests.builders import NOW, D


def numbers(rig: Rig, query: str = "") -> list[int]:
    return [entry["payload"]["number"] for entry in rig.json(f"/api/journal{query}")]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """Five entries: alert 1, order 2, alert 3, order 4, alert 5."""
    for number in range(1, 6):
        rig.tell("alert" if number % 2 else "order", {"number": number}, "BTCUSDT")
    return rig


def test_the_newest_entries_in_their_order(rig: Rig) -> None:
    assert numbers(rig) == [1, 2, 3, 4, 5]
    assert numbers(rig, "?limit=2") == [4, 5]
    assert rig.json("/api/journal?limit=1") == [
        {"id": 5, "at": NOW, "kind": "alert", "symbol": "BTCUSDT", "payload": {"number": 5}}
    ]


def test_what_follows_an_entry(rig: Rig) -> None:
    assert numbers(rig, "?after=3") == [4, 5]
    assert numbers(rig, "?after=1&limit=2") == [2, 3]
    assert numbers(rig, "?after=5") == []


def test_some_kinds_only(rig: Rig) -> None:
    assert numbers(rig, "?kind=order") == [2, 4]
    assert numbers(rig, "?kind=alert&after=1") == [3, 5]
    assert numbers(rig, "?kind=order,alert&limit=2") == [4, 5]
    assert rig.get("/api/journal?kind=order,gossip").status_code == 400
    assert rig.get("/api/journal?kind=gossip").status_code == 400


def test_money_in_an_entry_is_a_string(rig: Rig) -> None:
    rig.tell("fill", {"price": D("0.00000001")})
    assert rig.json("/api/journal?limit=1")[0]["payload"] == {"price": "0.00000001"}
