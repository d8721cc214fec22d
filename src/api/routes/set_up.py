"""The guided set-up: what is stored, a test, a save. What is typed there comes back in no answer."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, render_template

from src import VERSION
from src.api import parameters
from src.api.bot_state import BotState, mode_word, read_bot_state
from src.api.dashboard import dashboard, reading
from src.api.routes.config import invalid_settings
from src.api.set_up import SetUp, credentials_in
from src.database.queries.account import held_for_real
from src.domain.checks import is_passable
from src.utils.config import SettingsError

blueprint = Blueprint("set_up", __name__)

WALLET_PAGE = "https://www.asterdex.com/en/api-wallet"


@blueprint.get("/setup")
def show_page() -> str:
    return set_up_page()


def set_up_page() -> str:
    return render_template("set_up.html", token=dashboard().token, version=VERSION, wallet_page=WALLET_PAGE)


@blueprint.get("/api/setup")
def show_stored() -> dict[str, Any]:
    """Whether something was chosen yet, what is stored, and how the bot is."""
    stored = _set_up().stored()
    with reading() as connection:
        bot = read_bot_state(connection, dashboard().clock.now_ms())
        held = held_for_real(connection)
    environment = dashboard().environment
    return {
        "first_run": _set_up().is_first_run(),
        "network": environment.network,
        "live_word": mode_word(environment.network, is_simulated=False),
        "stored": {
            "kind": {"v1": "api_key", "v3": "api_wallet"}.get(stored.scheme or ""),
            **{name: value for name, value in asdict(stored).items() if name in ("ending", "user", "signer", "fault")},
            "outside": sorted(environment.keys_outside),
        },
        "held": held,
        "bot": _bot(bot),
    }


@blueprint.post("/api/setup/test")
def test() -> dict[str, Any]:
    """One line for each thing that was looked at."""
    checks = _set_up().test(credentials_in(parameters.body()))
    return {"passed": is_passable(checks), "checks": [asdict(check) for check in checks]}


@blueprint.post("/api/setup/save")
def save() -> dict[str, Any]:
    """Real orders with these credentials; they are confirmed separately before any is made."""
    credentials = credentials_in(parameters.body())
    return _answer("The key is saved", _set_up().go_live(credentials, _held()))


@blueprint.post("/api/setup/paper")
def choose_paper() -> dict[str, Any]:
    parameters.body()
    return _answer("Paper trading is chosen", _set_up().stay_on_paper(_held()))


@blueprint.errorhandler(SettingsError)
def refuse(error: SettingsError) -> Any:
    return invalid_settings(error, 503).response()


def _set_up() -> SetUp:
    return dashboard().set_up


def _held() -> list[str]:
    with reading() as connection:
        return held_for_real(connection)


def _bot(bot: BotState) -> dict[str, Any]:
    speaks = bot.of("bot")
    return {
        "alive": bot.is_alive,
        "supervised": bool(speaks.get("is_supervised")),
        "started_at": speaks.get("started_at"),
        "simulated": bot.is_simulated,
    }


def _answer(done: str, command_id: int) -> dict[str, Any]:
    with reading() as connection:
        bot = _bot(read_bot_state(connection, dashboard().clock.now_ms()))
    is_coming = bot["supervised"] if bot["alive"] else dashboard().environment.is_supervised
    if is_coming:
        then = "the bot is starting with it"
    elif bot["alive"]:
        then = "the bot takes it up once you stop it and start it again, for no launcher runs here"
    else:
        then = "start the bot: python launcher.py"
    return {"success": True, "message": f"{done}; {then}.", "command_id": command_id, "is_coming": is_coming}
