"""Enumerations of the exchange and of the bot."""

from enum import StrEnum


class Side(StrEnum):
    """The direction of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class IncomeType(StrEnum):
    """What changed the wallet (Get Income History); the exchange knows further types."""

    FUNDING_FEE = "FUNDING_FEE"
    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"


class PositionSide(StrEnum):
    """The position an order belongs to: BOTH in one-way mode, else LONG or SHORT."""

    LONG = "LONG"
    SHORT = "SHORT"
    BOTH = "BOTH"

    @classmethod
    def opened_by(cls, side: Side, *, hedge_mode: bool) -> "PositionSide":
        """Return the position side that an entry on this side opens."""
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
        """Whether the order stays outside the book until its trigger price is reached."""
        return self not in (OrderType.LIMIT, OrderType.MARKET)

    @property
    def is_take_profit(self) -> bool:
        return self in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_MARKET)


class OrderStatus(StrEnum):
    """The status of an order as the bot knows it. An order without a response stays PENDING_*."""

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
    """The purpose of one of the bot's orders."""

    ENTRY = "ENTRY"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    CLOSE = "CLOSE"

    @property
    def letter(self) -> str:
        """Its letter in the client order id."""
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
    """Which entries a symbol allows: against the liquidation, or one side only."""

    OPPOSITE = "OPPOSITE"
    BUY = "BUY"
    SELL = "SELL"


class VolumeScope(StrEnum):
    """Whether a threshold counts the liquidations of one side or of both."""

    SIDE = "SIDE"
    BOTH = "BOTH"


class LiquidationAction(StrEnum):
    """What follows if the exchange would liquidate a position before its stop loss triggers."""

    TIGHTEN = "TIGHTEN"
    ALERT = "ALERT"


class TradingState(StrEnum):
    """ACTIVE opens positions; REDUCE_ONLY only protects and closes; HALTED also waits for the operator."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


class Network(StrEnum):
    """The exchange a home directory is configured for; its hosts, keys and database belong to it."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    SANDBOX = "sandbox"

    @property
    def chain_id(self) -> int:
        """Chain that an API wallet signs for (V3 documents of mainnet and testnet); the sandbox acts as mainnet."""
        return 714 if self is Network.TESTNET else 1666


def mode_label(network: Network, *, is_simulated: bool) -> str:
    """The trading mode as the page's badge: PAPER, SANDBOX, TESTNET or LIVE."""
    if is_simulated:
        return "PAPER"
    return "LIVE" if network is Network.MAINNET else network.name


def mode_description(network: str, *, is_simulated: bool) -> str:
    """The trading mode in the terminal and the log; real orders exist on the main network only."""
    if is_simulated:
        return "paper trading"
    return "REAL ORDERS" if network == Network.MAINNET else "orders with play money"
