"""What was imported from other bots. It is shown apart and counts in no result of the bot."""

from typing import Any

from flask import Blueprint

from src.api import request_args
from src.api.services import services
from src.database.imported import read_imported

blueprint = Blueprint("imports", __name__)


@blueprint.get("/api/imports")
def show_imports() -> dict[str, Any]:
    """The last imports with their notes, counts and times by program, and the newest imported trades."""
    found = read_imported(services().environment.database, request_args.limit_arg(50))
    return {
        "imports": found.imports,
        "liquidations": found.liquidations,
        "trades": found.trades,
        "newest_trades": found.newest_trades,
    }
