"""The sandbox server, as a program and as an object for tests: REST on one port, streams on another.

One lock guards the whole exchange: market, engine, request log, limits. REST workers hold it for a request, the market
thread for a step. Events are passed to the streams while it is held, so they are sent in the order they happened. The
work under the lock takes microseconds; a queue per owner would make every REST response wait for a second thread.
"""

import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from waitress.server import create_server

from src.domain.clock import Clock, SystemClock
from src.domain.errors import ConfigError
from src.launch.shutdown import EXIT_CONFIG, EXIT_CRASH, EXIT_STOPPED, stop_on_signals
from src.sandbox.account.keys import Keys, Wallet, issue_keys, write_key_file
from src.sandbox.exchange import MarketLoop, SandboxExchange
from src.sandbox.faults import Faults
from src.sandbox.market.scenario import Scenario
from src.sandbox.options import Options, make_scenario, parse_options
from src.sandbox.rest.app import create_app, drop_replies
from src.sandbox.rest.control import progress_line
from src.sandbox.streams.server import StreamLimits, StreamServer
from src.utils.auth import ApiVersion
from src.utils.log import set_up_logging

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

Opened = TypeVar("Opened")
_HOST = "127.0.0.1"
_REST_THREADS = 8
_POLL_S = 0.25
_WORKER_SHUTDOWN_S = 3
"""Time for REST workers to end: a later one would write to a closed or reused file descriptor."""


class SandboxServer:
    """A local exchange. Without a scenario, its market moves only when a test moves it.

    With a ``home``, addresses and credentials of ``scheme`` are written to ``<home>/.env`` once both ports are open.
    """

    def __init__(
        self,
        home: Path | None = None,
        scenario: Scenario | None = None,
        clock: Clock | None = None,
        *,
        rest_port: int = 0,
        ws_port: int = 0,
        allow_faults: bool = True,
        stream_limits: StreamLimits | None = None,
        keys: Keys | None = None,
        scheme: ApiVersion = ApiVersion.V1,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._home, self._scheme = home, scheme
        self._scenario = scenario or Scenario()
        self._ports = (rest_port, ws_port)
        clock = clock or SystemClock()
        faults = Faults()
        self._streams = StreamServer(faults, stream_limits)
        self.exchange = SandboxExchange(self._scenario.listings, clock, keys or issue_keys(), faults, self._streams)
        self._app = drop_replies(create_app(self.exchange, allow_faults=allow_faults))
        self._market_loop = MarketLoop(self.exchange, self._fail)
        self._on_failure = on_failure
        self.has_failed = False
        self._rest_thread: threading.Thread | None = None

    def _fail(self) -> None:
        self.has_failed = True
        self._on_failure()

    @property
    def api_key(self) -> str:
        return self.exchange.keys.api_key

    @property
    def api_secret(self) -> str:
        return self.exchange.keys.api_secret

    @property
    def wallet(self) -> Wallet:
        return self.exchange.keys.wallet

    @property
    def base_url(self) -> str:
        return f"http://{_HOST}:{self._rest.effective_port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{_HOST}:{self._streams.port}"

    @property
    def faults(self) -> Faults:
        return self.exchange.faults

    def start(self) -> None:
        """Open both ports, start the market and write ``.env``. Raises ConfigError if a port is busy."""
        rest_port, ws_port = self._ports
        self._rest = _open_port(rest_port, lambda: _rest_server(self._app, rest_port))
        try:
            _open_port(ws_port, lambda: self._streams.start(ws_port))
        except ConfigError:
            self._rest.close()
            raise
        self._rest_thread = threading.Thread(target=self._rest.run, name="sandbox-rest", daemon=True)
        self._rest_thread.start()
        self.exchange.run_scenario(self._scenario)
        self.exchange.advance()
        self._market_loop.start()
        if self._home is not None:
            write_key_file(self._home, self.exchange.keys, self._scheme, self.base_url, self.ws_url)

    def stop(self) -> None:
        """Stop the market, the streams and the REST server."""
        self._market_loop.stop()
        self._streams.stop()
        self.exchange.stop_waiting()
        if self._rest_thread is not None:
            self._rest.task_dispatcher.shutdown(timeout=_WORKER_SHUTDOWN_S)  # workers use the trigger too
            awake = threading.Event()
            self._rest.trigger.pull_trigger(lambda: self._close_rest(awake))
            awake.set()
            self._rest_thread.join(1)

    def _close_rest(self, awake: threading.Event) -> None:
        """Close the port and all open client connections.

        Runs in the REST thread, the only one that writes to them, and only after that thread was woken: this closes
        the pipe that wakes it.
        """
        awake.wait()
        for channel in list(self._rest.active_channels.values()):
            channel.handle_close()
        self._rest.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _rest_server(app: "WSGIApplication", port: int) -> Any:
    return create_server(
        app,
        host=_HOST,
        port=port,
        threads=_REST_THREADS,
        ident=None,
        log_socket_errors=False,  # a dropped reply is raised as a socket error
        clear_untrusted_proxy_headers=True,
        asyncore_use_poll=os.name != "nt",  # select() fails for the 1,025th open file of the process
    )


def _open_port(port: int, open_port: Callable[[], Opened]) -> Opened:
    try:
        return open_port()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"Port {port} is in use by another program: choose another one.") from error
        raise ConfigError(f"The sandbox cannot listen on port {port}: {error.strerror}.") from error


def main(arguments: Sequence[str]) -> int:
    """Run until a signal. Return 0 after it, 2 for invalid options, recordings or ports, 1 for a failure."""
    options = parse_options(arguments)
    try:
        scenario = make_scenario(options)
        options.home.mkdir(parents=True, exist_ok=True)
        set_up_logging("sandbox", options.home / "logs")
        return _run(options, scenario)
    except ConfigError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{options.home} cannot be used: {error.strerror}", file=sys.stderr)
    return EXIT_CONFIG


def _run(options: Options, scenario: Scenario) -> int:
    stopped = threading.Event()
    stop_on_signals(stopped.set)
    server = SandboxServer(
        options.home,
        scenario,
        rest_port=options.rest_port,
        ws_port=options.ws_port,
        allow_faults=options.allow_faults,
        scheme=options.scheme,
        on_failure=stopped.set,
    )
    with server:
        print(f"sandbox ready rest={server.base_url} ws={server.ws_url}", flush=True)
        if scenario.waits_for_subscriber:
            print("replay starts when a client subscribes to liquidations", flush=True)
        _print_progress(server.exchange, stopped)
    return EXIT_CRASH if server.has_failed else EXIT_STOPPED


def _print_progress(exchange: SandboxExchange, stopped: threading.Event) -> None:
    """Print the progress of the replay until the program is stopped."""
    last_line = None
    while not stopped.wait(_POLL_S):
        progress = exchange.progress
        line = None if progress is None else progress_line(progress)
        if line is not None and line != last_line:
            print(line, flush=True)
            last_line = line


if __name__ == "__main__":
    os.umask(0o077)  # whatever is written is for its owner only
    sys.exit(main(sys.argv[1:]))
