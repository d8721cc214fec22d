"""Stories that once ended badly, told again each time: what Hypothesis found stays found."""

from collections.abc import Callable, Iterator

import pytest

from src.domain.enums import Side
from tests.core.model.machine import TraderMachine

Tell = Callable[[bool], TraderMachine]


@pytest.fixture
def tell() -> Iterator[Tell]:
    """Begins a story; at its end everything settles and both books agree, or it fails."""
    told: list[TraderMachine] = []

    def begin(hedge_mode: bool) -> TraderMachine:
        told.append(type("Story", (TraderMachine,), {"hedge_mode": hedge_mode})())
        return told[-1]

    yield begin
    for story in told:
        story.the_laws_hold()
        story.teardown()


@pytest.mark.parametrize("hedge_mode", [True, False])
def test_the_rest_of_an_entry_fills_in_the_instant_in_which_its_position_was_closed(
    tell: Tell, hedge_mode: bool
) -> None:
    """It was taken for a foreign position, and left without a stop for good."""
    story = tell(hedge_mode)
    story.begin(begin="position", side=Side.SELL, steps=4)
    story.close(fraction="1", which=0)
    for lane in range(story.world.gateway.lanes):
        if story.world.exchange.open_positions():
            story.serve(lane=lane)
    while story.world.exchange.stream:
        story.hear(how="in order")
    story.fill(which=0, steps=10)
    story.wait(seconds=8)
