"""The settings: read, described, changed, and changed back."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify

from src.api import parameters
from src.api.bot_state import read_bot_state
from src.api.dashboard import dashboard, reading
from src.api.errors import ApiError, bad_parameter, not_found
from src.api.settings_editor import Saved, SymbolKnown, SymbolUnknown, plain_document
from src.database.queries.market import instruments
from src.utils.config import SettingsError, settings_schema, starting_symbol

blueprint = Blueprint("config", __name__)


@blueprint.get("/api/config")
def show_settings() -> dict[str, Any]:
    """``{globals, symbols}``: the values that were chosen; what is left out has its default."""
    try:
        return plain_document(dashboard().settings.current())
    except SettingsError as error:
        raise invalid_settings(error, 503) from error


@blueprint.get("/api/config/defaults")
def show_defaults() -> dict[str, object]:
    """A complete symbol to start from."""
    return starting_symbol()


@blueprint.get("/api/config/schema")
def show_schema() -> dict[str, Any]:
    return settings_schema()


@blueprint.get("/api/config/history")
def list_history() -> Response:
    return jsonify(dashboard().settings.history(parameters.limit(20)))


@blueprint.post("/api/config")
def save_settings() -> dict[str, Any]:
    """Put a whole ``{globals, symbols}`` in force."""
    return _answer(dashboard().settings.replace(parameters.body()), "The settings were saved")


@blueprint.post("/api/config/symbol")
def save_symbol() -> dict[str, Any]:
    symbol, chosen = _symbol_and_config()
    if chosen is None:
        raise bad_parameter("config", "config is missing: it must be the symbol's settings.")
    return _answer(dashboard().settings.change_symbol(symbol, chosen), f"{symbol} was saved")


@blueprint.post("/api/config/symbol/add")
def add_symbol() -> dict[str, Any]:
    symbol, chosen = _symbol_and_config()
    _require_listed(symbol)
    return _answer(dashboard().settings.add_symbol(symbol, chosen or {}), f"{symbol} was added")


@blueprint.post("/api/config/symbol/remove")
def remove_symbol() -> dict[str, Any]:
    symbol, _ = _symbol_and_config()
    return _answer(dashboard().settings.remove_symbol(symbol), f"{symbol} was removed")


@blueprint.errorhandler(SettingsError)
def refuse(error: SettingsError) -> Response:
    return invalid_settings(error, 400).response()


@blueprint.errorhandler(SymbolUnknown)
def refuse_unknown(error: SymbolUnknown) -> Response:
    return not_found(f"{error} is not in the settings.").response()


@blueprint.errorhandler(SymbolKnown)
def refuse_known(error: SymbolKnown) -> Response:
    return ApiError(409, "symbol_known", f"{error} is in the settings already.").response()


@blueprint.errorhandler(OSError)
def refuse_unwritable(error: OSError) -> Response:
    message = f"The settings file cannot be written: {error.strerror}."
    return ApiError(503, "settings_not_writable", message).response()


def invalid_settings(error: SettingsError, status: int) -> ApiError:
    """Every fault with its path."""
    faults = [{"path": fault.path, "message": fault.message} for fault in error.details]
    count = "One setting is" if len(faults) == 1 else f"{len(faults)} settings are"
    return ApiError(status, "invalid_settings", f"{count} not valid: nothing was changed.", faults=faults)


def _symbol_and_config() -> tuple[str, Mapping[str, Any] | None]:
    document = parameters.body()
    chosen = document.get("config")
    if chosen is not None and not isinstance(chosen, dict):
        raise bad_parameter("config", "config must be an object in braces.")
    return parameters.text_in(document, "symbol").upper(), chosen


def _require_listed(symbol: str) -> None:
    """A symbol the exchange does not list can never trade; nothing is said before the list is known."""
    with reading() as connection:
        listed = {each["symbol"] for each in instruments(connection)}
    if listed and symbol not in listed:
        raise not_found(f"The exchange lists no {symbol}.")


def _answer(saved: Saved, done: str) -> dict[str, Any]:
    with reading() as connection:
        is_alive = read_bot_state(connection, dashboard().clock.now_ms()).is_alive
    then = "the bot was asked to apply it" if is_alive else "the bot applies it when it starts"
    waiting = f"; after a restart: {', '.join(saved.after_restart)}" if is_alive and saved.after_restart else ""
    return {
        "success": True,
        "message": f"{done}; {then}{waiting}.",
        "command_id": saved.command_id,
        "after_restart": saved.after_restart,
    }
