"""The health of the bot, its connections and its database, for the status bar."""

import sqlite3
from decimal import Decimal
from typing import Any

from flask import Blueprint
from sqlalchemy import Connection

from src import VERSION
from src.api import schemas
from src.api.bot_database import BotState, read_bot_state
from src.api.pnl_tracker import PnlTracker
from src.api.services import read_bot_database, services
from src.database.queries.account import HEARTBEAT_TIMEOUT_MS, highest_equity, position_questions
from src.domain.clock import DAY_MS
from src.domain.enums import Network, mode_label
from src.settings.config import SettingsError

blueprint = Blueprint("health", __name__)

_DRAWDOWN_DAYS = 30


@blueprint.get("/api/health")
def show_health() -> dict[str, Any]:
    now_ms = services().clock.now_ms()
    settings, is_paper = _settings()
    with read_bot_database() as connection:
        bot = read_bot_state(connection, now_ms)
        is_simulated = is_paper if bot.is_simulated is None else bot.is_simulated
        database = "healthy" if services().bot_database.exists else "missing"
        is_market_stream_up = bot.get("market_stream").get("state") == "up"  # without it the bot cannot trade
        is_healthy = bot.is_alive and is_market_stream_up and database == settings == "healthy"
        return {
            "status": "healthy" if is_healthy else "degraded",
            "database": database,
            "settings": settings,
            "timestamp": now_ms,
            "version": VERSION,
            "sqlite_version": sqlite3.sqlite_version,
            **_trading_status(bot, is_simulated=is_simulated),
            **_connections(bot),
            **_account_figures(connection, bot, is_simulated=is_simulated),
        }


def _settings() -> tuple[str, bool]:
    """The state of the settings file (healthy, faulty or missing), and whether it sets paper mode."""
    try:
        settings = services().settings.current()
    except SettingsError:
        return ("faulty" if services().environment.settings_file.exists() else "missing"), True
    return "healthy", settings.globals_.simulate_only


def _trading_status(bot: BotState, *, is_simulated: bool) -> dict[str, Any]:
    reported, trading, operator = bot.get("bot"), bot.get("trading"), bot.get("operator_state")
    is_paused = bool(operator.get("paused"))
    is_halted = bool(operator.get("halted"))
    is_blocked = (
        bool(trading.get("needs_resume")) and not is_paused
    )  # by the HALT file or a lock, which resume releases too
    network = Network(reported.get("network", services().environment.network))
    return {
        "network": network,
        "mode": mode_label(network, is_simulated=is_simulated),
        "trading_state": trading.get("state"),
        "trading_state_reason": trading.get("reason") or None,
        "awaits_consent": bot.get("live_consent_pending").get("fingerprint"),
        "position_questions": [schemas.position_question(question) for question in position_questions(bot.values)],
        "operator": {"paused": is_paused, "halted": is_halted or is_blocked},
        "bot": {
            "alive": bot.is_alive,
            "heartbeat_at": reported.get("heartbeat_at"),
            "age_ms": bot.heartbeat_age_ms,
            "timeout_ms": HEARTBEAT_TIMEOUT_MS,
            "started_at": reported.get("started_at"),
            "pid": reported.get("pid"),
            "version": reported.get("version"),
        },
    }


def _connections(bot: BotState) -> dict[str, Any]:
    limits = bot.get("rate_limits")
    return {
        "market_stream": bot.stream_status("market_stream"),
        "user_stream": bot.stream_status("user_stream"),
        "api_weight": {
            "used": limits.get("weight_used"),
            "limit": limits.get("weight_limit"),
            "blocked_until": limits.get("blocked_until") or None,
        },
        "event_queue": bot.get("event_queue") or None,
        "unreadable_messages": bot.get("unreadable_messages") or None,
        "clock_offset_ms": bot.get("clock").get("offset_ms"),
        "streams_open": services().event_hub.subscriber_count,
    }


def _account_figures(connection: Connection, bot: BotState, *, is_simulated: bool) -> dict[str, Any]:
    exposure = bot.get("exposure")
    return {
        "exposure": {name: exposure.get(name) for name in ("margin", "cap", "notional")},
        "today": PnlTracker(connection, is_simulated=is_simulated).today(bot.now_ms),
        "drawdown_pct": _drawdown_pct(connection, bot),
    }


def _drawdown_pct(connection: Connection, bot: BotState) -> float | None:
    """The drawdown from the highest equity of the last 30 days, in percent."""
    equity = bot.get("account").get("margin_balance")
    without_transfers = highest_equity(connection, bot.now_ms - _DRAWDOWN_DAYS * DAY_MS)
    if equity is None or without_transfers is None:
        return None
    highest = without_transfers + float(bot.get("account").get("transfers", 0))
    if highest <= 0:
        return None
    return round(max(0.0, 100 * (1 - float(Decimal(equity)) / highest)), 2)
