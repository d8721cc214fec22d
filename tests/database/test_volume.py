"""The window's two functions: as SQL and in memory they give the same answer."""

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from src.database.db import get_usdt_volume_in_window, get_volume_in_window, insert_liquidation
from src.database.ledger import open_ledger
from src.domain.enums import Side
from src.domain.market import Liquidation, LiquidationWindow
from tests.builders import NOW, D, a_liquidation

WINDOW_SEC = 60
SIDES = (None, Side.BUY, Side.SELL)

money = st.decimals("0.001", "1000000", places=3)
liquidations = st.builds(
    Liquidation,
    symbol=st.sampled_from(["BTCUSDT", "币安人生USDT"]),
    side=st.sampled_from(Side),
    quantity=money,
    price=money,
    average_price=st.just(D(0)) | money,
    filled_quantity=st.just(D(0)) | money,
    traded_at=st.integers(NOW - 150_000, NOW + 5_000),
    event_at=st.just(NOW),
    received_at=st.just(NOW),
)


def sql_answers(connection: Connection, symbol: str, now_ms: int) -> list[Decimal]:
    functions = (get_volume_in_window, get_usdt_volume_in_window)
    return [each(connection, symbol, WINDOW_SEC, now_ms, side) for each in functions for side in SIDES]


def window_answers(window: LiquidationWindow, symbol: str, now_ms: int) -> list[Decimal]:
    functions = (window.get_volume_in_window, window.get_usdt_volume_in_window)
    return [each(symbol, now_ms, side) for each in functions for side in SIDES]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(liquidations, st.integers(0, 90_000)), max_size=12))
def test_sql_and_memory_agree_in_any_order_of_events(steps: list[tuple[Liquidation, int]]) -> None:
    window, now_ms = LiquidationWindow(WINDOW_SEC * 1000), NOW - 90_000
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        engine = open_ledger(Path(directory) / "bot.db", NOW).engine
        with engine.begin() as connection:
            for liquidation, passed_ms in steps:
                insert_liquidation(connection, liquidation)
                window.add(liquidation)
                now_ms += passed_ms
                for symbol in ("BTCUSDT", "币安人生USDT"):
                    assert sql_answers(connection, symbol, now_ms) == window_answers(window, symbol, now_ms)
        engine.dispose()


def test_money_is_added_up_exactly(connection: Connection) -> None:
    for number in range(10):
        insert_liquidation(
            connection, a_liquidation(filled_quantity=D("0.1"), average_price=D(3), traded_at=NOW + number)
        )
    assert get_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW) == D("1.0")
    assert get_usdt_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW) == D("3.0")


def test_the_window_opens_just_after_its_oldest_instant(connection: Connection) -> None:
    insert_liquidation(connection, a_liquidation(1_000, traded_at=NOW - 60_000))
    insert_liquidation(connection, a_liquidation(2_000, traded_at=NOW - 59_999))
    assert get_usdt_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW, Side.SELL) == 2_000
    assert get_usdt_volume_in_window(connection, "BTCUSDT", WINDOW_SEC, NOW, Side.BUY) == 0


def test_every_liquidation_has_an_id_of_its_own(connection: Connection) -> None:
    ids = [insert_liquidation(connection, a_liquidation()) for _ in range(3)]
    assert len(set(ids)) == 3
