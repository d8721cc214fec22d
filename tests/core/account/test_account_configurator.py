"""Leverage and margin types: a symbol that cannot be configured is blocked, and the others are traded."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.events import SettingsChanged
from src.domain.commands import AccountCommand, SetLeverage, SetMarginType, SetPositionMode, TakeSnapshot
from src.domain.decisions import Gate
from src.domain.enums import MarginType, OrderRole, OrderStatus, PositionSide
from src.domain.events import AccountConfigured, CommandFailed, LeverageChanged, Stream, StreamDown, StreamUp
from src.domain.positions import PositionReport
from src.settings.config import Settings, parse_settings
from tests.builders import NOW, a_mark, a_quote, a_report, an_update, settings_document
from tests.core.harness import Harness

STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
HOUR_S = 3600


def two_symbols(globals_: dict[str, Any] | None = None, **eth: Any) -> Settings:
    document = settings_document()
    document["globals"] |= globals_ or {}
    document["symbols"]["ETHUSDT"] = {**document["symbols"]["BTCUSDT"], **eth}
    return parse_settings(document)


def reports(symbol: str, **changes: Any) -> tuple[PositionReport, ...]:
    return tuple(
        a_report(symbol=symbol, position_side=side, **changes) for side in (PositionSide.LONG, PositionSide.SHORT)
    )


class Account:
    """The account at an exchange that refuses some commands."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.answered = 0
        self.rejections: dict[AccountCommand, int] = {}
        self.positions: tuple[PositionReport, ...] = ()
        self.open_orders: tuple[Any, ...] = ()

    def read(self) -> None:
        """Answer a snapshot request, then the commands that follow it."""
        self.harness.snapshot(positions=self.positions, open_orders=self.open_orders)
        self.answer()

    def answer(self) -> None:
        """Answer the commands that have no response yet."""
        commands = self.commands()
        for command in commands[self.answered :]:
            code = self.rejections.get(command)
            if code is None:
                self.harness.feed(AccountConfigured(command, self.harness.now))
            else:
                self.harness.feed(CommandFailed(command, code, "not now", self.harness.now))
        self.answered = len(commands)

    def commands(self) -> list[AccountCommand]:
        kinds = (SetLeverage, SetMarginType, SetPositionMode)
        return [command for command in self.harness.sent if isinstance(command, kinds)]

    def wait(self, seconds: int, step: int = 10) -> None:
        """Let time pass; the account is read every ``step`` seconds."""
        for _ in range(seconds // step):
            self.harness.clock.advance(step * 1000)
            self.prices()
            self.read()
            self.harness.audit()

    def prices(self) -> None:
        self.harness.prices()
        now = self.harness.now
        eth = {"symbol": "ETHUSDT", "at": now, "received_at": now}
        self.harness.feed(a_mark(50_000, **eth), a_quote(**eth))

    def alerts(self) -> list[str]:
        alerts = self.harness.journal("alert")
        return [alert["message"] for alert in alerts if "ETHUSDT" in alert["message"]]

    def verdict(self, symbol: str) -> tuple[str | None, str]:
        """Gate and reason of the decision on a new liquidation."""
        self.harness.liquidate(symbol=symbol)
        row = self.harness.rows("SELECT gate, reason FROM decisions ORDER BY liquidation_id DESC LIMIT 1")[0]
        return row["gate"], row["reason"]


def an_account(path: Path, settings: Settings) -> Account:
    account = Account(Harness(path, settings))
    account.harness.connect()
    account.prices()
    return account


@pytest.fixture
def account(path: Path) -> Iterator[Account]:
    account = an_account(path, two_symbols(leverage=50, stop_loss_pct="0.5"))
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT", leverage=20))
    account.answered = len(account.commands())
    yield account
    account.harness.close()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (-4028, "Set a lower leverage in the settings of the symbol"),
        (-4161, "Close the symbol's position, or set its leverage back"),
        (-2027, "Set it on the exchange's site, or change leverage in the settings of the symbol"),
    ],
)
def test_refused_leverage_blocks_its_symbol_and_no_other(account: Account, code: int, remedy: str) -> None:
    account.rejections = {SetLeverage("ETHUSDT", 50): code}
    account.wait(600)
    gate, reason = account.verdict("ETHUSDT")
    assert gate == Gate.CONFIGURED
    assert reason.startswith(f"leverage 50x could not be set: not now ({code}). {remedy}")
    assert account.verdict("BTCUSDT")[0] is None
    assert account.alerts() == [f"no entries in ETHUSDT: {reason}"]
    assert account.harness.context.trading_status.reason == ""


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (-4047, "Cancel the symbol's open orders, or set its margin_type to the one at the exchange"),
        (-4048, "Close the symbol's position, or set its margin_type to the one at the exchange"),
        (-4168, "Set the symbol's margin_type to CROSSED"),
        (-1000, "Set it on the exchange's site, or change margin_type in the settings of the symbol"),
    ],
)
def test_refused_margin_type_blocks_its_symbol_and_no_other(account: Account, code: int, remedy: str) -> None:
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT", margin_type=MarginType.CROSSED, leverage=50))
    account.rejections = {SetMarginType("ETHUSDT", MarginType.ISOLATED): code}
    account.wait(60)
    gate, reason = account.verdict("ETHUSDT")
    assert gate == Gate.CONFIGURED
    assert reason.startswith(f"ISOLATED margin could not be set: not now ({code}). {remedy}")
    assert account.verdict("BTCUSDT")[0] is None
    assert len(account.alerts()) == 1


def test_reason_of_a_blocked_symbol_is_shown_on_the_page(account: Account) -> None:
    account.rejections = {SetLeverage("ETHUSDT", 50): -4028}
    account.wait(10)
    [row] = account.harness.rows("SELECT value FROM bot_state WHERE key = 'trading'")
    assert '"state": "ACTIVE"' in row["value"]
    assert "no entries in ETHUSDT: leverage 50x could not be set" in row["value"]


def test_refused_leverage_is_tried_again_after_growing_pauses(account: Account) -> None:
    command = SetLeverage("ETHUSDT", 50)
    account.rejections = {command: -4028}
    account.wait(HOUR_S)
    tries = account.commands().count(command)
    assert 8 <= tries <= 12  # after 10, 20, 40 … 320, then every 600 seconds
    account.rejections.clear()
    account.wait(600)
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT", leverage=50))
    account.wait(10)
    assert account.verdict("ETHUSDT")[0] is None
    assert account.alerts()[-1] == "ETHUSDT is configured as the settings want again"


def test_alert_of_a_blocked_symbol_is_repeated_each_hour(account: Account) -> None:
    account.rejections = {SetLeverage("ETHUSDT", 50): -4028}
    account.wait(HOUR_S - 30, 30)
    assert len(account.alerts()) == 1
    account.wait(2 * HOUR_S, 30)
    assert len(account.alerts()) == 3
    assert len(set(account.alerts())) == 1


def test_changed_settings_are_tried_at_once(account: Account) -> None:
    account.rejections = {SetLeverage("ETHUSDT", 50): -4028}
    account.wait(600)
    account.harness.feed(SettingsChanged(two_symbols(leverage=10)))
    account.read()
    assert account.commands()[-1] == SetLeverage("ETHUSDT", 10)
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT"))
    account.read()
    assert account.verdict("ETHUSDT")[0] is None


def test_lower_leverage_is_tried_at_once_after_the_position_closes(path: Path) -> None:
    account = an_account(path, two_symbols())
    harness = account.harness
    harness.open_position()
    lower = two_symbols().model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    lower["symbols"]["BTCUSDT"]["leverage"] = 5
    harness.feed(SettingsChanged(parse_settings(lower)))
    command = SetLeverage("BTCUSDT", 5)
    account.rejections = {command: -4161}
    short = a_report(position_side=PositionSide.SHORT)
    account.positions = (harness.report(), short, *reports("ETHUSDT"))
    account.open_orders = tuple(harness.update_for(harness.last(role)) for role in (STOP, TAKE))
    account.wait(300)
    tries = account.commands().count(command)
    assert tries <= 6
    assert account.verdict("ETHUSDT")[0] is None
    [alert] = [each["message"] for each in harness.journal("alert") if "could not be set" in each["message"]]
    assert "Close the symbol's position, or set its leverage back to the one at the exchange" in alert

    requested = len(harness.commands_of(TakeSnapshot))
    harness.fill(harness.last(STOP))
    harness.end_order(harness.last(TAKE))
    harness.end_order(harness.last(OrderRole.ENTRY))  # of ETHUSDT
    harness.audit()
    assert len(harness.commands_of(TakeSnapshot)) == requested + 1
    account.rejections, account.open_orders = {}, ()
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT"))
    account.read()
    assert account.commands().count(command) == tries + 1
    account.positions = (*reports("BTCUSDT", leverage=5), *reports("ETHUSDT"))
    account.read()
    assert account.verdict("BTCUSDT")[0] is None
    harness.close()


def test_other_margin_type_of_an_open_position_is_alerted_with_the_remedy(account: Account) -> None:
    """The bot does not ask for what the exchange refuses (-4048)."""
    held = a_report("0.1", 50_000, symbol="ETHUSDT", margin_type=MarginType.CROSSED, leverage=50)
    account.positions = (*reports("BTCUSDT"), held)
    account.wait(HOUR_S - 30, 30)
    alert = (
        "no entries in ETHUSDT: margin type is CROSSED at the exchange, ISOLATED in the settings. "
        "Close the symbol's position, or set its margin_type to the one at the exchange"
    )
    assert account.alerts().count(alert) == 1
    account.wait(60, 30)
    assert account.alerts().count(alert) == 2
    assert not any(isinstance(command, SetMarginType) for command in account.commands())
    assert account.verdict("BTCUSDT")[0] is None


def test_symbol_that_the_bot_may_not_configure_is_alerted_with_the_remedy(path: Path) -> None:
    account = an_account(path, two_symbols({"set_leverage": False}))
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT", leverage=20))
    account.wait(60)
    assert account.alerts() == [
        "no entries in ETHUSDT: leverage is 20 at the exchange, 10 in the settings. "
        "Set it on the exchange's site, or switch on set_leverage and set_margin_type"
    ]
    account.harness.close()


def test_margin_type_is_tried_at_once_after_the_orders_close(account: Account) -> None:
    command = SetMarginType("ETHUSDT", MarginType.ISOLATED)
    account.positions = (*reports("BTCUSDT"), *reports("ETHUSDT", margin_type=MarginType.CROSSED, leverage=50))
    manual = an_update(symbol="ETHUSDT", client_order_id="web_1", order_id=9)
    account.open_orders = (manual,)
    account.rejections = {command: -4047}
    account.wait(600)
    tries = account.commands().count(command)
    account.harness.feed(an_update(symbol="ETHUSDT", client_order_id="web_1", order_id=9, status=OrderStatus.CANCELED))
    account.harness.audit()
    account.open_orders, account.rejections = (), {}
    account.read()
    assert account.commands().count(command) == tries + 1


def test_symbol_without_a_position_report_is_configured_before_its_first_entry(path: Path) -> None:
    """The exchange may leave out symbols that are flat, or newly listed."""
    account = an_account(path, two_symbols())
    account.positions = reports("BTCUSDT")
    account.harness.snapshot(positions=account.positions)
    gate, reason = account.verdict("ETHUSDT")
    assert gate == Gate.CONFIGURED
    assert reason == "the exchange does not report its leverage and margin type: the bot is setting it"
    assert account.commands() == [SetMarginType("ETHUSDT", MarginType.ISOLATED), SetLeverage("ETHUSDT", 10)]
    account.answer()
    account.read()
    assert account.verdict("ETHUSDT")[0] is None
    account.harness.end_order(account.harness.last(OrderRole.ENTRY))
    account.wait(120)
    assert len(account.commands()) == 2  # what is confirmed is not set again


def test_symbol_that_the_exchange_does_not_list_is_not_configured(path: Path) -> None:
    """The report on the symbols names it; "set the leverage on the exchange's site" would mislead."""
    account = Account(Harness(path, two_symbols(leverage=50, stop_loss_pct="0.5")))
    context = account.harness.context
    context.instruments = {"BTCUSDT": context.instruments["BTCUSDT"]}
    account.harness.connect(positions=reports("BTCUSDT"))
    assert [each for each in account.commands() if isinstance(each, SetLeverage) and each.symbol == "ETHUSDT"] == []
    assert account.alerts() == []
    account.harness.close()


def test_first_position_of_an_unreported_symbol_has_its_leverage(path: Path) -> None:
    account = Account(Harness(path))
    account.harness.connect(positions=())
    account.answer()
    account.read()
    account.harness.fill(account.harness.enter())
    [tracked] = account.harness.context.portfolio.open_positions()
    assert (tracked.margin, tracked.margin_type) == (Decimal(50), MarginType.ISOLATED)
    account.harness.close()


def test_changed_leverage_of_an_unreported_symbol_is_set_again(path: Path) -> None:
    account = an_account(path, two_symbols())
    account.positions = reports("BTCUSDT")
    account.wait(20)
    account.harness.feed(LeverageChanged("ETHUSDT", 20, account.harness.now))
    assert account.verdict("ETHUSDT")[0] == Gate.CONFIGURED
    account.wait(20)
    assert account.commands()[-1] == SetLeverage("ETHUSDT", 10)
    assert account.verdict("ETHUSDT")[0] is None
    account.harness.close()


def test_unreported_symbol_is_set_again_after_a_change_may_have_been_missed(path: Path) -> None:
    account = an_account(path, two_symbols())
    account.positions = reports("BTCUSDT")
    account.wait(20)
    account.harness.feed(StreamDown(Stream.USER, "cut", account.harness.now))
    account.harness.clock.advance(60_000)
    account.prices()
    account.harness.feed(StreamUp(Stream.USER, account.harness.now))
    account.harness.snapshot(positions=account.positions)
    assert account.verdict("ETHUSDT")[0] == Gate.CONFIGURED
    account.answer()
    account.read()
    assert account.verdict("ETHUSDT")[0] is None
    account.harness.close()


def test_unreported_symbol_that_the_bot_may_not_configure_is_blocked_with_the_remedy(path: Path) -> None:
    account = an_account(path, two_symbols({"set_leverage": False, "set_margin_type": False}))
    account.positions = reports("BTCUSDT")
    account.wait(30)
    gate, reason = account.verdict("ETHUSDT")
    assert gate == Gate.CONFIGURED
    assert reason == (
        "the exchange does not report its leverage and margin type: switch on set_leverage and set_margin_type"
    )
    assert account.commands() == []
    assert account.verdict("BTCUSDT")[0] is None
    account.harness.close()


def test_refused_mode_of_the_account_blocks_every_symbol(path: Path) -> None:
    account = an_account(path, two_symbols())
    account.rejections = {SetPositionMode(True): -4068}
    for _ in range(30):
        account.harness.clock.advance(10_000)
        account.prices()
        account.harness.snapshot(positions=(*reports("BTCUSDT"), *reports("ETHUSDT")), hedge_mode=False)
        for command in account.commands()[account.answered :]:
            account.harness.feed(CommandFailed(command, -4068, "open positions", account.harness.now))
        account.answered = len(account.commands())
        account.harness.audit()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert account.verdict(symbol)[1] == "the account could not be configured: open positions (-4068)"
    alerts = [alert["message"] for alert in account.harness.journal("alert")]
    assert alerts == ["no entries: the account could not be configured: open positions (-4068)"]
    assert len(account.commands()) <= 6
    account.harness.close()


def test_first_configuration_without_a_response_holds_the_other_symbols_for_seconds_only(path: Path) -> None:
    account = an_account(path, two_symbols(leverage=50, stop_loss_pct="0.5"))  # ETHUSDT has 10
    assert account.verdict("BTCUSDT") == (Gate.TRADING_STATE, "the account is being configured")
    account.harness.wait(10_000)
    assert account.verdict("BTCUSDT")[0] is None
    assert account.verdict("ETHUSDT")[0] == Gate.CONFIGURED
    account.harness.close()


def test_lost_response_is_tried_again(account: Account) -> None:
    command = SetLeverage("ETHUSDT", 50)
    account.read()
    account.harness.feed(CommandFailed(command, None, "timeout", NOW))
    assert account.verdict("ETHUSDT")[1] == ("leverage 50x could not be set: timeout. The bot tries again")
    account.answered = len(account.commands())
    account.wait(10)
    assert account.commands().count(command) == 2
