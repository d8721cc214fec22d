"""Every REST endpoint the bot uses: its V1 and V3 paths, request weight and access type.

V1 and V3 differ in their paths, in how requests are signed, and in listen keys: V1 requires only the API key for them,
V3 a signature (API authentication type).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from src.utils.auth import ApiVersion, Method


class Access(Enum):
    """Endpoint Security Type: public, API key only, or signed."""

    PUBLIC = auto()
    KEY = auto()
    SIGNED = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint in both API versions."""

    method: Method
    v1_path: str
    v3_path: str
    weight: int
    v1_access: Access = Access.SIGNED
    is_idempotent: bool = True
    """Whether the request can be repeated safely after a lost response."""
    orders: int = 0
    """Orders it counts against the account's order limit."""
    is_critical: bool = False
    """Needed to sign requests or to receive fills: it may use the whole budget, like protection orders (I29)."""

    def path(self, scheme: ApiVersion) -> str:
        match scheme:
            case ApiVersion.V1:
                return self.v1_path
            case ApiVersion.V3:
                return self.v3_path
            case _:
                assert_never(scheme)

    def access(self, scheme: ApiVersion) -> Access:
        if scheme is ApiVersion.V3 and self.v1_access is Access.KEY:
            return Access.SIGNED
        return self.v1_access


def _paths(name: str, v1: str = "v1", v3_name: str | None = None) -> tuple[str, str]:
    """Return the V1 and V3 paths, which mostly differ only in the version."""
    return f"/fapi/{v1}/{name}", f"/fapi/v3/{v3_name or name}"


def _read(paths: tuple[str, str], weight: int) -> Endpoint:
    return Endpoint("GET", *paths, weight)


def _public(paths: tuple[str, str], weight: int) -> Endpoint:
    return Endpoint("GET", *paths, weight, Access.PUBLIC)


def _write(paths: tuple[str, str], orders: int = 0, method: Method = "POST") -> Endpoint:
    return Endpoint(method, *paths, 1, is_idempotent=False, orders=orders)


def _listen_key(method: Method) -> Endpoint:
    return Endpoint(method, *_paths("listenKey"), 1, Access.KEY, is_critical=True)


TIME = Endpoint("GET", *_paths("time"), 1, Access.PUBLIC, is_critical=True)
EXCHANGE_INFO = _public(_paths("exchangeInfo"), 1)
DEPTH = _public(_paths("depth"), 2)
"""Weight for at most 50 levels."""
KLINES = _public(_paths("klines"), 10)
"""Weight of the largest request; fewer candles cost less."""

NEW_ORDER = _write(_paths("order"), orders=1)
CANCEL_ORDER = _write(_paths("order"), method="DELETE")
PLACE_ORDERS = Endpoint("POST", *_paths("batchOrders"), 5, is_idempotent=False, orders=1)
"""Up to five orders (Place Multiple Orders); its order count is that of one of them."""
CANCEL_ORDERS = _write(_paths("batchOrders"), method="DELETE")
QUERY_ORDER = _read(_paths("order"), 1)
OPEN_ORDERS = _read(_paths("openOrders"), 40)
"""Weight of a request for all symbols."""

ALL_ORDERS = _read(_paths("allOrders"), 5)

POSITIONS = _read(_paths("positionRisk", "v2"), 5)
ACCOUNT = _read(_paths("account", "v4", "accountWithJoinMargin"), 5)
LEVERAGE_BRACKETS = _read(_paths("leverageBracket"), 1)
USER_TRADES = _read(_paths("userTrades"), 5)
INCOME = _read(_paths("income"), 30)

POSITION_MODE = _read(_paths("positionSide/dual"), 30)
SET_POSITION_MODE = _write(_paths("positionSide/dual"))
MULTI_ASSETS_MODE = _read(_paths("multiAssetsMargin"), 30)
SET_MULTI_ASSETS_MODE = _write(_paths("multiAssetsMargin"))
SET_MARGIN_TYPE = _write(_paths("marginType"))
SET_LEVERAGE = _write(_paths("leverage"))

API_WALLETS = Endpoint("GET", "", "/fapi/v3/agent", 20)
"""The approved API wallets of the account, V3 only. Its weight is not documented."""

CREATE_LISTEN_KEY = _listen_key("POST")
EXTEND_LISTEN_KEY = _listen_key("PUT")
CLOSE_LISTEN_KEY = _listen_key("DELETE")
