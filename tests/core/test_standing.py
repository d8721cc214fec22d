import pytest

from src.core.standing import Obstacle, Standing
from src.domain.enums import TradingState


def test_a_bot_that_starts_may_not_enter_yet() -> None:
    standing = Standing()
    assert standing.state is TradingState.REDUCE_ONLY
    assert "starting" in standing.reason


def test_every_reason_is_told_and_the_last_one_gone_means_trading() -> None:
    standing = Standing()
    standing.clear(Obstacle.STARTING)
    standing.settle(Obstacle.USER_STREAM, "the private stream is down")
    standing.raise_obstacle(Obstacle.OPERATOR_PAUSE, "entries are paused")
    assert standing.reason == "entries are paused; the private stream is down"
    assert standing.has(Obstacle.USER_STREAM)
    standing.settle(Obstacle.USER_STREAM, None)
    standing.clear(Obstacle.OPERATOR_PAUSE)
    assert (standing.state, standing.reason) == (TradingState.ACTIVE, "")


@pytest.mark.parametrize(
    ("obstacle", "awaits"),
    [
        (Obstacle.OPERATOR_PAUSE, True),
        (Obstacle.HALT_FILE, True),
        (Obstacle.LOCK, True),
        (Obstacle.CLOCK, False),
    ],
)
def test_what_a_resume_would_end_is_known(obstacle: Obstacle, awaits: bool) -> None:
    standing = Standing()
    standing.raise_obstacle(obstacle, "because")
    assert standing.awaits_resume is awaits


def test_halted_stands_above_every_other_reason() -> None:
    standing = Standing()
    standing.raise_obstacle(Obstacle.OPERATOR_HALT, "halted by the operator")
    assert standing.state is TradingState.HALTED
