"""The dashboard process: builds the Flask app of the page and its API, and serves it on this machine."""

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # replaces the script's own folder, from which src cannot be imported

from src.launch.errors import LaunchError, required_packages  # noqa: E402 - needs the path above

with required_packages(of_program=__name__ == "__main__"):
    from flask import Flask
    from sqlalchemy.exc import SQLAlchemyError

    from src.api.bot_database import BotDatabase, Commands, JournalTail, UnusableDatabase
    from src.api.errors import ApiError, register_errors
    from src.api.market_cache import MarketCache
    from src.api.routes import BLUEPRINTS
    from src.api.security import RequestGuard, allowed_hosts, install_guard, load_token, require_loopback
    from src.api.serialization import DecimalJSONProvider, hide_home
    from src.api.services import EXTENSION, Services
    from src.api.settings_service import SettingsService
    from src.api.setup_service import SetupService
    from src.api.sse import EventHub
    from src.api.web_server import WebServer
    from src.credentials.credentials import CREDENTIAL_NAMES
    from src.database.control import open_control
    from src.domain.clock import Clock, SystemClock
    from src.domain.errors import ConfigError
    from src.exchange.aster import AsterMarket
    from src.exchange.client import AsterClient
    from src.exchange.credential_check import CredentialChecker
    from src.exchange.limits import RateLimits
    from src.exchange.port import CredentialCheck, MarketReader
    from src.launch.home import Address, require_free_port
    from src.launch.shutdown import EXIT_CONFIG, EXIT_CRASH, EXIT_STOPPED, stop_on_signals
    from src.settings.config import HOME_HELP, Environment, find_home, load_environment
    from src.utils.log import set_up_logging

log = logging.getLogger("hunter.dashboard")

_SCHEMA_MISMATCH = ("no such table", "no such column")
_STOP_SECONDS = 1.0


def create_app(
    environment: Environment,
    *,
    clock: Clock | None = None,
    market: MarketReader | None = None,
    checker: CredentialCheck | None = None,
) -> Flask:
    """The Flask app of one home directory. ``market`` provides candles and symbols, ``checker`` tests the keys typed
    on the setup page; requests that need a missing one get status 503.

    Opens ``control.db`` and the token file; the bot's database may be missing. Raises ConfigError.
    """
    app = Flask("hunter", template_folder=ROOT / "templates", static_folder=ROOT / "static")
    hide = hide_home(environment.home)
    app.json = DecimalJSONProvider(app, hide)
    app.url_map.merge_slashes = False  # an unknown path is a 404, never a redirect
    services = _compose(environment, clock or SystemClock(), market, checker, hide)
    app.extensions[EXTENSION] = services
    register_errors(app)
    app.register_error_handler(SQLAlchemyError, _handle_database_error)
    install_guard(app, RequestGuard(services.token, allowed_hosts(environment.host, environment.port)))
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def _compose(
    environment: Environment,
    clock: Clock,
    market: MarketReader | None,
    checker: CredentialCheck | None,
    hide: Callable[[str], str],
) -> Services:
    commands = Commands(open_control(environment.control_database), clock)
    bot_database = BotDatabase(environment.database)
    settings = SettingsService(environment.settings_file, commands)
    return Services(
        environment=environment,
        clock=clock,
        bot_database=bot_database,
        commands=commands,
        settings=settings,
        market_cache=MarketCache(market, clock),
        event_hub=EventHub(JournalTail(environment.database, bot_database), clock),
        setup_service=SetupService(environment, settings, commands, checker, threading.Lock()),
        token=load_token(environment.control_database.parent),
        hide_home=hide,
    )


def _handle_database_error(error: SQLAlchemyError) -> Any:
    log.warning("database cannot be read: %s", getattr(error, "orig", error))
    if isinstance(error, UnusableDatabase):
        return ApiError(503, "database_of_another_program", str(error)).response()
    message = "The database cannot be read at the moment."
    if any(phrase in str(error) for phrase in _SCHEMA_MISMATCH):
        message = "The database was made by another version of this program. Update the program and restart it."
    return ApiError(503, "database_unreadable", message).response()


def event_hub_of(app: Flask) -> EventHub:
    services: Services = app.extensions[EXTENSION]
    return services.event_hub


def create_web_server(app: Flask, environment: Environment) -> WebServer:
    """A server bound to its addresses. Raises ConfigError if one of them is not available."""
    require_loopback(environment.host)
    address = Address(environment.host, environment.port)
    try:
        return WebServer(app, address.listen_hosts, environment.port)
    except (OSError, ValueError) as error:  # ValueError: a host name that nothing resolves
        raise ConfigError(_bind_error_message(address, error)) from error


def _bind_error_message(address: Address, error: OSError | ValueError) -> str:
    try:
        require_free_port(address)
    except LaunchError as found:  # names the address and the remedy
        return str(found)
    return f"The dashboard cannot listen on port {address.port} on {address.host}: {error}."


def serve(app: Flask, environment: Environment, stop: threading.Event) -> int:
    """Serve until ``stop`` is set (returns 0) or an essential thread has died (returns 1)."""
    server = create_web_server(app, environment)
    event_hub = event_hub_of(app)
    event_hub.start()
    worker = threading.Thread(target=server.run, name="web-server", daemon=True)
    worker.start()
    log.info("dashboard listening on http://%s:%s", environment.host, environment.port)
    while not stop.wait(0.2):
        if not (worker.is_alive() and event_hub.is_alive):
            log.critical("dashboard stops: one of its threads has died")
            return EXIT_CRASH
    event_hub.stop()
    server.task_dispatcher.shutdown(timeout=_STOP_SECONDS)
    if not server.task_dispatcher.threads:  # a late thread may still use the server's pipe
        server.close()
    log.info("stopped")
    return EXIT_STOPPED


def run(home: str | None, stop: threading.Event) -> int:
    """Load the environment and serve. Raises ConfigError if the dashboard cannot start with it."""
    environment = replace(load_environment(find_home(home)), credentials=None)
    for name in CREDENTIAL_NAMES:
        os.environ.pop(name, None)  # this process never needs the bot's keys, so it must not hold them
    environment.make_private()
    set_up_logging("dashboard", environment.log_directory)
    logging.getLogger("waitress").setLevel(logging.WARNING)  # it warns at every closed page
    if not environment.database.exists():
        log.warning("no database yet: the bot has not run in this home")
    clock = SystemClock()
    limits = RateLimits(clock)
    market = AsterMarket(AsterClient(environment.base_url, clock, limits))
    checker = CredentialChecker(environment.base_url, environment.network, clock, limits)
    return serve(create_app(environment, clock=clock, market=market, checker=checker), environment, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the dashboard; returns the exit code: 0 stopped, 1 crashed, 2 wrong settings, address or .env."""
    parser = argparse.ArgumentParser(
        prog="api_server.py",
        description="The dashboard alone: it shows the bot's data and sends it commands. launcher.py starts both.",
    )
    parser.add_argument("--home", help=HOME_HELP)
    chosen = parser.parse_args(arguments)
    stop = threading.Event()
    stop_on_signals(stop.set)
    try:
        return run(chosen.home, stop)
    except ConfigError as error:
        for fault in error.messages:
            print(fault, file=sys.stderr)
        return EXIT_CONFIG


if __name__ == "__main__":
    os.umask(0o077)  # whatever is written is for its owner only
    sys.exit(main())
