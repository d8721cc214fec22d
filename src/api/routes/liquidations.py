"""The liquidation feed, and why each was traded or not."""

from flask import Blueprint, Response, jsonify

from src.api import parameters
from src.api.dashboard import dashboard, reading
from src.database.queries import market

blueprint = Blueprint("liquidations", __name__)


@blueprint.get("/api/liquidations")
def list_liquidations() -> Response:
    since = parameters.since(dashboard().clock.now_ms(), default_hours=24)
    with reading() as connection:
        return jsonify(market.liquidations(connection, since, parameters.limit(), parameters.symbol()))


@blueprint.get("/api/decisions")
def list_decisions() -> Response:
    only_entries = parameters.flag("only_entries")
    with reading() as connection:
        rows = market.decisions(connection, parameters.limit(), parameters.symbol(), only_entries=only_entries)
    return jsonify(rows)
