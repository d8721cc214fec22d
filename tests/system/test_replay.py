"""Recorded liquidations over the real protocol: all are stored and decided, and both records agree."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.sandbox.options import replay_scenario
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.recorded import RECORDED_HOUR, RECORDED_KLINES
from tests.sandbox.credentials import canaries_of
from tests.system.conftest import Start
from tests.system.harness import BotProcess, demo_settings, sandbox_net, sandbox_positions, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

_HEADER = "ts_ms,symbol,side,order_type,tif,orig_qty,price,avg_price,status,last_qty,filled_qty"


def a_recording(folder: Path) -> Path:
    """Write ten minutes of liquidations: BTC longs, then shorts, and a symbol with a Chinese name."""
    rows = [_HEADER]
    for step in range(120):
        price = 60_000 - abs(60 - step) * 8 if step % 2 else 60_000 - step * 6
        rows.append(f"{1_700_000_000_000 + step * 5_000},BTCUSDT,{'SELL' if step < 60 else 'BUY'},LIMIT,IOC,"
                    f"0.4,{price * 0.99:.1f},{price:.1f},FILLED,0.4,0.4")  # fmt: skip
        rows.append(
            f"{1_700_000_000_500 + step * 5_000},币安人生USDT,BUY,LIMIT,IOC,900,0.31,0.3{step % 7},FILLED,900,900"
        )
    file = folder / "recording.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def play_to_the_end(server: SandboxServer, bot: BotProcess, seconds: float) -> None:
    wait_until(lambda: server.exchange.progress is not None, 20, "the start of the replay")
    progress = server.exchange.progress
    assert progress is not None
    wait_until(lambda: progress.is_finished, seconds, "the end of the replay")
    wait_until(lambda: bot.totals().liquidations >= progress.pushed, 20, "the last liquidation is stored")


def assert_equal_totals(server: SandboxServer, bot: BotProcess) -> None:
    """Wait until the records of bot and sandbox agree exactly."""

    def agree() -> bool:
        totals = bot.totals()
        return totals.net == sandbox_net(server) and totals.positions == sandbox_positions(server)

    wait_until(agree, 45, f"{bot.totals()} against {sandbox_net(server)} {sandbox_positions(server)}")
    assert max(server.exchange.account.request_log.times_received().values(), default=1) == 1


@pytest.mark.parametrize("scheme", ApiVersion)
def test_recording_is_traded_and_both_records_agree(start: Start, tmp_path: Path, scheme: ApiVersion) -> None:
    scenario = replay_scenario(a_recording(tmp_path), speed=Decimal(15), waits_for_subscriber=True)
    server, bot = start(scenario, demo_settings(), scheme)
    play_to_the_end(server, bot, 120)
    progress, totals = server.exchange.progress, bot.totals()
    assert progress is not None
    assert progress.played == progress.rows == 240
    assert totals.liquidations == progress.pushed == progress.rows - progress.suppressed
    assert totals.undecided == 0
    assert bot.orders("ENTRY")
    assert_equal_totals(server, bot)
    assert bot.stop() == 0
    assert canaries_of(server).files_under(tmp_path) == {".env"}  # the output of the process is a file, too


def test_real_hour_is_replayed_completely(start: Start) -> None:
    scenario = replay_scenario(RECORDED_HOUR, Decimal(150), RECORDED_KLINES, waits_for_subscriber=True)
    server, bot = start(scenario, demo_settings())
    play_to_the_end(server, bot, 400)
    progress, totals = server.exchange.progress, bot.totals()
    assert progress is not None
    assert progress.played == progress.rows
    assert totals.liquidations == progress.pushed == progress.rows - progress.suppressed
    assert totals.undecided == 0
    assert_equal_totals(server, bot)
