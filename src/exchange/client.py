"""One conversation with Aster by REST: budget, signature, the exchange's clock, and what the answer means."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import assert_never

import requests

from src.domain.clock import Clock
from src.domain.errors import AuthError, InvariantError, OutcomeUnknown, ProtocolError, Unreachable
from src.exchange import answers, endpoints
from src.exchange.clock_offset import ClockOffset
from src.exchange.endpoints import Access, Endpoint
from src.exchange.limits import RateLimits
from src.exchange.wire import parse_server_time
from src.utils.auth import Call, Scheme, Signer, make_authenticated_request, make_public_request

log = logging.getLogger("hunter.rest")

SessionFactory = Callable[[], requests.Session]
_LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


class AsterClient:
    """Asks one endpoint at a time; safe from several threads, each with a connection of its own that is kept alive.

    ``signer`` decides between V1 and V3; it may be missing where only public facts are read. ``beat`` is called before
    every question: some commands are several, and a slow exchange is no stuck thread.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        limits: RateLimits,
        signer: Signer | None = None,
        session_factory: SessionFactory = requests.Session,
        beat: Callable[[], None] = lambda: None,
        offset: ClockOffset | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._limits = limits
        self._signer = signer
        self._scheme = signer.scheme if signer else Scheme.V1
        self._session_factory = session_factory
        self._beat = beat
        self._sessions = threading.local()
        self._offset = offset or ClockOffset(clock)

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def limits(self) -> RateLimits:
        return self._limits

    @property
    def offset_ms(self) -> int | None:
        """The exchange's clock minus ours; None before it was measured."""
        return self._offset.ms

    def now_ms(self) -> int:
        """The exchange's time as far as we know it."""
        return self._clock.now_ms() + (self._offset.ms or 0)

    def measure_offset(self) -> int:
        """Compare clocks (Check Server Time), taking half the round trip for the way back."""
        asked_at, started = self._clock.now_ms(), self._clock.monotonic_ms()
        answer = self.ask(endpoints.TIME, essential=True)
        try:
            told = parse_server_time(answer)
        except ProtocolError as error:
            raise Unreachable(f"the exchange does not tell its time: {error}") from error
        half_trip = (self._clock.monotonic_ms() - started) // 2
        offset = self._offset.learn(told - asked_at - half_trip, started)
        log.debug("clock compared offset_ms=%s round_trip_ms=%s", offset, 2 * half_trip)
        return offset

    def refresh_offset(self) -> None:
        """Compare clocks where it is time."""
        if self._offset.is_due:
            self.measure_offset()

    def ask(self, endpoint: Endpoint, parameters: Mapping[str, str] | None = None, *, essential: bool) -> object:
        """The payload of a good answer, or an error of ``src.domain.errors``.

        A timestamp or nonce outside the window (-1021) is a refusal: the clocks are compared and the same request is
        signed anew, once. A used or expired nonce (-4225) is treated so for reads only, for it may be the answer to a
        copy of a request that was executed. Nothing else is ever repeated.
        """
        if endpoint.access(self._scheme) is not Access.SIGNED:
            return self._ask_once(endpoint, parameters or {}, essential)
        if self._offset.ms is None:
            self.measure_offset()
        try:
            return self._ask_once(endpoint, parameters or {}, essential)
        except AuthError as error:
            if not _is_a_matter_of_time(error.code, endpoint):
                raise
        believed_ms, told_ms = self._offset.ms, self.measure_offset()
        log.warning("timestamp refused offset_ms=%s new_offset_ms=%s", believed_ms, told_ms)
        return self._ask_once(endpoint, parameters or {}, essential)

    def _ask_once(self, endpoint: Endpoint, parameters: Mapping[str, str], essential: bool) -> object:
        self._beat()
        asked_at = self._clock.monotonic_ms()
        is_read = endpoint.repeatable and not endpoint.is_vital
        self._limits.admit(endpoint.weight, essential=essential, orders=endpoint.orders, is_read=is_read)
        response = self._send(endpoint, Call(endpoint.method, self._base_url + endpoint.path(self._scheme), parameters))
        status, headers = response.status_code, response.headers
        self._limits.learn(headers)
        return answers.classify(
            status,
            response.content,
            repeatable=endpoint.repeatable,
            silence=lambda message: self._limits.fall_silent(status, headers, message, asked_at),
        )

    def _send(self, endpoint: Endpoint, call: Call) -> requests.Response:
        try:
            access = endpoint.access(self._scheme)
            match access:
                case Access.PUBLIC:
                    return make_public_request(self._session(), call)
                case Access.KEY:
                    return make_public_request(self._session(), call, self._known_signer().headers)
                case Access.SIGNED:
                    return make_authenticated_request(self._session(), call, self._known_signer(), self.now_ms)
                case _:
                    assert_never(access)
        except OutcomeUnknown as error:
            raise answers.lost(str(error), endpoint.repeatable) from error

    def _known_signer(self) -> Signer:
        if self._signer is None:
            raise InvariantError("a signed request without a key")
        return self._signer

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._session_factory()
            if self._base_url.startswith(_LOOPBACK):
                session.trust_env = False  # a proxy of the environment does not lead to this machine
        return session


def _is_a_matter_of_time(code: int, endpoint: Endpoint) -> bool:
    return code == answers.BAD_TIMESTAMP or (code == answers.USED_NONCE and endpoint.repeatable)
