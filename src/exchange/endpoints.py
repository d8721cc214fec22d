"""Every path of Aster's V1 interface the bot asks, with its weight and who may ask it: one table."""

from dataclasses import dataclass
from enum import Enum, auto

from src.utils.auth import Method


class Access(Enum):
    """Endpoint Security Type: open to all, with the key alone, or signed."""

    PUBLIC = auto()
    KEY = auto()
    SIGNED = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: Method
    path: str
    weight: int
    access: Access = Access.SIGNED
    repeatable: bool = True
    """Asking again changes nothing: a lost answer is no danger."""
    orders: int = 0
    """How many orders it counts against the account's order limit."""


def _read(path: str, weight: int) -> Endpoint:
    return Endpoint("GET", path, weight)


def _public(path: str, weight: int) -> Endpoint:
    return Endpoint("GET", path, weight, Access.PUBLIC)


def _change(path: str) -> Endpoint:
    return Endpoint("POST", path, 1, repeatable=False)


TIME = _public("/fapi/v1/time", 1)
EXCHANGE_INFO = _public("/fapi/v1/exchangeInfo", 1)
DEPTH = _public("/fapi/v1/depth", 2)
"""With at most 50 levels."""
KLINES = _public("/fapi/v1/klines", 10)
"""With any number of candles."""

NEW_ORDER = Endpoint("POST", "/fapi/v1/order", 1, repeatable=False, orders=1)
CANCEL_ORDER = Endpoint("DELETE", "/fapi/v1/order", 1, repeatable=False)
QUERY_ORDER = _read("/fapi/v1/order", 1)
OPEN_ORDERS = _read("/fapi/v1/openOrders", 40)
"""Of all symbols."""

POSITIONS = _read("/fapi/v2/positionRisk", 5)
ACCOUNT = _read("/fapi/v4/account", 5)
USER_TRADES = _read("/fapi/v1/userTrades", 5)
INCOME = _read("/fapi/v1/income", 30)

POSITION_MODE = _read("/fapi/v1/positionSide/dual", 30)
SET_POSITION_MODE = _change("/fapi/v1/positionSide/dual")
MULTI_ASSETS_MODE = _read("/fapi/v1/multiAssetsMargin", 30)
SET_MULTI_ASSETS_MODE = _change("/fapi/v1/multiAssetsMargin")
SET_MARGIN_TYPE = _change("/fapi/v1/marginType")
SET_LEVERAGE = _change("/fapi/v1/leverage")

CREATE_LISTEN_KEY = Endpoint("POST", "/fapi/v1/listenKey", 1, Access.KEY)
EXTEND_LISTEN_KEY = Endpoint("PUT", "/fapi/v1/listenKey", 1, Access.KEY)
CLOSE_LISTEN_KEY = Endpoint("DELETE", "/fapi/v1/listenKey", 1, Access.KEY)
