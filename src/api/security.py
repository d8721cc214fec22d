"""Request checks: only pages served by this dashboard may use its API, and only on this machine.

Any web page the user visits can send requests to localhost. DNS rebinding fails the Host check, another site fails
the origin check, an HTML form fails the content type check, and none of them can read the token.
"""

import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from flask import Flask, Request, Response, request

from src.api.errors import ApiError
from src.domain.errors import ConfigError
from src.utils.files import write_atomic

TOKEN_HEADER = "X-Hunter-Token"
TOKEN_FILE = "dashboard.token"
BODY_LIMIT = 64 * 1024
LARGEST_BODY = 1_000_000
"""Of the routes in ``_LARGE_BODY_PATHS``: as large as settings.json may be, which is enough for 500 symbols."""
_LARGE_BODY_PATHS = frozenset({"/api/config"})

log = logging.getLogger("hunter.dashboard")

_TOKEN = re.compile(rb"[A-Za-z0-9_-]{32,128}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PAGES = frozenset({"/", "/setup"})
_FORGET_WORKERS = {"Clear-Site-Data": '"cache", "storage"'}
_SAME_ORIGIN_SITES = frozenset({"same-origin", "none"})
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


@dataclass(frozen=True, slots=True)
class RequestGuard:
    """Checks every request before it reaches a view."""

    token: str
    hosts: frozenset[str]
    """The accepted ``Host`` headers, with port."""

    def check(self, incoming: Request) -> None:
        """Raise `ApiError` if the request is not allowed."""
        self._check_host(incoming)
        self._check_destination(incoming)
        if incoming.path.startswith("/api/"):
            self._check_fetch_site(incoming)
        if incoming.method not in _SAFE_METHODS:
            self._check_write(incoming)

    def _check_host(self, incoming: Request) -> None:
        # Read from the environ: Werkzeug replaces a missing Host by the socket's name.
        host = incoming.environ.get("HTTP_HOST", "")
        if host not in self.hosts or not incoming.environ.get("REQUEST_URI", "/").startswith("/"):
            port = min(self.hosts).rpartition(":")[2]
            raise ApiError(
                421,
                "wrong_host",
                "Open the dashboard at the address that the launcher printed, on the machine where it runs. Through an "
                f"SSH tunnel use the same port at both ends, as in ssh -L {port}:127.0.0.1:{port} user@machine, and "
                f"open http://127.0.0.1:{port}.",
            )

    def _check_destination(self, incoming: Request) -> None:
        """Turn away a service worker that another program left in the browser for this port.

        It would answer in the place of this server. The browser asks for its script now and then and says so, and the
        answer makes it forget the worker; a page that a worker fetches is not what the browser asked for either.
        """
        destination = incoming.headers.get("Sec-Fetch-Dest")
        is_script = destination == "serviceworker" or "Service-Worker" in incoming.headers
        if is_script or (incoming.path in _PAGES and destination not in (None, "document")):
            raise ApiError(403, "no_page", "Open the dashboard in a tab of its own.", headers=_FORGET_WORKERS)

    def _check_fetch_site(self, incoming: Request) -> None:
        site = incoming.headers.get("Sec-Fetch-Site")
        if site is not None and site not in _SAME_ORIGIN_SITES:
            raise ApiError(403, "cross_origin", "Another web page may not use the dashboard.")

    def _check_write(self, incoming: Request) -> None:
        origin = incoming.headers.get("Origin")
        if origin is not None and origin != f"http://{incoming.environ['HTTP_HOST']}":
            raise ApiError(403, "cross_origin", "Another web page may not use the dashboard.")
        if origin is None and "Sec-Fetch-Site" not in incoming.headers:
            raise ApiError(403, "no_origin", f"Send the header Origin: http://{incoming.environ['HTTP_HOST']}.")
        if incoming.mimetype != "application/json":
            raise ApiError(415, "json_expected", "Send the body as application/json.")
        limit = body_limit(incoming)
        if (incoming.content_length or 0) > limit:
            raise ApiError(413, "too_large", f"The request body is larger than {limit // 1000} kB.")
        if not hmac.compare_digest(incoming.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            raise ApiError(403, "wrong_token", f"The header {TOKEN_HEADER} is missing or wrong: reload the page.")


def body_limit(incoming: Request) -> int:
    """The largest body of a request, in bytes."""
    return LARGEST_BODY if incoming.path in _LARGE_BODY_PATHS else BODY_LIMIT


def install_guard(app: Flask, guard: RequestGuard) -> None:
    """Check every request, including static files and unknown paths, and add security headers to every response."""
    app.config.update(MAX_CONTENT_LENGTH=BODY_LIMIT, PROVIDE_AUTOMATIC_OPTIONS=False)

    @app.before_request
    def check() -> None:
        request.max_content_length = body_limit(request)
        guard.check(request)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def allowed_hosts(host: str, port: int) -> frozenset[str]:
    """The accepted ``Host`` headers: the loopback names, and the host the server listens on."""
    chosen = f"[{host}]" if ":" in host else host
    names = {"127.0.0.1", "localhost", "[::1]", chosen}
    without_port = names if port == 80 else set()
    return frozenset({f"{name}:{port}" for name in names} | without_port)


def require_loopback(host: str) -> None:
    """Raise `ConfigError` if other machines could reach the dashboard, which has no password yet."""
    if host == "localhost":
        return
    try:
        is_loopback = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ConfigError(
            f"HOST={host} would open the dashboard, which has no password yet, to other machines. "
            "Use HOST=127.0.0.1, and an SSH tunnel for remote access."
        )


def load_token(folder: Path) -> str:
    """The dashboard's token, created atomically at the first start in a file that only its owner can read.

    A damaged file is replaced: pages that are open then have to be reloaded.
    """
    path = folder / TOKEN_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token = _read_token(path)
        if token is None:
            token = secrets.token_urlsafe(32)
            write_atomic(path, token, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read or written: {error.strerror}.") from error
    return token


def _read_token(path: Path) -> str | None:
    """The token in the file; None if there is none. Raises OSError."""
    if not path.exists():
        return None
    path.chmod(0o600)
    token = path.read_bytes().strip()
    if not _TOKEN.fullmatch(token):
        log.warning("%s was damaged and has been replaced: reload pages that are open", path.name)
        return None
    return token.decode("ascii")
