"""Every resource of the dashboard, one file each."""

from flask import Blueprint

from src.api.routes import (
    account,
    config,
    control,
    health,
    journal,
    liquidations,
    live,
    market,
    orders,
    page,
    pnl,
    positions,
    set_up,
    stats,
    trades,
)

BLUEPRINTS: tuple[Blueprint, ...] = (
    account.blueprint,
    config.blueprint,
    control.blueprint,
    health.blueprint,
    journal.blueprint,
    liquidations.blueprint,
    live.blueprint,
    market.blueprint,
    orders.blueprint,
    page.blueprint,
    pnl.blueprint,
    positions.blueprint,
    set_up.blueprint,
    stats.blueprint,
    trades.blueprint,
)
