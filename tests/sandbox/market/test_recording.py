"""Reading recordings, and the errors of invalid lines."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.enums import Side
from src.domain.errors import ConfigError
from src.sandbox.market.recording import load_candles, load_recording

HEADER = "ts_ms,symbol,side,order_type,tif,orig_qty,price,avg_price,status,last_qty,filled_qty"
GOOD = "1000,BTCUSDT,SELL,LIMIT,IOC,0.5,99.0,100.0,FILLED,0.1,0.4"


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def test_row_has_limit_fill_and_quantities(tmp_path: Path) -> None:
    (event,) = load_recording(written(tmp_path / "a.csv", GOOD)).liquidations

    assert (event.symbol, event.side, event.traded_at) == ("BTCUSDT", Side.SELL, 1000)
    assert (event.price, event.average_price) == (Decimal("99.0"), Decimal("100.0"))
    assert (event.quantity, event.filled_quantity) == (Decimal("0.5"), Decimal("0.4"))


def test_gzip_and_non_ascii_symbols_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n1,币安人生USDT,BUY,,,3,0.2,,,,\n".encode()))
    (event,) = load_recording(path).liquidations

    assert event.symbol == "币安人生USDT"
    assert event.average_price == Decimal("0.2")
    assert event.filled_quantity == 3


def test_quantity_follows_from_the_value(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("ts_ms,exchange,symbol,side,price_rounded,notional_usd\n5,bybit,ETHUSDT,SELL,4000,60000\n", "utf-8")
    (event,) = load_recording(path).liquidations

    assert event.volume == 15
    assert event.fill_price == 4000


def test_rows_are_sorted_by_time(tmp_path: Path) -> None:
    recording = load_recording(written(tmp_path / "a.csv", GOOD.replace("1000", "3000"), GOOD))

    assert [event.traded_at for event in recording.liquidations] == [1000, 3000]
    assert recording.started_at == 1000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("SELL", "sell"), "side is 'sell', not BUY or SELL"),
        (GOOD.replace("1000,", "yesterday,"), "ts_ms is 'yesterday', not a time in milliseconds"),
        (GOOD.replace("BTCUSDT", ""), "'' is not a symbol"),
        (GOOD.replace("0.5", "much"), "orig_qty is 'much', not a number"),
        (GOOD.replace("0.5", "NaN"), "orig_qty is 'NaN', not an amount"),
        (GOOD.replace("0.5", "0"), "orig_qty is zero"),
        (GOOD.replace("99.0,100.0", ","), "price is '', not a number"),
        ("1000,BTCUSDT", "has not as many cells as the header"),
    ],
)
def test_invalid_line_is_reported_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match="line 3: ") as caught:
        load_recording(written(tmp_path / "a.csv", GOOD, line))

    assert message in str(caught.value)


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read as CSV"):
        load_recording(tmp_path / "nowhere.csv")


def test_truncated_gzip_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode() * 100)[:60])

    with pytest.raises(ConfigError, match="cannot be read as CSV"):
        load_recording(path)


def test_missing_columns_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts_ms,symbol\n1,BTCUSDT\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="has no columns side, orig_qty, price, avg_price"):
        load_recording(path)


def test_aggregated_liquidations_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts_ms,symbol,last_side_max,n_orders,notional_usd\n1,BTCUSDT,BUY,4,9000\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="cannot be replayed one by one"):
        load_recording(path)


def test_empty_recording_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contains no liquidations"):
        load_recording(written(tmp_path / "a.csv"))


def test_candles_are_read_with_their_interval(tmp_path: Path) -> None:
    rows = "open_time_ms,open,high,low,close,volume\n0,1,4,0.5,2,9\n180000,2,2,1,1,0\n"
    (tmp_path / "BTCUSDT.csv.gz").write_bytes(gzip.compress(rows.encode()))
    candles = load_candles(tmp_path, ["BTCUSDT", "ETHUSDT"])

    assert list(candles) == ["BTCUSDT"]
    assert [(each.open_at, each.close_at, int(each.high)) for each in candles["BTCUSDT"]] == [
        (0, 179_999, 4),
        (180_000, 359_999, 2),
    ]


def test_invalid_candle_is_reported(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT.csv").write_text("open_time_ms,open,high,low,close,volume\n0,1,x,1,1,1\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="line 2: high is 'x', not a number"):
        load_candles(tmp_path, ["BTCUSDT"])


def test_missing_candle_directory_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a directory with candles"):
        load_candles(tmp_path / "nowhere", ["BTCUSDT"])
