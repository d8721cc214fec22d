"""The dashboard page and the setup page with its API."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, render_template

from src import VERSION
from src.api import request_args
from src.api.bot_database import BotState, read_bot_state
from src.api.routes.config import settings_error_response
from src.api.services import read_bot_database, services
from src.api.setup_service import SetupService, parse_credentials
from src.database.queries.account import live_position_symbols
from src.domain.checks import all_passed
from src.domain.enums import mode_label
from src.settings.config import SettingsError

blueprint = Blueprint("pages", __name__)

API_WALLET_URL = "https://www.asterdex.com/en/api-wallet"


@blueprint.get("/")
def show_dashboard() -> str:
    """The dashboard with the token that its writes need; on the first run, the setup page."""
    if services().setup_service.is_first_run():
        return render_setup_page()
    return render_template("index.html", token=services().token, version=VERSION)


@blueprint.get("/setup")
def show_setup_page() -> str:
    return render_setup_page()


def render_setup_page() -> str:
    return render_template("setup.html", token=services().token, version=VERSION, wallet_page=API_WALLET_URL)


@blueprint.get("/api/setup")
def show_setup_status() -> dict[str, Any]:
    """Whether this is the first run, what key is stored, and whether the bot runs."""
    stored = _setup().stored()
    with read_bot_database() as connection:
        bot = read_bot_state(connection, services().clock.now_ms())
        open_positions = live_position_symbols(connection)
    environment = services().environment
    return {
        "first_run": _setup().is_first_run(),
        "network": environment.network,
        "live_mode": mode_label(environment.network, is_simulated=False),
        "stored": {
            "kind": {"v1": "api_key", "v3": "api_wallet"}.get(stored.api_version or ""),
            **{
                name: value
                for name, value in asdict(stored).items()
                if name in ("key_suffix", "user", "signer", "fault")
            },
            "env_override": sorted(environment.env_override_keys),
        },
        "open_positions": open_positions,
        "bot": _bot_status(bot),
    }


@blueprint.post("/api/setup/test")
def check_credentials() -> dict[str, Any]:
    """Test the credentials: one line per check."""
    checks = _setup().test(parse_credentials(request_args.json_body()))
    return {"passed": all_passed(checks), "checks": [asdict(check) for check in checks]}


@blueprint.post("/api/setup/save")
def save_credentials() -> dict[str, Any]:
    """Save the credentials and switch to live mode; the user confirms live trading separately."""
    credentials = parse_credentials(request_args.json_body())
    return _save_response("Key saved", _setup().enable_live(credentials, _live_positions()))


@blueprint.post("/api/setup/paper")
def choose_paper() -> dict[str, Any]:
    request_args.json_body()
    return _save_response("Paper trading selected", _setup().choose_paper(_live_positions()))


@blueprint.errorhandler(SettingsError)
def handle_settings_error(error: SettingsError) -> Any:
    return settings_error_response(error, 503).response()


def _setup() -> SetupService:
    return services().setup_service


def _live_positions() -> list[str]:
    with read_bot_database() as connection:
        return live_position_symbols(connection)


def _bot_status(bot: BotState) -> dict[str, Any]:
    reported = bot.get("bot")
    return {
        "alive": bot.is_alive,
        "supervised": bool(reported.get("is_supervised")),
        "started_at": reported.get("started_at"),
        "simulated": bot.is_simulated,
    }


def _save_response(done: str, command_id: int) -> dict[str, Any]:
    with read_bot_database() as connection:
        bot = _bot_status(read_bot_state(connection, services().clock.now_ms()))
    is_restarting = bot["supervised"] if bot["alive"] else services().environment.is_supervised
    if is_restarting:
        then = "The bot is restarting."
    elif bot["alive"]:
        then = "Restart the bot to apply it; no launcher is running that would do so."
    else:
        then = "Start the bot: python launcher.py"
    return {"success": True, "message": f"{done}. {then}", "command_id": command_id, "is_restarting": is_restarting}
