"""The model's exchange behind Aster's JSON, in which a test can alter every message before the bot reads it."""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from src.core.streamer import LiquidationStreamer
from src.core.user_stream import UserStream
from src.domain.clock import Clock
from src.domain.commands import CancelOrder, Command, OrderWrite, SubmitOrder
from src.domain.enums import IncomeType
from src.domain.errors import Rejected
from src.domain.events import Event, Outcome
from src.domain.market import Liquidation
from src.domain.orders import OrderUpdate
from src.domain.positions import Income
from src.exchange import endpoints, wire
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient
from src.exchange.endpoints import Endpoint
from src.exchange.limits import RateLimits
from src.exchange.port import Answer, ListenKeys
from tests.builders import an_instrument
from tests.core.model.exchange import SYMBOL, ModelExchange
from tests.core.model.simulation import Simulation

Alter = Callable[[str, Any], Any]
"""Takes the name of a message and its JSON, and returns what the bot reads instead."""


class WireClient:
    """Answers the requests of ``AsterExchange`` from the model's engine, as JSON."""

    offset_ms = 0
    wallet_address = None

    def __init__(self, model: ModelExchange, alter: Alter) -> None:
        self._model, self._alter = model, alter
        self.limits = RateLimits(model.clock)

    @property
    def clock(self) -> Clock:
        return self._model.clock

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def refresh_offset(self) -> None:
        """The model's clock is the bot's."""

    def request(
        self,
        endpoint: Endpoint,
        parameters: Mapping[str, str] | None = None,
        *,
        essential: bool,
        before_send: Callable[[int], None] | None = None,
    ) -> object:
        if before_send is not None:
            before_send(self._model.clock.now_ms())
        name, body = self._answer(endpoint, parameters or {})
        return wire.read_json(json.dumps(self._alter(name, body)))

    def _answer(self, endpoint: Endpoint, parameters: Mapping[str, str]) -> tuple[str, object]:
        model, engine = self._model, self._model.engine
        name = parameters.get("origClientOrderId", "")
        match endpoint:
            case endpoints.NEW_ORDER:
                return "order", self._perform(SubmitOrder(wire.parse_order_request(parameters)))
            case endpoints.CANCEL_ORDER:
                return "order", self._perform(CancelOrder(SYMBOL, name))
            case endpoints.QUERY_ORDER:
                return "order", wire.render_order(engine.order(SYMBOL, client_order_id=name))
            case endpoints.OPEN_ORDERS:
                return "openOrders", [wire.render_order(each) for each in engine.open_orders()]
            case endpoints.ALL_ORDERS:
                return "allOrders", [wire.render_order(each) for each in engine.all_orders(SYMBOL)]
            case endpoints.USER_TRADES:
                return "userTrades", [wire.render_fill(each) for each in model.fills()]
            case endpoints.INCOME:
                kind = parameters["incomeType"]
                paid = Income(1, SYMBOL, kind, "USDT", Decimal("-0.1"), self.now_ms())
                return "income", [wire.render_income(paid)] if kind == IncomeType.FUNDING_FEE else []
            case endpoints.POSITIONS:
                return "positionRisk", [wire.render_position(each) for each in engine.positions()]
            case endpoints.ACCOUNT:
                return "account", wire.render_account(engine.account(), engine.balances(), engine.positions())
            case endpoints.SET_MARGIN_TYPE:
                raise Rejected(-4046, "No need to change margin type.")
            case endpoints.SET_LEVERAGE:
                return "leverage", {"leverage": int(parameters["leverage"]), "symbol": SYMBOL}
            case endpoints.POSITION_MODE:
                return "positionMode", wire.render_position_mode(engine.hedge_mode)
            case endpoints.MULTI_ASSETS_MODE:
                return "multiAssetsMode", wire.render_multi_assets_mode(engine.multi_assets_mode)
            case endpoints.EXCHANGE_INFO:
                return "exchangeInfo", wire.render_exchange_info([an_instrument()], self.now_ms())
            case endpoints.LEVERAGE_BRACKETS:
                return "leverageBracket", [wire.render_brackets(*each) for each in engine.brackets().items()]
            case endpoints.DEPTH:
                quote = model.prices()[1]
                bids, asks = [(quote.bid, quote.bid_quantity)], [(quote.ask, quote.ask_quantity)]
                return "depth", wire.render_depth(bids, asks, 1, quote.at)
        raise AssertionError(endpoint)

    def _perform(self, command: Command) -> wire.Body:
        [outcome] = self._model.execute(command)
        assert isinstance(outcome, OrderUpdate)
        return wire.render_order(outcome)


class _Port:
    """The ``Exchange`` port of the gateway."""

    def __init__(self, model: ModelExchange, alter: Alter) -> None:
        self._adapter = AsterExchange(cast(AsterClient, WireClient(model, alter)))
        self.offset_ms, self.snapshot = 0, model.snapshot

    def execute(self, command: Command) -> Sequence[Outcome]:
        return self._adapter.execute(command)

    def execute_batch(self, commands: Sequence[OrderWrite]) -> Sequence[Answer]:
        return self._adapter.execute_batch(commands)


class WireSimulation(Simulation):
    """A simulation in which every message passes through JSON and ``alter``."""

    def __init__(self, *, hedge_mode: bool = True) -> None:
        self.alter: Alter = lambda _, body: body
        super().__init__(hedge_mode=hedge_mode)

    def _begin(self) -> None:
        keys = cast(ListenKeys, None)
        self._market = LiquidationStreamer("wss://model", lambda: [SYMBOL], self._receive, self.clock)
        self._user = UserStream("wss://model", keys, self._receive, self.clock)
        self._user.on_reconnect_needed(self._request_reconnect, self._request_reconnect)
        self._received: list[Event] = []
        super()._begin()

    def _make_port(self) -> _Port:
        return _Port(self.exchange, lambda name, body: self.alter(name, body))

    def _receive(self, event: Event) -> None:
        self._received.append(event)

    def _deliver(self, stream: LiquidationStreamer | UserStream, body: Any) -> None:
        stream.handler.on_message(wire.read_json(json.dumps(self.alter(str(body["e"]), body))))
        received, self._received = self._received, []
        if received:
            self.feed(*received)

    def deliver_next(self) -> None:
        if self.exchange.stream:
            self._deliver(self._user, wire.render_event(cast(wire.Renderable, self.exchange.stream.pop(0))))

    def announce(self, *bodies: wire.Body) -> None:
        """Deliver messages of the user data stream that the engine has not caused."""
        for body in bodies:
            self._deliver(self._user, body)

    def publish_prices(self) -> None:
        for price in self.exchange.prices():
            self._deliver(self._market, wire.render_event(price))

    def liquidate(self, liquidation: Liquidation) -> None:
        self._deliver(self._market, wire.render_force_order(liquidation))
        self.catch_up()
