import pytest

from src.core.trading_status import EntryBlock, TradingStatus
from src.domain.enums import TradingState


def test_starting_bot_may_not_enter() -> None:
    trading_status = TradingStatus()
    assert trading_status.state is TradingState.REDUCE_ONLY
    assert "starting" in trading_status.reason


def test_all_reasons_are_listed_until_cleared() -> None:
    trading_status = TradingStatus()
    trading_status.clear(EntryBlock.STARTING)
    trading_status.set_or_clear(EntryBlock.USER_STREAM, "the user data stream is down")
    trading_status.block(EntryBlock.OPERATOR_PAUSE, "entries are paused")
    assert trading_status.reason == "entries are paused; the user data stream is down"
    assert trading_status.has(EntryBlock.USER_STREAM)
    trading_status.set_or_clear(EntryBlock.USER_STREAM, None)
    trading_status.clear(EntryBlock.OPERATOR_PAUSE)
    assert (trading_status.state, trading_status.reason) == (TradingState.ACTIVE, "")


@pytest.mark.parametrize(
    ("obstacle", "awaits"),
    [
        (EntryBlock.OPERATOR_PAUSE, True),
        (EntryBlock.HALT_FILE, True),
        (EntryBlock.LOSS_LIMIT, True),
        (EntryBlock.CLOCK, False),
    ],
)
def test_needs_resume(obstacle: EntryBlock, awaits: bool) -> None:
    trading_status = TradingStatus()
    trading_status.block(obstacle, "because")
    assert trading_status.needs_resume is awaits


def test_halt_overrides_other_reasons() -> None:
    trading_status = TradingStatus()
    trading_status.block(EntryBlock.OPERATOR_HALT, "halted by the operator")
    assert trading_status.state is TradingState.HALTED
