"""Every resource of the dashboard, one file each."""

from flask import Blueprint

from src.api.routes.account import account
from src.api.routes.config import config
from src.api.routes.control import control
from src.api.routes.health import health
from src.api.routes.journal import journal
from src.api.routes.liquidations import liquidations
from src.api.routes.market import market
from src.api.routes.orders import orders
from src.api.routes.page import page
from src.api.routes.pnl import pnl
from src.api.routes.positions import positions
from src.api.routes.stats import stats
from src.api.routes.trades import trades

ALL: tuple[Blueprint, ...] = (
    account,
    config,
    control,
    health,
    journal,
    liquidations,
    market,
    orders,
    page,
    pnl,
    positions,
    stats,
    trades,
)
