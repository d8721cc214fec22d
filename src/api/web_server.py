"""The web server: waitress on every address of the dashboard, guarded against clients that only hold connections.

A connection costs a place, of which there are few. Whoever sends a request byte by byte, or never reads the response,
loses it after a deadline, and at once when the places run out.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from src.api.security import LARGEST_BODY
from src.api.sse import MAX_STREAMS

if sys.platform == "win32":
    resource = None
else:
    import resource

SPARE_THREADS = 16
"""Threads that event streams never take, for all other requests."""
MAX_CONNECTIONS = 500  # select() on Windows allows 512
"""Above four fifths of it a new connection replaces the one that has waited longest for its request."""
REQUEST_SECONDS = 10
"""How long a request may take to arrive."""
UNREAD_SECONDS = 30
"""How long a client may read nothing of its response."""
_OPEN_FILES = 2048
_IDLE_SECONDS = 20
_MAX_UNSENT_BYTES = 1024 * 1024


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection, and since when it waits for the rest of a request."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.began_at: float | None = None
        """When the first byte of an incomplete request came; None without one."""
        self.waiting_since: float = self.creation_time

    def received(self, data: bytes) -> bool:
        accepted = bool(super().received(data))
        if self.request is None:
            self.began_at, self.waiting_since = None, time.time()
        elif self.began_at is None:
            self.began_at = time.time()
        return accepted

    @property
    def is_waiting(self) -> bool:
        """Whether it has neither a request to answer nor a response to send."""
        return not (self.requests or self.total_outbufs_len or self.will_close)


class _Listener(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Accepts the connections of one address."""

    channel_class = _Channel

    def handle_accept(self) -> None:
        super().handle_accept()
        channels = [each for each in self._map.values() if isinstance(each, _Channel) and not each.will_close]
        waiting = [each for each in channels if each.is_waiting]
        if len(channels) > self.adj.connection_limit * 4 // 5 and waiting:
            min(waiting, key=lambda channel: channel.waiting_since).will_close = True

    def maintenance(self, now: float) -> None:
        """Close connections that are idle, send a request too slowly, or read nothing of their response."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            is_slow = channel.began_at is not None and channel.began_at < now - REQUEST_SECONDS
            is_unread = channel.total_outbufs_len > 0 and channel.last_activity < now - UNREAD_SECONDS
            if (is_slow and not channel.requests) or is_unread:
                channel.will_close = True


class WebServer:
    """Serves an app on all addresses; `run` returns after `close`."""

    def __init__(self, app: Any, hosts: Sequence[str], port: int) -> None:
        """Bind every address. Raises OSError if one is not available."""
        self.settings = settings = _adjustments(hosts, port)
        self._map: dict[int, Any] = {}
        self._use_poll = settings.asyncore_use_poll
        self.task_dispatcher = ThreadedTaskDispatcher()
        self._listeners: list[_Listener] = []
        try:
            for address in settings.listen:
                listener = _Listener(
                    app, self._map, dispatcher=self.task_dispatcher, adj=settings, sockinfo=address, _start=False
                )
                self._listeners.append(listener)
        except OSError:
            wasyncore.close_all(self._map)
            raise
        self.task_dispatcher.set_thread_count(settings.threads)
        for listener in self._listeners:
            listener.accept_connections()

    def run(self) -> None:
        wasyncore.loop(timeout=1, map=self._map, use_poll=self._use_poll)

    def close(self) -> None:
        """Close the listening sockets."""
        for listener in self._listeners:
            listener.close()


def _connection_limit() -> int:
    """How many connections to accept: half of the files that the process may open, if that is fewer.

    A connection that cannot be accepted for want of a file would keep the server's loop busy. Shells on macOS allow
    256 files and let a process raise that.
    """
    if resource is None:
        return MAX_CONNECTIONS
    allowed, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < _OPEN_FILES:
        allowed = _OPEN_FILES if highest == resource.RLIM_INFINITY else min(_OPEN_FILES, highest)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, highest))
    return min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def _adjustments(hosts: Sequence[str], port: int) -> Adjustments:
    return Adjustments(
        listen=" ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts),
        threads=MAX_STREAMS + SPARE_THREADS,
        channel_request_lookahead=1,  # lets a stream notice that its page was closed
        connection_limit=_connection_limit(),
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=1,
        max_request_body_size=2 * LARGEST_BODY,
        outbuf_high_watermark=_MAX_UNSENT_BYTES,
        asyncore_use_poll=os.name != "nt",
        ident=None,
    )
