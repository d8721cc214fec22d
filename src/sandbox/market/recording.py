"""Reads recorded liquidations and candles from CSV files, plain or gzip. Errors name file and line."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

from src.domain.enums import OrderType, Side, TimeInForce
from src.domain.errors import ConfigError
from src.domain.market import Liquidation
from src.sandbox.market.candles import Candle

_GZIP_MAGIC = b"\x1f\x8b"
_AGGREGATED = "n_orders"
_MAX_AMOUNT = Decimal("1e15")

Row = Mapping[str, str]
RequiredColumns = Callable[[tuple[str, ...]], tuple[str, ...]]
"""Returns the required columns of a file with this header."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Liquidations in chronological order, with recorded times."""

    liquidations: tuple[Liquidation, ...]

    @property
    def symbols(self) -> list[str]:
        return list(dict.fromkeys(each.symbol for each in self.liquidations))

    @property
    def started_at(self) -> int:
        return self.liquidations[0].traded_at


def load_recording(path: Path) -> Recording:
    """Read the liquidations of a file. Raises ConfigError with the file and the invalid line."""
    rows = [_liquidation(row, path, line) for line, row in _rows(path, _required_columns)]
    if not rows:
        raise ConfigError(f"{path}: contains no liquidations")
    return Recording(tuple(sorted(rows, key=lambda each: each.traded_at)))


def load_candles(directory: Path, symbols: list[str]) -> dict[str, list[Candle]]:
    """Read ``SYMBOL.csv`` or ``SYMBOL.csv.gz`` of each symbol that has a file. Raises ConfigError."""
    if not directory.is_dir():
        raise ConfigError(f"{directory}: is not a directory with candles (SYMBOL.csv.gz)")
    found = {symbol: path for symbol in symbols if (path := _candle_file(directory, symbol)) is not None}
    return {symbol: _candles(path) for symbol, path in found.items()}


def _candle_file(directory: Path, symbol: str) -> Path | None:
    names = (f"{symbol}.csv.gz", f"{symbol}.csv")
    return next((directory / name for name in names if (directory / name).is_file()), None)


def _candles(path: Path) -> list[Candle]:
    columns = ("open_time_ms", "open", "high", "low", "close", "volume")
    rows = [(line, row) for line, row in _rows(path, lambda _names: columns)]
    times = [_timestamp(row["open_time_ms"], path, line, "open_time_ms") for line, row in rows]
    width = min((later - sooner for sooner, later in pairwise(times) if later > sooner), default=60_000)
    return [_candle(at, width, row, path, line) for at, (line, row) in zip(times, rows, strict=True)]


def _candle(at: int, width: int, row: Row, path: Path, line: int) -> Candle:
    opened, high, low, close = (_positive(row[name], path, line, name) for name in ("open", "high", "low", "close"))
    volume = _number(row["volume"], path, line, "volume")
    return Candle(at, at + width - 1, opened, high, low, close, volume)


def _required_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    if "price_rounded" in names:
        return ("ts_ms", "symbol", "side", "price_rounded", "notional_usd")
    return ("ts_ms", "symbol", "side", "orig_qty", "price", "avg_price")


def _rows(path: Path, required: RequiredColumns) -> Iterator[tuple[int, Row]]:
    """Yield line number and cells of each row. Raises ConfigError if a required column is missing."""
    try:
        with _open(path) as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(path, tuple(reader.fieldnames or ()), required)
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigError(f"{path} line {reader.line_num}: has not as many cells as the header")
                yield reader.line_num, cast(Row, row)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as CSV, plain or gzip ({error})") from error


def _open(path: Path) -> IO[str]:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _check_header(path: Path, names: tuple[str, ...], required: RequiredColumns) -> None:
    if _AGGREGATED in names:
        raise ConfigError(f"{path}: has sums of several liquidations per line, which cannot be replayed one by one")
    missing = [name for name in required(names) if name not in names]
    if missing:
        raise ConfigError(f"{path} line 1: has no column{'s' * (len(missing) > 1)} {', '.join(missing)}")


def _liquidation(row: Row, path: Path, line: int) -> Liquidation:
    at = _timestamp(row["ts_ms"], path, line, "ts_ms")
    price, average_price, quantity = _amounts(row, path, line)
    filled = row.get("filled_qty")
    return Liquidation(
        symbol=_symbol(row["symbol"], path, line),
        side=_side(row["side"], path, line),
        quantity=quantity,
        price=price,
        average_price=average_price,
        filled_quantity=_positive(filled, path, line, "filled_qty") if filled else quantity,
        traded_at=at,
        event_at=at,
        received_at=at,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        status=row.get("status") or "FILLED",
    )


def _amounts(row: Row, path: Path, line: int) -> tuple[Decimal, Decimal, Decimal]:
    """Return limit price, average price and quantity; some recordings have a rounded price and the value instead."""
    if "price_rounded" in row:
        price = _positive(row["price_rounded"], path, line, "price_rounded")
        value = _positive(row["notional_usd"], path, line, "notional_usd")
        return price, price, (value / price).quantize(Decimal("0.001"))
    average = row["avg_price"] or row["price"]
    limit = row["price"] or row["avg_price"]
    return (
        _positive(limit, path, line, "price"),
        _positive(average, path, line, "avg_price"),
        _positive(row["orig_qty"], path, line, "orig_qty"),
    )


def _symbol(text: str, path: Path, line: int) -> str:
    if not text or len(text) > 40 or any(character.isspace() or character in "/@" for character in text):
        raise ConfigError(f"{path} line {line}: {text!r} is not a symbol")
    return text


def _side(text: str, path: Path, line: int) -> Side:
    try:
        return Side(text)
    except ValueError:
        raise ConfigError(f"{path} line {line}: side is {text!r}, not BUY or SELL") from None


def _timestamp(text: str, path: Path, line: int, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ConfigError(f"{path} line {line}: {name} is {text!r}, not a time in milliseconds")
    return int(text)


def _number(text: str, path: Path, line: int, name: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ConfigError(f"{path} line {line}: {name} is {text!r}, not a number") from None
    if not (value.is_finite() and 0 <= value < _MAX_AMOUNT):
        raise ConfigError(f"{path} line {line}: {name} is {text!r}, not an amount")
    return value


def _positive(text: str, path: Path, line: int, name: str) -> Decimal:
    value = _number(text, path, line, name)
    if value == 0:
        raise ConfigError(f"{path} line {line}: {name} is zero")
    return value
