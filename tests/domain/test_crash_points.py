"""Crash points do nothing in production, and each of them is called in the source."""

from pathlib import Path

import pytest

from src.domain import crash_points
from src.domain.crash_points import Point

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "main.py", *(ROOT / "src").rglob("*.py")]


def test_reached_does_nothing_in_production() -> None:
    for point in Point:
        crash_points.reached(point, "ENTRY")


@pytest.mark.parametrize("point", Point)
def test_every_crash_point_is_called_in_the_source(point: Point) -> None:
    call = f"crash_points.reached(Point.{point.name}"
    assert [path.name for path in SOURCES if call in path.read_text(encoding="utf-8")] != []
