"""Who lives and is killed: the bot alone or all of them, signing by API key (V1) or by API wallet (V3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from src.utils.auth import Scheme

_SCHEMES = tuple(Scheme)


@dataclass(frozen=True, slots=True)
class Life:
    """How a bot is started."""

    whole: bool
    """Launcher and dashboard are around it, and die with it."""
    scheme: Scheme

    def __str__(self) -> str:
        return f"{'all' if self.whole else 'bot'}-{self.scheme}"


LIVES = (Life(whole=False, scheme=Scheme.V1), Life(whole=True, scheme=Scheme.V3))


def in_turn(name: str, cases: Mapping[str, object], wholes: Sequence[bool] = (False, True)) -> pytest.MarkDecorator:
    """Run each case in each of these lives; from one to the next the other scheme signs."""
    parts = [
        pytest.param(case, life, id=f"{title}-{life}")
        for number, (title, case) in enumerate(cases.items())
        for life in (Life(whole, _SCHEMES[(number + whole) % 2]) for whole in wholes)
    ]
    return pytest.mark.parametrize((name, "life"), parts)


def once(*, whole: bool, scheme: Scheme) -> pytest.MarkDecorator:
    """Run it in this one life."""
    return pytest.mark.parametrize("life", [Life(whole, scheme)], ids=str)
