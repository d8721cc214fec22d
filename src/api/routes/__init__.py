"""The dashboard's routes, one blueprint per module."""

from flask import Blueprint

from src.api.routes import (
    account,
    config,
    control,
    health,
    imports,
    journal,
    market,
    pages,
    performance,
    trades,
)

BLUEPRINTS: tuple[Blueprint, ...] = (
    account.blueprint,
    config.blueprint,
    control.blueprint,
    health.blueprint,
    imports.blueprint,
    journal.blueprint,
    market.blueprint,
    pages.blueprint,
    performance.blueprint,
    trades.blueprint,
)
