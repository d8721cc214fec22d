import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from src.bot.startup import (
    InstrumentLoader,
    SetupWait,
    bind_database_to_network,
    name_open_entries,
    record_edit_while_stopped,
)
from src.core.health.status import BotInfo
from src.core.operator.restart import RestartRequest
from src.database.control import CommandReader, CommandWriter, open_control
from src.database.models import JournalRow
from src.database.open_database import open_database
from src.database.queries.account import settings_versions
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole
from src.domain.errors import ConfigError, ProtocolError, Unreachable
from src.domain.instrument import UNLISTED, IncompleteInstrument, InstrumentList
from src.domain.orders import Order
from src.launch.shutdown import EXIT_OPEN_ENTRIES, EXIT_RESTART, EXIT_STOPPED
from src.settings.config import parse_settings, settings_to_json
from tests.builders import NOW, a_request, an_instrument
from tests.settings.documents import a_document

IDENTITY = BotInfo("0.1.0", 7, NOW, "mainnet", True)


class Market:
    """An exchange that fails the first ``failures`` requests."""

    def __init__(self, failures: int, on_failure: Callable[[], None] = lambda: None) -> None:
        self._failures = failures
        self._on_failure = on_failure

    def list_instruments(self) -> InstrumentList:
        if self._failures:
            self._failures -= 1
            self._on_failure()
            raise Unreachable("no route to host")
        return InstrumentList({"BTCUSDT": an_instrument()})


class ImmediateEvent(threading.Event):
    """A stop event that never blocks in ``wait``."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_database(tmp_path / "bot.db", NOW).engine, ManualClock(NOW))


def state(store: Store, key: str) -> dict[str, object]:
    with store.transaction():
        return store.get_state(key) or {}


def test_instruments_are_saved(store: Store) -> None:
    found = InstrumentLoader(Market(0).list_instruments, store, ManualClock(NOW), IDENTITY).wait(threading.Event())
    assert found == InstrumentList({"BTCUSDT": an_instrument()})


def test_unreachable_exchange_is_retried_and_published(store: Store) -> None:
    found = InstrumentLoader(Market(3).list_instruments, store, ManualClock(NOW), IDENTITY).wait(ImmediateEvent())
    assert found is not None
    assert state(store, "trading")["reason"] == "the exchange does not respond: no route to host"
    assert state(store, "bot")["heartbeat_at"] == NOW


def test_settings_of_the_last_run_are_not_in_force_while_the_bot_waits(store: Store) -> None:
    with store.transaction():
        store.set_state("settings", {"values": {"globals": {}, "symbols": {}}, "faults": []})
    InstrumentLoader(Market(1).list_instruments, store, ManualClock(NOW), IDENTITY).wait(ImmediateEvent())
    assert state(store, "settings") == {}


def test_stop_ends_loading(store: Store) -> None:
    stop = ImmediateEvent()
    loader = InstrumentLoader(Market(9, on_failure=stop.set).list_instruments, store, ManualClock(NOW), IDENTITY)
    assert loader.wait(stop) is None


def test_database_is_bound_to_one_network(store: Store, tmp_path: Path) -> None:
    bind_database_to_network(store, "sandbox", tmp_path / "bot.db")
    bind_database_to_network(store, "sandbox", tmp_path / "bot.db")
    with pytest.raises(ConfigError, match="belongs to sandbox, but this home uses mainnet"):
        bind_database_to_network(store, "mainnet", tmp_path / "bot.db")


def write_command(path: Path, action: OperatorAction, at: int) -> CommandReader:
    """Write a command as the dashboard does."""
    engine = open_control(path)
    CommandWriter(engine).add(action, f"nonce-{at}", at)
    engine.dispose()
    return CommandReader(path)


def test_restart_request_ends_loading(store: Store, tmp_path: Path) -> None:
    restart_request, reader = RestartRequest(NOW, is_supervised=True), CommandReader(tmp_path / "control.db")
    stop = ImmediateEvent()
    attempts = iter(range(3))
    market = Market(9, on_failure=lambda: None if next(attempts) < 2 else request_restart(reader))

    def request_restart(_: CommandReader) -> None:
        write_command(tmp_path / "control.db", OperatorAction.RESTART, NOW + 1)

    loader = InstrumentLoader(
        market.list_instruments, store, ManualClock(NOW), IDENTITY, lambda: restart_request.poll(reader)
    )
    assert loader.wait(stop) is None
    assert restart_request.is_requested


def test_missing_key_waits_for_setup(store: Store, tmp_path: Path) -> None:
    restart_request = RestartRequest(NOW, is_supervised=True)
    reader = write_command(tmp_path / "control.db", OperatorAction.RESTART, NOW + 5)
    loader = SetupWait(store, ManualClock(NOW), IDENTITY, restart_request, reader)
    assert loader.wait(ImmediateEvent()) == EXIT_RESTART
    assert "Open Setup on the dashboard" in str(state(store, "trading")["reason"])
    assert state(store, "bot")["heartbeat_at"] == NOW


def test_restart_request_from_before_start_is_done(store: Store, tmp_path: Path) -> None:
    restart_request = RestartRequest(NOW, is_supervised=True)
    reader = write_command(tmp_path / "control.db", OperatorAction.RESTART, NOW - 5)
    assert not restart_request.poll(reader)
    restart_request.accept(NOW)
    assert (restart_request.is_requested, restart_request.reply(NOW)) == (
        False,
        "the bot has restarted since then",
    )
    stop = threading.Event()
    stop.set()
    assert SetupWait(store, ManualClock(NOW), IDENTITY, restart_request, reader).wait(stop) == 0


def test_restart_request_needs_launcher(tmp_path: Path) -> None:
    restart_request = RestartRequest(NOW, is_supervised=False)
    assert not restart_request.poll(write_command(tmp_path / "control.db", OperatorAction.RESTART, NOW + 5))
    assert "restart the bot manually" in restart_request.reply(NOW + 5)


BITCOIN, ETHER = an_instrument(), an_instrument(symbol="ETHUSDT")


def load_after_last_run(store: Store, listed: InstrumentList | ProtocolError) -> InstrumentList:
    """What a start uses if the exchange answers so, and the last run knew two symbols."""
    with store.transaction():
        store.save_instruments([BITCOIN, ETHER])

    def read() -> InstrumentList:
        if isinstance(listed, ProtocolError):
            raise listed
        return listed

    found = InstrumentLoader(read, store, ManualClock(NOW), IDENTITY).wait(ImmediateEvent())
    assert found is not None
    return found


def test_last_known_rules_serve_when_the_list_lacks_something(store: Store) -> None:
    gap = IncompleteInstrument("BTCUSDT", "tickSize is missing", "TRADING")
    found = load_after_last_run(store, InstrumentList({"ETHUSDT": ETHER}, (gap,)))
    assert found == InstrumentList({"BTCUSDT": BITCOIN, "ETHUSDT": ETHER}, (gap,))
    with store.transaction():
        assert store.load_instruments() == found.instruments  # and the start after this one too


def test_incomplete_symbol_that_stopped_trading_is_not_traded(store: Store) -> None:
    gap = IncompleteInstrument("BTCUSDT", "filter LOT_SIZE is missing", "SETTLING")
    found = load_after_last_run(store, InstrumentList({"ETHUSDT": ETHER}, (gap,)))
    assert found.instruments["BTCUSDT"] == replace(BITCOIN, status="SETTLING")


def test_symbol_that_is_not_listed_keeps_its_rules(store: Store) -> None:
    found = load_after_last_run(store, InstrumentList({"ETHUSDT": ETHER}))
    assert found.instruments["BTCUSDT"] == replace(BITCOIN, status=UNLISTED)


def test_list_that_cannot_be_read_does_not_delay_protection(store: Store) -> None:
    found = load_after_last_run(store, ProtocolError("symbols is missing"))
    assert found.instruments == {"BTCUSDT": BITCOIN, "ETHUSDT": ETHER}
    assert {each.problem for each in found.incomplete} == {"the list cannot be read: symbols is missing"}


def test_stop_before_trading_names_the_entries_of_the_last_run(store: Store) -> None:
    assert name_open_entries(store) == EXIT_STOPPED
    entry, stop = a_request(), a_request(OrderRole.STOP_LOSS)
    with store.transaction():
        for request, role in ((entry, OrderRole.ENTRY), (stop, OrderRole.STOP_LOSS)):
            store.record_order(Order(request, role, created_at=NOW), simulated=False)
    assert name_open_entries(store) == EXIT_OPEN_ENTRIES
    with store.transaction():
        payloads = store.read(lambda connection: connection.scalars(select(JournalRow.payload)).all())
    assert [entry.client_order_id in payload["message"] for payload in payloads] == [True]


def versions(store: Store) -> list[tuple[str, object, object]]:
    """Message, leverage before and after of each version, newest first."""
    with store.transaction():
        found = store.read(lambda connection: settings_versions(connection, 10))
    leverage = [(each.previous or {})["symbols"]["BTCUSDT"]["leverage"] if each.previous else None for each in found]
    return [
        (each.message, before, each.document["symbols"]["BTCUSDT"]["leverage"])
        for each, before in zip(found, leverage, strict=True)
    ]


def keep_last_run(store: Store, **state: object) -> None:
    with store.transaction():
        store.set_state("settings", {"faults": [], **state})


def leverage_of(leverage: int) -> dict[str, object]:
    return dict(settings_to_json(parse_settings(a_document(leverage=leverage))))


def test_edit_while_the_bot_was_stopped_gets_a_version(store: Store, tmp_path: Path) -> None:
    reader, edited = CommandReader(tmp_path / "control.db"), parse_settings(a_document(leverage=9))
    record_edit_while_stopped(store, edited, reader)
    assert versions(store) == []  # the first run knows no earlier settings
    keep_last_run(store, values=leverage_of(5))
    record_edit_while_stopped(store, parse_settings(a_document(leverage=5)), reader)
    assert versions(store) == []
    record_edit_while_stopped(store, edited, reader)
    assert versions(store) == [("edited by hand while the bot was stopped", 5, 9)]
    with store.transaction():
        (message,) = store.read(lambda connection: connection.scalars(select(JournalRow.payload)).all())
    assert message == {"message": "settings.json was edited by hand while the bot was stopped: settings applied"}


def test_settings_that_waited_for_the_restart_are_no_edit(store: Store, tmp_path: Path) -> None:
    keep_last_run(store, values=leverage_of(5), requested=leverage_of(9))
    record_edit_while_stopped(store, parse_settings(a_document(leverage=9)), CommandReader(tmp_path / "control.db"))
    assert versions(store) == []


def test_settings_saved_on_the_dashboard_while_the_bot_was_stopped_are_no_edit(store: Store, tmp_path: Path) -> None:
    engine = open_control(tmp_path / "control.db")
    CommandWriter(engine).add_settings_version(leverage_of(9), "settings saved", NOW)
    reader = CommandReader(tmp_path / "control.db")
    keep_last_run(store, values=leverage_of(5))
    record_edit_while_stopped(store, parse_settings(a_document(leverage=9)), reader)
    assert versions(store) == []
    record_edit_while_stopped(store, parse_settings(a_document(leverage=8)), reader)  # and edited after that
    assert versions(store) == [("edited by hand while the bot was stopped", 5, 8)]
    engine.dispose()
