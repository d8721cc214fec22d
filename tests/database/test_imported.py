"""History of other bots: read without changing it, imported once, kept apart from the bot's own records."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from src.database.imported import FILE_NAME, ImportedReport, open_imported, read_imported
from src.database.open_database import open_database
from src.database.other_bots import PIECE, OtherDatabase, OtherTrade
from src.domain.enums import OrderType, Side
from src.domain.errors import ConfigError
from src.domain.market import Liquidation
from tests.builders import NOW, D
from tests.database.other_bots import LIQUIDATION, make_node, make_older, older_trade
from tests.database.test_foreign import look_of


def liquidations(path: Path) -> list[tuple[int, Liquidation]]:
    return [row for piece in OtherDatabase(path, NOW).liquidations() for row in piece]


def trades(path: Path) -> list[OtherTrade]:
    return [trade for piece in OtherDatabase(path, NOW).trades() for _, trade in piece]


def take_over(path: Path, database: Path) -> tuple[int, int]:
    """How many liquidations and trades are new."""
    source = OtherDatabase(path, NOW)
    with open_imported(database) as history:
        new = sum(history.add_liquidations(source.program, piece) for piece in source.liquidations())
        return new, sum(history.add_trades(source.program, piece) for piece in source.trades())


def report(database: Path) -> ImportedReport:
    return read_imported(database, 10)


@pytest.mark.parametrize("is_first_version", [False, True])
def test_liquidations_of_the_older_bot_are_read(tmp_path: Path, is_first_version: bool) -> None:
    path = make_older(tmp_path / "bot.db", is_first_version=is_first_version)
    ((number, found),) = liquidations(path)
    assert (number, found.symbol, found.side) == (1, "BTCUSDT", Side.SELL)
    assert (found.quantity, found.price, found.notional) == (D("0.25"), D("30000.5"), D("7500.125"))
    assert found.traded_at == found.received_at == NOW - 60_000


def test_liquidations_of_the_node_bot_are_read(tmp_path: Path) -> None:
    path = make_node(tmp_path / "liquidations.db", [{}, {"order_trade_time": None, "order_type": "ODD"}])
    (_, found), (_, other) = liquidations(path)
    assert (found.symbol, found.side, found.type) == ("ETHUSDT", Side.BUY, OrderType.LIMIT)
    assert (found.quantity, found.average_price, found.notional) == (D("2.5"), D("2000.0"), D("5000.00"))
    assert (found.traded_at, found.event_at) == (NOW - 30_000, NOW - 29_990)
    assert other.traded_at == NOW - 29_990
    assert OtherDatabase(path, NOW).has_trades is False


def test_node_bot_with_more_tables_is_recognised_by_its_columns(tmp_path: Path) -> None:
    path = make_node(tmp_path / "liquidations.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE trades (id INTEGER PRIMARY KEY); CREATE TABLE funding (id INTEGER)")
    assert (OtherDatabase(path, NOW).program, len(liquidations(path))) == ("node", 1)


def test_trades_of_the_older_bot_are_read(tmp_path: Path) -> None:
    filled = older_trade(status="FILLED", exchange_trade_id="7,8", filled_qty=0.002, realized_pnl=-1.5, commission=0.02)
    (found,) = trades(make_older(tmp_path / "bot.db", trades=[filled]))
    assert (found.symbol, found.side, found.status, found.trade_ids) == ("BTCUSDT", "BUY", "FILLED", "7,8")
    assert (found.filled_quantity, found.realized_pnl, found.commission) == (D("0.002"), D("-1.5"), D("0.02"))


def test_trades_of_its_first_version_lack_the_later_columns(tmp_path: Path) -> None:
    keys = ("timestamp", "symbol", "order_id", "side", "qty", "price", "status")
    old = {key: value for key, value in older_trade().items() if key in keys}
    (found,) = trades(make_older(tmp_path / "bot.db", trades=[old], is_first_version=True))
    assert (found.order_id, found.realized_pnl, found.trade_ids) == ("501", None, None)


def test_rows_that_cannot_be_true_are_left_out_and_counted(tmp_path: Path) -> None:
    at, symbol, side, quantity, price = LIQUIDATION
    rows: list[Sequence[object]] = [
        (at, symbol, side, quantity, 0.0),
        (at, symbol, side, -1.0, price),
        (at, symbol, side, float("inf"), price),
        (at, symbol, "LONG", quantity, price),
        (at * 1000, symbol, side, quantity, price),
        (17, symbol, side, quantity, price),
        ("yesterday", symbol, side, quantity, price),
        (at, "", side, quantity, price),
        (at // 1000, symbol, side, quantity, price),  # seconds are understood
    ]
    source = OtherDatabase(make_older(tmp_path / "bot.db", rows), NOW)
    ((_, found),) = [row for piece in source.liquidations() for row in piece]
    assert found.traded_at == at // 1000 * 1000
    assert source.left_out == {
        "price is not above 0": 1,
        "quantity is not above 0": 2,
        "side is neither BUY nor SELL": 1,
        "time is before 2019 or in the future": 2,
        "no time": 1,
        "no symbol": 1,
    }


def test_history_is_taken_over_once_however_often(tmp_path: Path) -> None:
    database = tmp_path / "data" / "bot.db"
    older = make_older(tmp_path / "bot.db", [LIQUIDATION, LIQUIDATION], [older_trade()])
    node = make_node(tmp_path / "liquidations.db")
    assert take_over(older, database) == (2, 1)  # two equal ones are two events
    assert take_over(node, database) == (1, 0)
    assert take_over(older, database) == (0, 0)
    assert take_over(node, database) == (0, 0)
    found = report(database)
    assert [(part.program, part.count) for part in found.liquidations] == [("node", 1), ("older", 2)]
    assert found.liquidations[1].first_at == NOW - 60_000


def test_a_grown_copy_adds_only_what_is_new(tmp_path: Path) -> None:
    database, older = tmp_path / "data" / "bot.db", tmp_path / "bot.db"
    make_older(older, trades=[older_trade()])
    assert take_over(older, database) == (1, 1)
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("UPDATE trades SET status = 'FILLED', filled_qty = 0.002, realized_pnl = 3.5")
        connection.commit()
    make_older(older, [(NOW - 1, "ETHUSDT", "BUY", 1.0, 2000.0)])
    copy = tmp_path / "copy.db"
    copy.write_bytes(older.read_bytes())
    assert take_over(copy, database) == (1, 1)
    (trade,) = report(database).newest_trades
    assert (trade["status"], trade["realized_pnl"]) == ("FILLED", D("3.5"))


def test_the_same_row_of_another_database_is_another_event(tmp_path: Path) -> None:
    database = tmp_path / "data" / "bot.db"
    assert take_over(make_older(tmp_path / "one.db"), database) == (1, 0)
    assert take_over(make_older(tmp_path / "two.db", [(NOW - 59_000, *LIQUIDATION[1:])]), database) == (1, 0)


def test_bots_own_database_is_not_touched(tmp_path: Path) -> None:
    """What is imported can be no fill, position or result of the bot: it is in another file."""
    database = tmp_path / "data" / "bot.db"
    open_database(database, NOW).engine.dispose()
    content = database.read_bytes()
    take_over(make_older(tmp_path / "bot.db", trades=[older_trade(status="FILLED")]), database)
    assert database.read_bytes() == content
    assert (database.parent / FILE_NAME).exists()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_source_and_its_folder_stay_as_they_are(tmp_path: Path, journal: str) -> None:
    path = make_older(tmp_path / "theirs" / "bot.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
    before = look_of(path)
    assert len(liquidations(path)) == 1
    assert look_of(path) == before


def test_source_that_is_being_written_is_read_with_its_log(tmp_path: Path) -> None:
    path = make_older(tmp_path / "bot.db")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=wal")
        writer.execute(
            "INSERT INTO liquidations (timestamp, symbol, side, qty, price) VALUES (?, ?, ?, ?, ?)", LIQUIDATION
        )
        writer.commit()
        assert len(liquidations(path)) == 2


def test_long_history_is_read_in_pieces_between_which_the_other_bot_can_write(tmp_path: Path) -> None:
    path = make_older(tmp_path / "bot.db", [LIQUIDATION] * (PIECE + 3))
    pieces = OtherDatabase(path, NOW).liquidations()
    assert len(next(pieces)) == PIECE
    make_older(path)  # raises if a reader still held its lock
    assert len(next(pieces)) == 4
    assert list(pieces) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist: give the path"),
        (b"", "is not an SQLite database"),
        (b'{"globals": {}}', "is not an SQLite database"),
        (b"SQLite format 3\0" + bytes(4000), "it is this bot's own, or it is damaged"),
    ],
)
def test_file_that_is_no_database_of_a_known_bot_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        OtherDatabase(path, NOW)


def test_database_of_this_bot_or_its_imports_is_no_source(tmp_path: Path) -> None:
    database = tmp_path / "data" / "bot.db"
    open_database(database, NOW).engine.dispose()
    with pytest.raises(ConfigError, match="this bot's own"):
        OtherDatabase(database, NOW)
    take_over(make_older(tmp_path / "bot.db"), database)
    with pytest.raises(ConfigError, match="it is history imported from other bots"):
        OtherDatabase(database.with_name(FILE_NAME), NOW)


def test_damage_is_named_and_what_was_read_stays(tmp_path: Path) -> None:
    database, path = tmp_path / "data" / "bot.db", make_older(tmp_path / "bot.db", [LIQUIDATION] * (3 * PIECE))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged"):
        take_over(path, database)
    assert report(database).liquidations[0].count >= PIECE


def test_locked_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.database.other_bots._BUSY_SECONDS", 0)
    path = make_older(tmp_path / "bot.db")
    source = OtherDatabase(path, NOW)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match=r"locked.*: stop the program that uses it"):
            source.count("liquidations")


def test_two_imports_at_the_same_time_are_refused(tmp_path: Path) -> None:
    with (
        open_imported(tmp_path / "bot.db"),
        pytest.raises(ConfigError, match="another import is running"),
        open_imported(tmp_path / "bot.db"),
    ):
        pass


def test_nothing_imported_is_an_empty_report(tmp_path: Path) -> None:
    assert report(tmp_path / "bot.db") == ImportedReport()
