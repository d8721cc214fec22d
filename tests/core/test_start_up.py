import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from src.core.operator.restart import EXIT_RESTART, RestartWish
from src.core.start_up import InstrumentsQuest, SetUpQuest, claim_network
from src.core.status import Identity
from src.database.control import CommandDesk, CommandReader, open_control
from src.database.ledger import open_ledger
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.errors import ConfigError, Unreachable
from src.domain.instrument import Instrument
from src.domain.messages import OperatorAction
from src.exchange.wire import Candle
from tests.builders import NOW, an_instrument

IDENTITY = Identity("0.1.0", 7, NOW, "mainnet", True)


class Market:
    """Answers once it has been asked often enough."""

    def __init__(self, failures: int, on_failure: Callable[[], None] = lambda: None) -> None:
        self._failures = failures
        self._on_failure = on_failure

    def instruments(self) -> dict[str, Instrument]:
        if self._failures:
            self._failures -= 1
            self._on_failure()
            raise Unreachable("no route to host")
        return {"BTCUSDT": an_instrument()}

    def server_time(self) -> int:
        return NOW

    def klines(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        raise Unreachable(f"{symbol} {interval} {limit}")


class Hasty(threading.Event):
    """A stop flag that does not let the test wait for whole seconds."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_ledger(tmp_path / "bot.db", NOW).engine, ManualClock(NOW))


def state(store: Store, key: str) -> dict[str, object]:
    with store.transaction():
        return store.get_state(key) or {}


def test_the_rules_are_kept_for_the_dashboard(store: Store) -> None:
    found = InstrumentsQuest(Market(0), store, ManualClock(NOW), IDENTITY).wait(threading.Event())
    assert found == {"BTCUSDT": an_instrument()}


def test_an_exchange_that_does_not_answer_is_asked_again_and_said(store: Store) -> None:
    found = InstrumentsQuest(Market(3), store, ManualClock(NOW), IDENTITY).wait(Hasty())
    assert found is not None
    assert state(store, "trading")["reason"] == "the exchange does not answer: no route to host"
    assert state(store, "bot")["heartbeat_at"] == NOW


def test_a_stop_ends_the_asking(store: Store) -> None:
    stop = Hasty()
    quest = InstrumentsQuest(Market(9, on_failure=stop.set), store, ManualClock(NOW), IDENTITY)
    assert quest.wait(stop) is None


def test_a_database_belongs_to_one_network(store: Store, tmp_path: Path) -> None:
    claim_network(store, "sandbox", tmp_path / "bot.db")
    claim_network(store, "sandbox", tmp_path / "bot.db")
    with pytest.raises(ConfigError, match="holds the trades of sandbox, and this home is set to mainnet"):
        claim_network(store, "mainnet", tmp_path / "bot.db")


def ask(path: Path, action: OperatorAction, at: int) -> CommandReader:
    """As the dashboard does."""
    engine = open_control(path)
    CommandDesk(engine).ask(action, f"nonce-{at}", at)
    engine.dispose()
    return CommandReader(path)


def test_a_wish_to_start_anew_ends_the_asking(store: Store, tmp_path: Path) -> None:
    wish, reader = RestartWish(NOW, is_supervised=True), CommandReader(tmp_path / "control.db")
    stop = Hasty()
    asked = iter(range(3))
    market = Market(9, on_failure=lambda: None if next(asked) < 2 else ask_now(reader))

    def ask_now(_: CommandReader) -> None:
        ask(tmp_path / "control.db", OperatorAction.RESTART, NOW + 1)

    quest = InstrumentsQuest(market, store, ManualClock(NOW), IDENTITY, lambda: wish.look(reader))
    assert quest.wait(stop) is None
    assert wish.is_asked


def test_a_bot_without_a_key_waits_for_the_set_up_and_says_so(store: Store, tmp_path: Path) -> None:
    wish = RestartWish(NOW, is_supervised=True)
    reader = ask(tmp_path / "control.db", OperatorAction.RESTART, NOW + 5)
    quest = SetUpQuest(store, ManualClock(NOW), IDENTITY, wish, reader)
    assert quest.wait(Hasty()) == EXIT_RESTART
    assert "Open Set-up on the dashboard" in str(state(store, "trading")["reason"])
    assert state(store, "bot")["heartbeat_at"] == NOW


def test_a_wish_from_before_this_process_has_come_true(store: Store, tmp_path: Path) -> None:
    wish = RestartWish(NOW, is_supervised=True)
    reader = ask(tmp_path / "control.db", OperatorAction.RESTART, NOW - 5)
    assert not wish.look(reader)
    wish.take(NOW)
    assert (wish.is_asked, wish.answer(NOW)) == (False, "the bot has been started anew since then")
    stop = threading.Event()
    stop.set()
    assert SetUpQuest(store, ManualClock(NOW), IDENTITY, wish, reader).wait(stop) == 0


def test_without_a_launcher_the_bot_stays(tmp_path: Path) -> None:
    wish = RestartWish(NOW, is_supervised=False)
    assert not wish.look(ask(tmp_path / "control.db", OperatorAction.RESTART, NOW + 5))
    assert "stop it, and start it again" in wish.answer(NOW + 5)
