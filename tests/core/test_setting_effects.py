"""Each setting, changed alone, changes what the bot does; docs/settings.md lists the effects."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from src.bot.bot import Bot, RunConfig
from src.core.account.account_setup import plan_account_setup
from src.core.command_queue import BatchRules, next_commands
from src.core.entries.entry_context import EntryContext, EntryPlan
from src.core.entries.risk import check_risk
from src.core.entries.strategy import check_signal, plan_entry
from src.core.limits.loss_limits import TradingResults, required_lock
from src.core.order_cleanup import OrderCleanup, expired_entries
from src.core.scheduled_tasks import history_cutoffs
from src.database.open_database import open_database
from src.domain.api_wallet import ApiWallet
from src.domain.clock import DAY_MS, ManualClock
from src.domain.commands import CancelOrder
from src.domain.decisions import Skip
from src.domain.enums import MarginType, OrderRole, OrderStatus, PositionSide, Side
from src.domain.events import PositionsChecked, Task
from src.exchange.limits import WEIGHT_HEADER, RateLimits
from src.settings.config import Settings, load_environment, parse_settings, save_settings, settings_schema
from src.settings.exits import protection_prices
from tests.builders import (
    NOW,
    D,
    a_liquidation,
    a_mark,
    a_position,
    a_quote,
    a_report,
    a_snapshot,
    an_instrument,
    an_order,
    settings_document,
)
from tests.core.entries.test_risk import a_plan, an_exposure
from tests.core.entries.test_strategy import an_entry_context
from tests.core.harness import Harness

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
SHORT_LIQUIDATED = {"liquidation": a_liquidation(side=Side.BUY), "entry_side": Side.SELL}
FAR_MARK, WIDE_QUOTE = a_mark(51_500), a_quote(D(49_950), D(50_050))


def entry_context(settings: Settings, **facts: Any) -> EntryContext:
    side = facts.get("entry_side", Side.BUY)
    symbol = settings.symbols["BTCUSDT"]
    own = {"settings": settings.globals_, "symbol_settings": symbol, "threshold": symbol.threshold_for(side)}
    return an_entry_context(**{**own, **facts})


def entry(**facts: Any) -> Callable[[Settings, Path], object]:
    """Observes the gate that skips a liquidation, or the entry that it leads to."""

    def observe(settings: Settings, _: Path) -> object:
        context = entry_context(settings, **facts)
        found = check_signal(context) or plan_entry(context)
        if isinstance(found, EntryPlan):
            return found.side, found.position_side, found.price, found.quantity, found.time_in_force
        return found.gate

    return observe


def risk(**exposure: Any) -> Callable[[Settings, Path], object]:
    """Observes whether the limits allow an entry of 50 USDT margin."""

    def observe(settings: Settings, _: Path) -> object:
        found = check_risk(a_plan(), entry_context(settings), an_exposure(**exposure))
        return found.gate if isinstance(found, Skip) else None

    return observe


def exits(settings: Settings, _: Path) -> object:
    return protection_prices(a_position(), settings.symbols["BTCUSDT"], an_instrument())


def lock(settings: Settings, _: Path) -> object:
    return required_lock(TradingResults(D(-60), 3, D(900), D(1000)), settings.globals_, NOW)


def account_commands(settings: Settings, _: Path) -> object:
    reports = tuple(
        a_report(position_side=side, leverage=20, margin_type=MarginType.CROSSED)
        for side in (PositionSide.LONG, PositionSide.SHORT)
    )
    return plan_account_setup(settings, a_snapshot(positions=reports)).commands


def expired(age_ms: int) -> Callable[[Settings, Path], object]:
    """Observes whether an unfilled entry of this age is cancelled."""

    def observe(settings: Settings, _: Path) -> object:
        order = an_order(status=OrderStatus.NEW)
        return bool(expired_entries([order], settings.globals_, order.created_at + age_ms))

    return observe


def cleanup_interval(settings: Settings, _: Path) -> object:
    seconds = settings.globals_.order_cleanup_interval_seconds
    scheduled = OrderCleanup(lambda _: None, ManualClock(NOW), seconds)._scheduler
    return scheduled.get_job(Task.CLEANUP.value).trigger.interval


def entry_budget(settings: Settings, _: Path) -> object:
    limits = RateLimits(ManualClock(NOW), reserve_pct=settings.globals_.rate_limit_buffer_pct)
    limits.update_from_headers({WEIGHT_HEADER: str(limits.weight_limit // 2)})
    return limits.has_entry_budget


def requests_for_two_cancels(settings: Settings, _: Path) -> object:
    rules = BatchRules(settings.globals_.batch_orders)
    return len(next_commands([CancelOrder("BTCUSDT", name) for name in ("lh-1-e", "lh-2-e")], (), rules))


def exchange_of_a_bot(settings: Settings, path: Path) -> object:
    environment = load_environment(path.parent, {})
    database = open_database(path, NOW)
    bot = Bot(RunConfig(environment, settings, ManualClock(NOW), threading.Event(), protect_only=False), database)
    database.engine.dispose()
    return type(bot._exchange({}))


def entries_with_a_key_that_may_withdraw(settings: Settings, path: Path) -> object:
    harness = Harness(path, settings).connect()
    harness.snapshot(api_wallet=ApiWallet(NOW + 60 * DAY_MS, True, ""))
    return harness.context.trading_status.state


def cutoffs(settings: Settings, _: Path) -> object:
    return history_cutoffs(settings.globals_, NOW)


def database_file(settings: Settings, path: Path) -> object:
    save_settings(path.parent / "settings.json", settings)
    return load_environment(path.parent, {}).database


def window(*liquidations: tuple[int, Side]) -> Callable[[Settings, Path], object]:
    """Observes the verdicts of liquidations of 30,000 USDT, each after a pause in milliseconds."""

    def observe(settings: Settings, path: Path) -> object:
        harness = Harness(path, settings).connect()
        for pause_ms, side in liquidations:
            harness.wait(pause_ms)
            harness.liquidate(30_000, side=side)
        harness.close()
        return harness.verdicts()

    return observe


def protective_orders(settings: Settings, path: Path) -> object:
    harness = Harness(path, settings).connect()
    harness.open_position()
    harness.close()
    return [(each.working_type, each.price_protect) for each in harness.submitted(OrderRole.STOP_LOSS)]


def stops_near_liquidation(settings: Settings, path: Path) -> object:
    harness = Harness(path, settings).connect()
    harness.open_position()
    harness.clock.advance(6_000)
    reports = harness.report(liquidation_price=D(49_500)), a_report(position_side=PositionSide.SHORT)
    harness.feed(PositionsChecked(reports, harness.now))
    harness.close()
    return [each.stop_price for each in harness.submitted(OrderRole.STOP_LOSS)]


def orders_for_an_external_position(settings: Settings, path: Path) -> object:
    harness = Harness(path, settings).connect()
    harness.clock.advance(1000)
    harness.feed(harness.account_update(a_position()))
    harness.wait(6000)
    harness.close()
    return len(harness.submitted(OrderRole.STOP_LOSS))


@dataclass(frozen=True)
class Effect:
    """What a setting changes: ``observe`` differs between the usual value and ``value``."""

    value: object
    observe: Callable[[Settings, Path], object]
    sentence: str
    given: dict[str, object] = field(default_factory=dict)
    """Other settings that both runs have."""


EFFECTS: dict[str, dict[str, Effect]] = {
    "globals": {
        "simulate_only": Effect(True, exchange_of_a_bot, "orders go to the exchange, or to the paper account"),
        "allow_withdraw_key": Effect(
            True, entries_with_a_key_that_may_withdraw, "whether entries are made with an API wallet that may withdraw"
        ),
        "volume_window_sec": Effect(
            20,
            window((0, Side.SELL), (25_000, Side.SELL)),
            "how old a liquidation may be to count toward the threshold",
        ),
        "use_usdt_volume": Effect(
            False, window((0, Side.SELL), (0, Side.SELL)), "whether the threshold is compared with USDT or with tokens"
        ),
        "volume_scope": Effect(
            "BOTH", window((0, Side.SELL), (0, Side.BUY)), "whether the other side's liquidations count too"
        ),
        "cooldown_sec": Effect(
            5, entry(last_entry_at=NOW - 10_000), "when the next entry of a symbol and side is possible"
        ),
        "max_event_age_ms": Effect(1000, entry(now_ms=NOW + 3000), "up to which age a liquidation leads to an entry"),
        "max_price_deviation_pct": Effect(
            5, entry(mark=FAR_MARK), "up to which distance from the mark price entries are made"
        ),
        "time_in_force": Effect(
            "IOC", entry(quote=WIDE_QUOTE), "on which side of the book the entry is priced", {"max_slippage_pct": 1}
        ),
        "max_slippage_pct": Effect(
            1, entry(quote=WIDE_QUOTE), "how far an IOC or FOK entry may be from its own side", {"time_in_force": "IOC"}
        ),
        "order_ttl_seconds": Effect(60, expired(40_000), "when an unfilled entry is cancelled"),
        "stale_limit_order_minutes": Effect(
            "0.1", expired(10_000), "when an unfilled entry is cancelled, if that is sooner"
        ),
        "order_cleanup_interval_seconds": Effect(
            60, cleanup_interval, "how often left-over protective orders are looked for"
        ),
        "batch_orders": Effect(True, requests_for_two_cancels, "whether orders that are due together share a request"),
        "max_open_orders_per_symbol": Effect(3, risk(open_entries=2), "how many unfilled entries allow another one"),
        "on_liquidation_near": Effect(
            "ALERT", stops_near_liquidation, "whether the stop moves before the liquidation price"
        ),
        "max_total_exposure_usdt": Effect(
            600, risk(total_margin=D(451)), "how much margin all symbols together may use"
        ),
        "max_raise_factor": Effect(
            6, entry(), "how far a small entry is raised to the exchange's minimum", {"trade_value_usdt": 1}
        ),
        "max_entries_per_minute": Effect(2, risk(entries_last_minute=2), "how many entries a minute allow another one"),
        "max_daily_loss_usdt": Effect(50, lock, "after which loss of the day entries are locked"),
        "max_consecutive_losses": Effect(3, lock, "after how many losing exits entries are locked"),
        "max_drawdown_pct": Effect(10, lock, "at which distance from the peak of the equity entries are locked"),
        "loss_lock_minutes": Effect(600, lock, "how long a lock lasts at least", {"max_drawdown_pct": 10}),
        "rate_limit_buffer_pct": Effect(60, entry_budget, "up to which use of the request limit entries are made"),
        "hedge_mode": Effect(False, entry(), "whether an entry opens LONG or SHORT, or the one position BOTH"),
        "adopt_foreign_positions": Effect(
            True, orders_for_an_external_position, "whether an external position gets a stop loss"
        ),
        "multi_assets_mode": Effect(
            True,
            account_commands,
            "which mode the bot sets at the exchange, and which wallet counts",
            {"margin_type": "CROSSED"},
        ),
        "set_leverage": Effect(False, account_commands, "whether the bot sets the leverage at the exchange"),
        "set_margin_type": Effect(False, account_commands, "whether the bot sets the margin type at the exchange"),
        "keep_liquidations_days": Effect(60, cutoffs, "how long liquidations and their verdicts are kept"),
        "keep_journal_days": Effect(60, cutoffs, "how long entries of the log are kept"),
        "keep_equity_days": Effect(365, cutoffs, "how long points of the equity curve are kept"),
        "db_path": Effect("data/other.db", database_file, "where the database is"),
    },
    "symbols": {
        "volume_threshold_long": Effect(70_000, entry(), "the volume from which a BUY is made"),
        "volume_threshold_short": Effect(70_000, entry(**SHORT_LIQUIDATED), "the volume from which a SELL is made"),
        "volume_threshold": Effect(
            70_000, entry(), "the volume from which an entry is made, unless its side has its own"
        ),
        "leverage": Effect(20, entry(), "the size of an entry, and its liquidation price"),
        "margin_type": Effect(
            "CROSSED",
            account_commands,
            "the margin type at the exchange, and what backs the position",
            {"leverage": 20},
        ),
        "trade_side": Effect("SELL", entry(), "which liquidations lead to an entry"),
        "trade_value_usdt": Effect(100, entry(), "the size of an entry"),
        "price_offset_pct": Effect(
            1, entry(quote=None), "whether, and at which price, an entry is made without an order book"
        ),
        "max_position_usdt": Effect(300, risk(symbol_margin=D(151)), "how much margin a symbol may use"),
        "take_profit_enabled": Effect(False, exits, "whether a take profit is placed"),
        "take_profit_pct": Effect(3, exits, "the price of the take profit"),
        "stop_loss_enabled": Effect(False, exits, "whether a stop loss is placed"),
        "stop_loss_pct": Effect(3, exits, "the price of the stop loss"),
        "working_type": Effect("MARK_PRICE", protective_orders, "which price triggers the exits"),
        "price_protect": Effect(
            True, protective_orders, "whether the exchange delays triggers while the prices differ"
        ),
    },
}
KEYS = [(part, name) for part, fields in settings_schema().items() for name in fields]


def with_settings(part: str, name: str, *changes: dict[str, object]) -> Settings:
    """The usual settings with changes, each to the part that has the setting."""
    document = settings_document()
    for change in changes:
        for key, value in change.items():
            is_global = part == "globals" if key == name else key in EFFECTS["globals"]
            (document["globals"] if is_global else document["symbols"]["BTCUSDT"])[key] = value
    return parse_settings(document)


@pytest.mark.parametrize(("part", "name"), KEYS, ids=[name for _, name in KEYS])
def test_setting_alone_changes_what_the_bot_does(part: str, name: str, tmp_path: Path) -> None:
    assert name in EFFECTS[part], f"{name} needs a line in EFFECTS that shows its effect"
    effect, seen = EFFECTS[part][name], []
    for number, change in enumerate(({}, {name: effect.value})):
        home = tmp_path / str(number)
        (home / "data").mkdir(parents=True)
        seen.append(effect.observe(with_settings(part, name, effect.given, change), home / "bot.db"))
    assert seen[0] != seen[1]


def rows() -> Iterator[str]:
    for effects in EFFECTS.values():
        for name, effect in effects.items():
            yield f"| `{name}` changes | {effect.sentence} | `{effect.observe.__qualname__.split('.')[0]}` |"


def test_page_lists_every_effect() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [row for row in rows() if row not in lines] == []
    assert sum("` changes |" in line for line in lines) == len(KEYS)
