"""A cheap look at the account between two snapshots of all of it."""

from dataclasses import dataclass

from src.domain.positions import PositionReport


@dataclass(frozen=True, slots=True)
class CheckPositions:
    """The positions alone: a cheap look at whether the exchange answers, and whether we know what it knows."""


@dataclass(frozen=True, slots=True)
class PositionsChecked:
    positions: tuple[PositionReport, ...]
    at: int
