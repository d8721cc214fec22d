"""The closed vocabularies of the exchange and of the bot."""

from enum import StrEnum


class Side(StrEnum):
    """The direction of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL: carries direction through every formula."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(StrEnum):
    """The position slot an order belongs to: BOTH in one-way mode, else LONG or SHORT."""

    LONG = "LONG"
    SHORT = "SHORT"
    BOTH = "BOTH"

    @classmethod
    def opened_by(cls, side: Side, *, hedge_mode: bool) -> "PositionSide":
        """The slot that an entry with this side opens."""
        if not hedge_mode:
            return cls.BOTH
        return cls.LONG if side is Side.BUY else cls.SHORT


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def is_conditional(self) -> bool:
        """True for orders that rest outside the book until a trigger price is reached."""
        return self not in (OrderType.LIMIT, OrderType.MARKET)

    @property
    def is_take_profit(self) -> bool:
        return self in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_MARKET)


class OrderStatus(StrEnum):
    """What we know of an order. There is no UNKNOWN: a lost answer stays PENDING_*."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        return self in (
            OrderStatus.FILLED,
            OrderStatus.CANCELED,
            OrderStatus.REJECTED,
            OrderStatus.EXPIRED,
        )


class OrderRole(StrEnum):
    """Why one of our orders exists; the value is its letter in the client order id."""

    ENTRY = "ENTRY"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    CLOSE = "CLOSE"

    @property
    def letter(self) -> str:
        return {"ENTRY": "e", "TAKE_PROFIT": "t", "STOP_LOSS": "s", "CLOSE": "c"}[self.value]


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class WorkingType(StrEnum):
    """Which price triggers a conditional order."""

    CONTRACT_PRICE = "CONTRACT_PRICE"
    MARK_PRICE = "MARK_PRICE"


class MarginType(StrEnum):
    ISOLATED = "ISOLATED"
    CROSSED = "CROSSED"


class TradeSide(StrEnum):
    """The direction a symbol may trade: against the liquidation, or only one way."""

    OPPOSITE = "OPPOSITE"
    BUY = "BUY"
    SELL = "SELL"


class VolumeScope(StrEnum):
    """Whether a threshold counts the liquidations of one side or of both."""

    SIDE = "SIDE"
    BOTH = "BOTH"


class TradingState(StrEnum):
    """ACTIVE trades; REDUCE_ONLY protects and closes; HALTED waits for the operator (protection goes on)."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


class Network(StrEnum):
    """Which exchange this home belongs to; one unit with its hosts, keys and data directory."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    SANDBOX = "sandbox"
