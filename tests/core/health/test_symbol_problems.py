"""What is configured and cannot be traded is said at the start and published, before the first signal."""

import json
from pathlib import Path
from typing import Any

import pytest

from src.core.events import SettingsChanged
from src.domain.events import BracketsFetched
from src.settings.config import Settings, parse_settings
from tests.builders import a_mark, an_instrument, settings_document
from tests.core.harness import Harness
from tests.core.positions.test_liquidation_estimate import BRACKETS

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDC", "DOGEUSDT", "LINKUSDT", "BNBUSDT")


def settings(**changes: dict[str, Any]) -> Settings:
    document = settings_document()
    symbol = document["symbols"]["BTCUSDT"]
    document["globals"]["max_total_exposure_usdt"] = 1000
    document["symbols"] = {name: {**symbol, **changes.get(name, {})} for name in NAMES}
    return parse_settings(document)


FAULTY: dict[str, dict[str, Any]] = {
    "BTCUSDT": {"stop_loss_pct": 12},
    "ETHUSDT": {"leverage": 126 - 1},
    "XRPUSDT": {"trade_value_usdt": "0.1"},
    "DOGEUSDT": {"stop_loss_pct": "0.0001"},
    "LINKUSDT": {"trade_value_usdt": 300},
    "BNBUSDT": {"trade_value_usdt": 2},
}


@pytest.fixture
def harness(path: Path) -> Harness:
    """Eight symbols, of which one trades as set; SOLUSDT is not listed, ADAUSDC has no margin in the wallet."""
    started = Harness(path, settings(**FAULTY))
    instruments = {name: an_instrument(symbol=name) for name in NAMES if name != "SOLUSDT"}
    instruments["ADAUSDC"] = an_instrument(symbol="ADAUSDC", quote_asset="USDC")
    started.context.instruments = instruments
    low = tuple(each for each in BRACKETS if each.max_leverage <= 100)
    started.connect()
    started.feed(BracketsFetched({name: low if name == "ETHUSDT" else BRACKETS for name in NAMES}, started.now))
    for name in NAMES:
        started.feed(a_mark(symbol=name, at=started.now, received_at=started.now))
    started.audit()
    return started


def alerts(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if "as set" in each["message"]]


def state(harness: Harness, key: str) -> dict[str, Any]:
    [row] = harness.rows("SELECT value FROM bot_state WHERE key = :key", key=key)
    value: dict[str, Any] = json.loads(row["value"])
    return value


def test_each_symbol_that_cannot_be_traded_is_named_with_its_reason(harness: Harness) -> None:
    [sentence] = alerts(harness)
    assert sentence.startswith("7 of 8 symbols cannot be traded as set. BTCUSDT: the position would be liquidated at")
    for part in (
        "ETHUSDT: the exchange allows 20x at most: set leverage to 20 or less.",
        "SOLUSDT: not listed by the exchange: correct the symbol's name",
        "XRPUSDT: the minimum order is 50.00 USDT, the settings give 1.00: 50.0 times as much",
        "ADAUSDC: one entry needs 50 USDC margin, and the wallet has 0.00: transfer USDC",
        "DOGEUSDT: stop_loss_pct 0.0001 is too close",
        "LINKUSDT: one entry needs 300 USDT margin, max_position_usdt allows 200",
    ):
        assert part in sentence
    assert "BNBUSDT" not in sentence


def test_page_gets_the_reasons_and_the_factor_of_a_raised_size(harness: Harness) -> None:
    reason = state(harness, "trading")["reason"]
    assert "no entries in BTCUSDT: the position would be liquidated at about" in reason
    assert "no entries in ADAUSDC, DOGEUSDT, LINKUSDT as set: the settings page says why" in reason
    published = state(harness, "symbol_checks")
    [raised] = published["symbols"]["BNBUSDT"]["checks"]
    assert raised["level"] == "warn"
    assert "entries are raised to the minimum, 2.5 times the size that is set" in raised["message"]


def test_only_news_is_said_again(harness: Harness) -> None:
    harness.prices(50_500)
    harness.wait(40_000)
    assert len(alerts(harness)) == 1
    repaired = {**FAULTY, "BTCUSDT": {}, "BNBUSDT": {"leverage": 50, "stop_loss_pct": 9}}
    harness.feed(SettingsChanged(settings(**repaired), harness.now))
    harness.audit()
    [_, news] = alerts(harness)
    assert news.startswith("7 of 8 symbols cannot be traded as set. BNBUSDT: ")
    assert "BTCUSDT" not in news
    assert harness.context.unworkable["BTCUSDT"] == ()
