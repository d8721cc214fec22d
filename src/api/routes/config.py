"""The settings: read and change them, their schema, and their history."""

from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from flask import Blueprint, Response, jsonify

from src.api import request_args
from src.api.bot_database import read_bot_state
from src.api.errors import ApiError, bad_parameter, not_found
from src.api.services import read_bot_database, services
from src.api.settings_service import FileChanged, SaveResult, SymbolExists, SymbolNotFound
from src.api.symbol_listings import read_listing
from src.database.queries.account import settings_versions
from src.database.queries.market import instruments
from src.domain.checks import CheckLevel
from src.settings.config import (
    SettingsError,
    new_symbol_defaults,
    parse_settings,
    settings_schema,
    settings_to_json,
)
from src.settings.symbol_checks import check_symbol

blueprint = Blueprint("config", __name__)


@blueprint.get("/api/config")
def show_settings() -> dict[str, Any]:
    """``{globals, symbols}`` with the values in the file; missing ones have their default."""
    try:
        return settings_to_json(services().settings.current())
    except SettingsError as error:
        raise settings_error_response(error, 503) from error


@blueprint.get("/api/config/in-force")
def show_settings_in_force() -> dict[str, Any]:
    """``{globals, symbols}`` of the running bot, and ``file``: version, settings, faults, differences, notices."""
    with read_bot_database() as connection:
        bot = read_bot_state(connection, services().clock.now_ms())
    try:
        return services().settings.in_force(bot.get("settings") if bot.is_alive else {})
    except SettingsError as error:
        raise settings_error_response(error, 503) from error


@blueprint.get("/api/config/defaults")
def show_defaults() -> dict[str, object]:
    """The default settings of a new symbol."""
    return new_symbol_defaults()


@blueprint.get("/api/config/schema")
def show_schema() -> dict[str, Any]:
    return settings_schema()


@blueprint.get("/api/config/history")
def list_history() -> Response:
    """The versions saved on the dashboard and those that the bot found edited by hand, newest first."""
    limit = request_args.limit_arg(20)
    with read_bot_database() as connection:
        edited = settings_versions(connection, limit)
    return jsonify(services().settings.history(limit, edited))


@blueprint.post("/api/config")
def save_settings() -> dict[str, Any]:
    """Save a complete ``{globals, symbols}`` document; with ``version`` only if the file is still that one."""
    document = dict(request_args.json_body())
    version = request_args.str_field(document, "version") if "version" in document else None
    document.pop("version", None)
    return _save_response(services().settings.replace(document, version), "Settings saved")


@blueprint.post("/api/config/check")
def check_unsaved_symbol() -> dict[str, Any]:
    """``{checks: [{level, message, remedy}]}``: what prevents or changes entries under a symbol's unsaved settings.

    Takes ``{symbol, config, globals}`` and saves nothing. Faulty settings have no checks: saving names their faults.
    """
    document, (symbol, config) = request_args.json_body(), _symbol_and_config()
    try:
        settings = parse_settings({"globals": document.get("globals"), "symbols": {symbol: config}})
    except SettingsError:
        return {"checks": []}
    with read_bot_database() as connection:
        listing = read_listing(connection, symbol, services().clock.now_ms())
    checks = () if listing is None else check_symbol(symbol, settings.symbols[symbol], settings.globals_, listing)
    levels = {CheckLevel.FAIL} if listing is None or listing.price is None else {CheckLevel.FAIL, CheckLevel.WARN}
    return {"checks": [asdict(each) for each in checks if each.level in levels]}


@blueprint.post("/api/config/symbol")
def save_symbol() -> dict[str, Any]:
    symbol, chosen = _symbol_and_config()
    if chosen is None:
        raise bad_parameter("config", "config is required: the symbol's settings.")
    return _save_response(services().settings.update_symbol(symbol, chosen), f"{symbol} saved")


@blueprint.post("/api/config/symbol/add")
def add_symbol() -> dict[str, Any]:
    symbol, chosen = _symbol_and_config()
    _require_listed(symbol)
    return _save_response(services().settings.add_symbol(symbol, chosen or {}), f"{symbol} added")


@blueprint.post("/api/config/symbol/remove")
def remove_symbol() -> dict[str, Any]:
    symbol, _ = _symbol_and_config()
    return _save_response(services().settings.remove_symbol(symbol), f"{symbol} removed")


@blueprint.errorhandler(SettingsError)
def handle_settings_error(error: SettingsError) -> Response:
    return settings_error_response(error, 400).response()


@blueprint.errorhandler(SymbolNotFound)
def handle_symbol_not_found(error: SymbolNotFound) -> Response:
    return not_found(f"{error} is not in the settings.").response()


@blueprint.errorhandler(FileChanged)
def handle_file_changed(_: FileChanged) -> Response:
    message = "settings.json has changed since this page read it. Nothing was saved: check the values and save again."
    return ApiError(409, "settings_changed", message).response()


@blueprint.errorhandler(SymbolExists)
def handle_symbol_exists(error: SymbolExists) -> Response:
    return ApiError(409, "symbol_known", f"{error} is already in the settings.").response()


@blueprint.errorhandler(OSError)
def handle_write_error(error: OSError) -> Response:
    message = f"The settings file cannot be written: {error.strerror}."
    return ApiError(503, "settings_not_writable", message).response()


def settings_error_response(error: SettingsError, status: int) -> ApiError:
    """An error response with the path and message of every invalid setting."""
    faults = [{"path": fault.path, "message": fault.message} for fault in error.details]
    count = "One setting is" if len(faults) == 1 else f"{len(faults)} settings are"
    return ApiError(status, "invalid_settings", f"{count} invalid; nothing was changed.", faults=faults)


def _symbol_and_config() -> tuple[str, Mapping[str, Any] | None]:
    document = request_args.json_body()
    chosen = document.get("config")
    if chosen is not None and not isinstance(chosen, dict):
        raise bad_parameter("config", "config must be a JSON object.")
    return request_args.str_field(document, "symbol").upper(), chosen


def _require_listed(symbol: str) -> None:
    """Raise 404 if the exchange does not list the symbol; any symbol passes before the list is known."""
    with read_bot_database() as connection:
        listed = [each.symbol for each in instruments(connection)]
    if listed and symbol not in listed:
        similar = [f"{symbol}USDT"] if f"{symbol}USDT" in listed else get_close_matches(symbol, listed, 1)
        suggestion = f" Did you mean {similar[0]}?" if similar else ""
        raise not_found(f'The exchange has no symbol "{symbol}".{suggestion}')


def _save_response(saved: SaveResult, done: str) -> dict[str, Any]:
    with read_bot_database() as connection:
        is_alive = read_bot_state(connection, services().clock.now_ms()).is_alive
    if not is_alive:
        note = " Applies when the bot starts."
    elif saved.after_restart:
        note = f" Restart the bot to apply: {', '.join(map(_title, saved.after_restart))}."
    else:
        note = ""
    return {
        "success": True,
        "message": f"{done}.{note}",
        "command_id": saved.command_id,
        "after_restart": saved.after_restart,
    }


def _title(path: str) -> str:
    """A setting's title, with its symbol: "Cleanup interval", "BTCUSDT Leverage"."""
    part, *symbol, name = path.split(".")
    return " ".join([*symbol, settings_schema()[part][name]["title"]])
