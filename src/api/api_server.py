"""The dashboard's process: composes the page and its API, and serves them on this machine until it is told to stop."""

import argparse
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # a script's own folder stands there, in which src cannot be found

from src.launch.errors import required_packages  # noqa: E402 - found only once the line above has run

with required_packages(of_program=__name__ == "__main__"):
    from flask import Flask
    from sqlalchemy.exc import SQLAlchemyError
    from waitress.server import create_server

    from src.api.bot_database import BotDatabase, Commands, JournalTail
    from src.api.errors import ApiError, register_errors
    from src.api.market_cache import MarketCache
    from src.api.routes import BLUEPRINTS
    from src.api.security import BODY_LIMIT, RequestGuard, allowed_hosts, install_guard, load_token, require_loopback
    from src.api.serialization import DecimalJSONProvider
    from src.api.services import EXTENSION, Services
    from src.api.settings_service import SettingsService
    from src.api.setup_service import SetupService
    from src.api.sse import EventHub
    from src.credentials.credentials import CREDENTIAL_NAMES
    from src.database.control import open_control
    from src.domain.clock import Clock, SystemClock
    from src.domain.errors import ConfigError
    from src.exchange.aster import AsterMarket
    from src.exchange.client import AsterClient
    from src.exchange.credential_check import CredentialChecker
    from src.exchange.limits import RateLimits
    from src.exchange.port import CredentialCheck, MarketReader
    from src.settings.config import Environment, find_home, load_environment
    from src.utils.log import set_up_logging

log = logging.getLogger("hunter.dashboard")

EXIT_CONFIG, EXIT_CRASH = 2, 1
_SCHEMA_MISMATCH = ("no such table", "no such column")
_THREADS = 48
_MAX_CONNECTIONS = 500
_IDLE_SECONDS = 20
_STOP_SECONDS = 1.0
_MAX_UNSENT_BYTES = 1024 * 1024


def create_app(
    environment: Environment,
    *,
    clock: Clock | None = None,
    market: MarketReader | None = None,
    checker: CredentialCheck | None = None,
) -> Flask:
    """The page and its API over one home. ``market`` answers for candles and symbols, ``checker`` tests what is typed
    in the set-up; without them that is refused.

    Opens ``control.db`` and the token's file; the bot's database may be missing. Raises ConfigError.
    """
    app = Flask("hunter", template_folder=ROOT / "templates", static_folder=ROOT / "static")
    app.json = DecimalJSONProvider(app)
    app.url_map.merge_slashes = False  # a path that is not ours is unknown, never sent elsewhere
    services = _compose(environment, clock or SystemClock(), market, checker)
    app.extensions[EXTENSION] = services
    register_errors(app)
    app.register_error_handler(SQLAlchemyError, _handle_database_error)
    install_guard(app, RequestGuard(services.token, allowed_hosts(environment.host, environment.port)))
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def _compose(
    environment: Environment, clock: Clock, market: MarketReader | None, checker: CredentialCheck | None
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
    )


def _handle_database_error(error: SQLAlchemyError) -> Any:
    log.warning("a database cannot be read: %s", getattr(error, "orig", error))
    message = "The database cannot be read at the moment."
    if any(words in str(error) for words in _SCHEMA_MISMATCH):
        message = "The database was made by another version of this program: update the program and start it again."
    return ApiError(503, "database_unreadable", message).response()


def event_hub_of(app: Flask) -> EventHub:
    services: Services = app.extensions[EXTENSION]
    return services.event_hub


def create_web_server(app: Flask, environment: Environment) -> Any:
    """A waitress server, bound. Raises ConfigError where the address cannot be had."""
    require_loopback(environment.host)
    try:
        return create_server(
            app,
            host=environment.host,
            port=environment.port,
            threads=_THREADS,
            channel_request_lookahead=1,  # else a page that has gone is never noticed by its stream
            connection_limit=_MAX_CONNECTIONS,
            channel_timeout=_IDLE_SECONDS,
            cleanup_interval=5,
            max_request_body_size=2 * BODY_LIMIT,
            outbuf_high_watermark=_MAX_UNSENT_BYTES,
            asyncore_use_poll=os.name != "nt",
            ident=None,
        )
    except OSError as error:
        raise ConfigError(_bind_error_message(environment, error)) from error


def _bind_error_message(environment: Environment, error: OSError) -> str:
    where = f"port {environment.port} on {environment.host}"
    if error.errno == errno.EADDRINUSE:
        other = environment.port % 65535 + 1
        return f"{where} is busy, another program listens there: choose another one, for example PORT={other}."
    return f"the dashboard cannot listen on {where}: {error.strerror or error}."


def serve(app: Flask, environment: Environment, stop: threading.Event) -> int:
    """Answer until ``stop`` is set (0), or a thread that all depends on has died (1)."""
    server = create_web_server(app, environment)
    event_hub = event_hub_of(app)
    event_hub.start()
    worker = threading.Thread(target=server.run, name="web-server", daemon=True)
    worker.start()
    log.info("dashboard on http://%s:%s", environment.host, environment.port)
    while not stop.wait(0.2):
        if not (worker.is_alive() and event_hub.is_alive):
            log.critical("the dashboard ends because one of its threads has died")
            return EXIT_CRASH
    event_hub.stop()
    server.task_dispatcher.shutdown(timeout=_STOP_SECONDS)
    if not server.task_dispatcher.threads:  # one that is late still writes to the pipe that is closed with the port
        server.close()
    log.info("stopped")
    return 0


def run(home: str | None, stop: threading.Event) -> int:
    """Read the surroundings and serve. Raises ConfigError where the dashboard cannot be started as it is set."""
    environment = replace(load_environment(find_home(home)), credentials=None)
    for name in CREDENTIAL_NAMES:
        os.environ.pop(name, None)  # what this process does not hold, it cannot lose (SAFETY D25)
    set_up_logging("dashboard", environment.log_directory)
    logging.getLogger("waitress").setLevel(logging.WARNING)  # else it tells of every page that is closed
    if not environment.database.exists():
        log.warning("there is no database yet: the bot has not run in this home")
    clock = SystemClock()
    limits = RateLimits(clock)
    market = AsterMarket(AsterClient(environment.base_url, clock, limits))
    checker = CredentialChecker(environment.base_url, clock, limits)
    return serve(create_app(environment, clock=clock, market=market, checker=checker), environment, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 stopped, 1 died, 2 settings, address or .env."""
    parser = argparse.ArgumentParser(
        prog="api_server.py",
        description="The dashboard alone: it shows what the bot writes, and asks the bot. launcher.py starts both.",
    )
    parser.add_argument(
        "--home", help="directory of .env, settings.json and the data (default: HUNTER_HOME, else here)"
    )
    chosen = parser.parse_args(arguments)
    stop = threading.Event()

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), request_stop)
    try:
        return run(chosen.home, stop)
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
