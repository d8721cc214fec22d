"""Every field of every message, missing, null, empty or zero: still protected and judging, or a named halt.

A change after which the bot reads the same decides nothing. All others are played with the trader and the model's
exchange: the message stays wrong for half a minute, in which an entry is signalled, filled and loses its stop.
"""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from src.domain.commands import FetchIncome, FetchQuote
from src.domain.enums import IncomeType, MarginType, OrderRole, TradingState
from src.domain.errors import ProtocolError
from src.domain.events import AccountUpdate, LeverageChanged, PositionChange, Task, TaskDue
from src.domain.positions import AccountSummary, Balance, Income
from src.engine.margin import DEFAULT_BRACKETS
from src.exchange import wire
from tests.builders import (
    NOW,
    D,
    a_fill,
    a_filled_update,
    a_liquidation,
    a_mark,
    a_position,
    a_quote,
    a_report,
    a_request,
    an_instrument,
    an_update,
)
from tests.core.model.wire_exchange import WireSimulation

STOP = a_request(OrderRole.STOP_LOSS, 1)
Path = tuple[str | int, ...]
Parse = Callable[[Any], object]
ABSENT = object()
"""A field under another name reads like one that was dropped, with a new field beside it."""
CHANGES: dict[str, object] = {"misspelled": ABSENT, "null": None, "empty": "", "zero": "0", "unknown": "SOMETHING_NEW"}


MAY_BE_TRUE = {
    *(("forceOrder", ("o", "s"), change) for change in ("zero", "unknown")),  # the liquidation of another symbol
    ("ACCOUNT_UPDATE", ("a", "P", "pa"), "zero"),  # a closed position; the next snapshot corrects it
}


def parse_account(body: object) -> object:
    return wire.parse_account(body), wire.parse_account_balances(body)


def parse_event(body: object) -> object:
    return wire.parse_event(body, NOW)


CHANGE = PositionChange(a_position("0.01"), MarginType.ISOLATED, D(5))
UPDATE = AccountUpdate("ORDER", (Balance("USDT", D(1000), D(900)),), (CHANGE,), NOW, NOW + 1)
LEVERAGE = wire.render_event(LeverageChanged("BTCUSDT", 10, NOW))
MODES = wire.render_event(wire.AccountModeChanged(False, True, NOW))
MARGIN_CALL = wire.render_margin_call([(a_report("0.01", 50_000), D(1))], NOW)
FUNDING = Income(1, "BTCUSDT", IncomeType.FUNDING_FEE, "USDT", D("-0.1"), NOW, 7)
SUMMARY = AccountSummary(D(1000), D(1), D(1001), D(900), D(5), D(1))
MESSAGES: dict[str, tuple[Any, Parse]] = {
    "forceOrder": (wire.render_force_order(a_liquidation(traded_at=NOW - 1)), parse_event),
    "markPriceUpdate": (wire.render_event(a_mark(at=NOW - 1)), parse_event),
    "bookTicker": (wire.render_event(a_quote(at=NOW - 1)), parse_event),
    "ORDER_TRADE_UPDATE": (wire.render_event(a_filled_update()), parse_event),
    "ACCOUNT_UPDATE": (wire.render_event(UPDATE), parse_event),
    "ACCOUNT_CONFIG_UPDATE": (LEVERAGE, parse_event),
    "MARGIN_CALL": (MARGIN_CALL, parse_event),
    "income": ([wire.render_income(FUNDING)], lambda body: [wire.parse_income(each) for each in body]),
    "depth": (
        wire.render_depth([(D(49_990), D(1))], [(D(50_010), D(1))], 1, NOW),
        lambda body: wire.parse_depth(body, "BTCUSDT", NOW),
    ),
    "positionRisk": ([wire.render_position(a_report("0.01", 50_000))], wire.read_positions),
    "order": (wire.render_order(an_update(STOP)), wire.parse_order),
    "openOrders": ([wire.render_order(an_update(STOP))], wire.read_orders),
    "allOrders": ([wire.render_order(an_update(STOP))], wire.read_orders),
    "userTrades": ([wire.render_fill(a_fill(commission=D("0.1")))], lambda body: [wire.parse_fill(e) for e in body]),
    "account": (wire.render_account(SUMMARY, UPDATE.balances, []), parse_account),
    "positionMode": (wire.render_position_mode(True), wire.parse_position_mode),
    "multiAssetsMode": (wire.render_multi_assets_mode(False), wire.parse_multi_assets_mode),
    "leverageBracket": ([wire.render_brackets("BTCUSDT", DEFAULT_BRACKETS[:2])], wire.parse_brackets),
    "exchangeInfo": (wire.render_exchange_info([an_instrument()], NOW), wire.parse_instrument_list),
}


@dataclass(frozen=True)
class Case:
    """One change of one field."""

    message: str
    path: Path
    change: str

    def __str__(self) -> str:
        return f"{self.message}.{'.'.join(map(str, self.path))} {self.change}"

    def alter(self, name: str, body: Any) -> Any:
        if name != self.message:
            return body
        altered = deepcopy(body)
        for each in altered if isinstance(altered, list) else [altered]:
            _change(each, self.path, CHANGES[self.change])
        return altered


def _change(body: Any, path: Path, value: object) -> None:
    """Change a field, in every element of the lists on the way to it."""
    head, *rest = path
    if isinstance(body, list):
        for each in body:
            _change(each, path, value)
    elif rest and head in body:
        _change(body[head], tuple(rest), value)
    elif head in body:
        before = body.pop(head)
        if value is ABSENT:
            body[f"x{head}"] = before
        else:
            body[head] = value


def _fields(body: Any) -> Iterator[Path]:
    if isinstance(body, list):
        yield from dict.fromkeys(path for each in body if isinstance(each, dict) for path in _fields(each))
    elif isinstance(body, dict):
        for key, value in body.items():
            yield (key,)
            yield from ((key, *path) for path in _fields(value))


def _outcome(parse: Parse, body: object) -> str:
    try:
        return re.sub("problem=(['\"]).*?\\1", "", repr(parse(wire.read_json(json.dumps(body)))))
    except ProtocolError:
        return "not understood"


def _cases() -> Iterator[Case]:
    """The changes after which the bot reads something else, one for each different reading."""
    for message, (body, parse) in MESSAGES.items():
        usual = _outcome(parse, body)
        for path in _fields(body):
            seen = {usual}
            for change in CHANGES:
                case = Case(message, path, change)
                outcome = _outcome(parse, case.alter(message, body))
                if outcome not in seen and (message, path, change) not in MAY_BE_TRUE:
                    seen.add(outcome)
                    yield case


CASES = list(_cases())


class Story(WireSimulation):
    """An entry is signalled and filled, and its stop is cancelled by hand, while a message is wrong."""

    def open_position(self) -> None:
        self.signal()
        for entry in self.exchange.open_orders(OrderRole.ENTRY):
            self.exchange.trade_at(entry.price - 10, entry.quantity)
        self.catch_up()

    def announce_others(self) -> None:
        """What comes rarely: a leverage change, a margin call, the order book on request, and paid funding."""
        self.announce(LEVERAGE, MODES, MARGIN_CALL)
        for command in (FetchQuote("BTCUSDT"), FetchIncome(0)):
            self.feed(*self.gateway.execute(command))

    def signal(self) -> None:
        now = self.clock.now_ms()
        self.liquidate(a_liquidation(traded_at=now, event_at=now, received_at=now))

    def lose_stop(self) -> None:
        for stop in self.exchange.open_orders(OrderRole.STOP_LOSS):
            self.exchange.cancel_manually(stop.client_order_id)
        self.catch_up()

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick()

    @property
    def is_protected(self) -> bool:
        """Every position has one stop, two per cent from its entry."""
        held = {each.position_side for each in self.exchange.open_positions()}
        stops = self.exchange.open_orders(OrderRole.STOP_LOSS)
        is_right = all(D(48_900) < each.stop_price < D(49_100) for each in stops)
        return is_right and sorted(each.position_side for each in stops) == sorted(held)

    @property
    def is_active(self) -> bool:
        return self.harness.context.trading_status.state is TradingState.ACTIVE

    @property
    def alerts(self) -> list[str]:
        return [each["message"] for each in self.harness.journal("alert")]

    def count_verdicts(self) -> int:
        return len(self.harness.verdicts())

    def wait_until_protected(self) -> None:
        for _ in range(60):
            if self.is_protected:
                return
            self.tick()
        pytest.fail(f"unprotected: {self.alerts}")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_protected_and_judging_or_a_named_halt(case: Case) -> None:
    story = Story()
    story.wait(1)
    story.open_position()
    assert story.exchange.open_positions()
    assert story.is_protected
    story.alter = case.alter
    story.restart(1)
    story.feed(TaskDue(Task.REFRESH_INSTRUMENTS, story.clock.now_ms()))
    story.announce_others()
    story.wait(3)
    story.lose_stop()
    story.wait(5)
    judged = story.count_verdicts()
    story.open_position()
    story.wait(5)
    is_named = bool(story.alerts) and not story.is_active
    assert story.is_protected or is_named, story.alerts
    assert story.count_verdicts() > judged or any("was not understood" in each for each in story.alerts), story.alerts
    story.alter = lambda _, body: body
    story.wait_until_protected()
    story.close()
