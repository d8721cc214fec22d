"""REST client for Aster: rate limits, request signing, clock offset and error classification."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import assert_never

import requests

from src.domain.clock import MAX_CLOCK_OFFSET_MS, MINUTE_MS, Clock, SteadyClock
from src.domain.errors import AuthError, ExchangeError, InvariantError, OutcomeUnknown, ProtocolError, Unreachable
from src.exchange import endpoints, responses
from src.exchange.endpoints import Access, Endpoint
from src.exchange.limits import RateLimits
from src.exchange.wire import parse_server_time
from src.utils.auth import (
    DEFAULT_TIMEOUT,
    ApiRequest,
    ApiVersion,
    Signer,
    Timeout,
    make_authenticated_request,
    make_public_request,
    use_environment,
)

log = logging.getLogger("hunter.rest")

_RECHECK_MS = 10 * MINUTE_MS
_RECHECK_WHILE_OFF_MS = 10_000
"""Check more often while the clock is off, to notice when it has been corrected."""
_TOLERANCE_MS = 500
_IDLE_MS = 20_000
"""A connection that was idle for so long is used: routers forget one after a minute or more."""
_IDLE_TIMEOUT = (1.0, 1.0)
"""Seconds; an order may be waiting meanwhile."""
BeforeSend = Callable[[int], None]
"""Takes the current time (ms UTC); raises ``NotSent`` if the request must not be sent any more."""
_LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")

SessionFactory = Callable[[], requests.Session]


class ClockOffset:
    """Exchange clock minus local clock.

    ``steady`` is the local clock when it ignores adjustments of the system clock until ``resync``.
    """

    def __init__(self, clock: Clock, steady: SteadyClock | None = None) -> None:
        self._clock = clock
        self._steady = steady
        self._measured_at = self._measured_drift_ms = 0
        self.ms: int | None = None
        """None until first measured."""

    @property
    def drift_ms(self) -> int:
        """System clock minus the steady clock in ms."""
        return self._steady.drift_ms if self._steady is not None else 0

    @property
    def is_due(self) -> bool:
        """Whether to measure again: every ten minutes, every ten seconds while the offset is too large, and at once
        after the system clock was set or the machine was suspended.
        """
        if self.ms is None or abs(self.drift_ms - self._measured_drift_ms) > MAX_CLOCK_OFFSET_MS:
            return True
        is_off = max(abs(self.ms), abs(self.ms - self.drift_ms)) > MAX_CLOCK_OFFSET_MS
        age_ms = self._clock.monotonic_ms() - self._measured_at
        return age_ms >= (_RECHECK_WHILE_OFF_MS if is_off else _RECHECK_MS)

    def update(self, offset_ms: int, measured_at: int) -> int:
        """Store a measured offset and return it. Resync the steady clock if only the system clock agrees with it."""
        self._measured_at = measured_at
        drift_ms = self.drift_ms
        if self._steady is not None and abs(offset_ms) > _TOLERANCE_MS >= abs(offset_ms - drift_ms):
            self._steady.resync()
            log.warning("clock resynced to the system clock drift_ms=%s", drift_ms)
            offset_ms -= drift_ms
        self._measured_drift_ms = self.drift_ms
        self.ms = offset_ms
        return offset_ms


class AsterClient:
    """Sends one request at a time. Thread-safe: each thread has its own keep-alive session.

    ``signer`` selects V1 or V3; without one only public endpoints work. ``heartbeat`` is called before every request,
    so that a command of several slow requests does not count as a stuck thread.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        limits: RateLimits,
        signer: Signer | None = None,
        session_factory: SessionFactory = requests.Session,
        heartbeat: Callable[[], None] = lambda: None,
        offset: ClockOffset | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._limits = limits
        self._signer = signer
        self._scheme = signer.api_version if signer else ApiVersion.V1
        self._session_factory = session_factory
        self._heartbeat = heartbeat
        self._sessions = threading.local()
        self._offset = offset or ClockOffset(clock)

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def wallet_address(self) -> str | None:
        """The address of the API wallet that signs; None for an API key, and without a signer."""
        return self._signer.wallet_address if self._signer else None

    @property
    def limits(self) -> RateLimits:
        return self._limits

    @property
    def offset_ms(self) -> int | None:
        """Exchange clock minus local clock in ms; None until first measured."""
        return self._offset.ms

    def now_ms(self) -> int:
        """Estimated exchange time, ms UTC."""
        return self._clock.now_ms() + (self._offset.ms or 0)

    def measure_offset(self) -> int:
        """Measure the clock offset (Check Server Time), counting half the round trip as latency."""
        sent_at, started = self._clock.now_ms(), self._clock.monotonic_ms()
        response = self.request(endpoints.TIME, essential=True)
        try:
            server_time = parse_server_time(response)
        except ProtocolError as error:
            raise Unreachable(f"cannot read the exchange's time: {error}") from error
        half_trip = (self._clock.monotonic_ms() - started) // 2
        offset = self._offset.update(server_time - sent_at - half_trip, started)
        log.debug("clock offset measured offset_ms=%s round_trip_ms=%s", offset, 2 * half_trip)
        return offset

    def refresh_offset(self) -> None:
        """Measure the clock offset if the last measurement is too old."""
        if self._offset.is_due:
            self.measure_offset()

    def keep_connection(self) -> None:
        """Use this thread's connection if it has been idle, so that its next order waits for no handshake.

        A connection that a router has forgotten fails here, and not with an order, which would lose its response.
        """
        last_used_at: int | None = getattr(self._sessions, "used_at", None)
        if last_used_at is not None and self._clock.monotonic_ms() - last_used_at < _IDLE_MS:
            return
        try:
            self._request_once(endpoints.TIME, {}, essential=False, timeout=_IDLE_TIMEOUT)
        except (ExchangeError, ProtocolError) as error:
            log.debug("connection not kept reason=%s", error)

    def request(
        self,
        endpoint: Endpoint,
        parameters: Mapping[str, str] | None = None,
        *,
        essential: bool,
        before_send: BeforeSend = lambda _now_ms: None,
    ) -> object:
        """Return the payload of a successful response; raise an error of ``src.domain.errors`` otherwise.

        On a timestamp rejection (-1021) the clock offset is measured again and the request is retried once. A used or
        expired nonce (-4225) is retried for reads only: it may answer a duplicate of a request that was executed.
        Nothing else is retried. ``before_send`` is called directly before each attempt, the retry included, as the last
        thing before the request is signed and sent.
        """
        if endpoint.access(self._scheme) is not Access.SIGNED:
            return self._request_once(endpoint, parameters or {}, essential)
        if self._offset.ms is None:
            self.measure_offset()
        before_ms = self._offset.ms or 0

        def check() -> None:
            # A clock that stopped learns from the exchange how late it is: that time has passed, too.
            before_send(self.now_ms() - before_ms)

        try:
            return self._request_once(endpoint, parameters or {}, essential, check)
        except AuthError as error:
            if not _is_clock_error(error.code, endpoint):
                raise
        old_ms, new_ms = self._offset.ms, self.measure_offset()
        log.warning("timestamp rejected offset_ms=%s new_offset_ms=%s", old_ms, new_ms)
        return self._request_once(endpoint, parameters or {}, essential, check)

    def _request_once(
        self,
        endpoint: Endpoint,
        parameters: Mapping[str, str],
        essential: bool,
        check: Callable[[], None] = lambda: None,
        timeout: Timeout = DEFAULT_TIMEOUT,
    ) -> object:
        self._heartbeat()
        sent_at = self._sessions.used_at = self._clock.monotonic_ms()
        is_read = endpoint.is_idempotent and not endpoint.is_critical
        self._limits.acquire(endpoint.weight, essential=essential, orders=endpoint.orders, is_read=is_read)
        check()
        response = self._send(
            endpoint, ApiRequest(endpoint.method, self._base_url + endpoint.path(self._scheme), parameters, timeout)
        )
        status, headers = response.status_code, response.headers
        self._limits.update_from_headers(headers)
        return responses.classify(
            status,
            response.content,
            is_idempotent=endpoint.is_idempotent,
            rate_limit_error=lambda message: self._limits.back_off(status, headers, message, sent_at),
        )

    def _send(self, endpoint: Endpoint, call: ApiRequest) -> requests.Response:
        try:
            access = endpoint.access(self._scheme)
            match access:
                case Access.PUBLIC:
                    return make_public_request(self._session(), call)
                case Access.KEY:
                    return make_public_request(self._session(), call, self._require_signer().headers)
                case Access.SIGNED:
                    return make_authenticated_request(self._session(), call, self._require_signer(), self.now_ms)
                case _:
                    assert_never(access)
        except OutcomeUnknown as error:
            raise responses.unknown_outcome(str(error), endpoint.is_idempotent) from error

    def _require_signer(self) -> Signer:
        if self._signer is None:
            raise InvariantError("a signed request needs credentials")
        return self._signer

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._session_factory()
            if not self._base_url.startswith(_LOOPBACK):  # a proxy cannot reach this machine's loopback address
                use_environment(session, self._base_url)
            session.trust_env = False
        return session


def _is_clock_error(code: int, endpoint: Endpoint) -> bool:
    return code == responses.TIMESTAMP_REJECTED or (code == responses.NONCE_REJECTED and endpoint.is_idempotent)
