"""State shared by the modules of the matching engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from src.domain.errors import Rejected
from src.domain.events import AccountUpdate, LeverageChanged, MarginCall
from src.domain.instrument import Instrument
from src.domain.margin import Brackets
from src.domain.numbers import ZERO
from src.domain.orders import Fill, OrderUpdate
from src.engine.account import DOLLAR_ASSETS, Account
from src.engine.margin import Fees, round_amount
from src.engine.matching import Book
from src.engine.orders import EngineOrder, Orders

EngineEvent = OrderUpdate | AccountUpdate | LeverageChanged | MarginCall


class SelfTradePrevention(StrEnum):
    """Which of two orders of the account expires instead of trading with the other (Change STP Mode)."""

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


@dataclass(slots=True)
class EngineState:
    """Account, orders, books and fills of one engine, and the events not yet returned to the caller."""

    instruments: dict[str, Instrument]
    fees: Fees
    brackets: Callable[[str], Brackets]
    account: Account
    orders: Orders = field(default_factory=Orders)
    books: dict[str, Book] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    events: list[EngineEvent] = field(default_factory=list)
    fee_asset: str | None = None
    funding_asset: str | None = None
    """Assets in which fees and funding are paid while the wallet holds enough; None for the settlement asset."""
    self_trade_prevention: SelfTradePrevention | None = None
    """None while the account's orders are not in the book, so that they never meet."""
    self_trade_ids: set[int] = field(default_factory=set)
    """Orders that expired because they would have traded with another order of the account."""

    def instrument(self, symbol: str) -> Instrument:
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise Rejected(-1121, f"unknown symbol {symbol}")
        return instrument

    def book(self, symbol: str) -> Book:
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = Book(self.instrument(symbol))
        return book

    def mark_price(self, symbol: str) -> Decimal:
        """Return the mark price; raise ``Rejected`` while none is known: margin checks need it."""
        price = self.book(symbol).mark_price
        if price is None:
            raise Rejected(-1112, f"no price for {symbol} yet")
        return price

    def dollar_price(self, asset: str) -> Decimal:
        """Return the value of an asset: 1 for dollar assets, else the mark price of its USDT symbol; 0 without one."""
        if asset in DOLLAR_ASSETS:
            return Decimal(1)
        symbol = f"{asset}USDT"
        return (self.book(symbol).mark_price or ZERO) if symbol in self.instruments else ZERO

    def pay_in(self, paying_asset: str | None, asset: str, change: Decimal) -> tuple[str, Decimal]:
        """Return the asset and amount in which a change of the wallet of ``asset`` is settled.

        It is ``asset`` itself if the paying asset has no price or the wallet holds too little of it.
        """
        price = self.dollar_price(paying_asset) if paying_asset else ZERO
        if paying_asset is None or not price:
            return asset, change
        converted = round_amount(change * self.dollar_price(asset) / price)
        is_covered = self.account.wallets.get(paying_asset, ZERO) + converted >= 0
        return (paying_asset, converted) if is_covered else (asset, change)

    def closable_quantity(self, order: EngineOrder) -> Decimal:
        """Return how much of its position the order could close."""
        position = self.account.position(order.symbol, order.request.position_side)
        return abs(position.quantity) if position.is_open and position.side is not order.side else ZERO

    def take_events(self) -> list[EngineEvent]:
        """Return the events since the last call."""
        events, self.events = self.events, []
        return events
