"""Aster behind the ports: orders and account by signed REST, the key of the private stream, and public facts."""

import logging
from collections.abc import Mapping, Sequence
from typing import assert_never

from src.domain import crash_points
from src.domain.account_commands import AccountCommand, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.errors import OutcomeUnknown, ProtocolError, Rejected, Unreachable
from src.domain.instrument import Instrument
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.messages import (
    AccountSet,
    CancelOrder,
    Command,
    FetchFills,
    FetchFunding,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    FillsFetched,
    FundingFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    Outcome,
    QueryOrder,
    SnapshotTaken,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.orders import ClientOrderId, OrderUpdate
from src.domain.positions import Snapshot
from src.exchange import answers, endpoints, histories, wire
from src.exchange.client import AsterClient
from src.exchange.endpoints import Endpoint

log = logging.getLogger("hunter.rest")

Parameters = Mapping[str, str]


class AsterExchange:
    """The port ``Exchange``, live, on testnet or on the sandbox: only the base URL of its client differs."""

    def __init__(self, client: AsterClient) -> None:
        self._client = client
        self._modes: tuple[bool, bool] | None = None
        """Hedge and multi-assets mode, as last read."""

    @property
    def offset_ms(self) -> int | None:
        """The exchange's clock minus ours, as last measured."""
        return self._client.offset_ms

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Hold one conversation. A read whose answer is not understood raises ``ProtocolError``."""
        match command:
            case SubmitOrder():
                return [self._submit(command)]
            case CancelOrder():
                return [self._cancel(command)]
            case QueryOrder():
                return [self._query(command)]
            case FetchFills():
                fills = histories.fetch_fills(self._client, command)
                return [FillsFetched(command.symbol, fills, self._now_ms(), command.since_ms)]
            case FetchOrders():
                orders, strange = histories.fetch_orders(self._client, command)
                return [OrdersFetched(command.symbol, orders, command.since_ms, self._now_ms(), strange)]
            case FetchInstruments():
                instruments = AsterMarket(self._client).instruments()
                return [InstrumentsFetched(tuple(instruments.values()), self._now_ms())]
            case FetchFunding():
                return [FundingFetched(histories.fetch_funding(self._client, command), self._now_ms())]
            case TakeSnapshot():
                modes = self._modes if command.is_poll else None
                return [SnapshotTaken(self._take_snapshot(command.reason, modes), command.reason)]
            case CheckPositions():
                return [self._check_positions()]
            case FetchQuote():
                depth = self._client.ask(endpoints.DEPTH, {"symbol": command.symbol, "limit": "5"}, essential=False)
                return [wire.parse_depth(depth, command.symbol, self._now_ms())]
            case SetPositionMode() | SetMultiAssetsMode() | SetMarginType() | SetLeverage():
                return [self._set(command)]
            case _:
                assert_never(command)

    def snapshot(self, reason: str) -> Snapshot:
        """The account as it is now, its modes included."""
        return self._take_snapshot(reason, None)

    def _take_snapshot(self, reason: str, modes: tuple[bool, bool] | None) -> Snapshot:
        """Five reads of weight 110 in all, 50 without the modes; one that fails fails all. An order or
        a position in words we do not know is told beside the others."""
        self._client.refresh_offset()
        asked_at = self._now_ms()
        self._modes = hedge_mode, multi_assets_mode = modes or self._read_modes()
        positions, strange_positions = wire.read_positions(self._read(endpoints.POSITIONS))
        crash_points.reached(Point.SNAPSHOT_HALF_READ)
        open_orders, strange_orders = wire.read_orders(self._read(endpoints.OPEN_ORDERS))
        account = self._read(endpoints.ACCOUNT)
        log.debug("snapshot read reason=%s positions=%s orders=%s", reason, len(positions), len(open_orders))
        return Snapshot(
            asked_at=asked_at,
            taken_at=self._now_ms(),
            hedge_mode=hedge_mode,
            multi_assets_mode=multi_assets_mode,
            account=wire.parse_account(account),
            balances=wire.parse_account_balances(account),
            positions=positions,
            open_orders=open_orders,
            strange_orders=strange_orders,
            strange_positions=strange_positions,
        )

    def _read_modes(self) -> tuple[bool, bool]:
        hedge_mode = wire.parse_position_mode(self._read(endpoints.POSITION_MODE))
        return hedge_mode, wire.parse_multi_assets_mode(self._read(endpoints.MULTI_ASSETS_MODE))

    def _check_positions(self) -> PositionsChecked:
        self._client.refresh_offset()
        positions, _ = wire.read_positions(self._read(endpoints.POSITIONS))  # of strange ones the snapshots tell
        return PositionsChecked(positions, self._now_ms())

    def _submit(self, command: SubmitOrder) -> OrderUpdate:
        request = command.request
        if command.not_after is not None and self._now_ms() > command.not_after:
            raise Unreachable(f"{request.client_order_id} came too late to be sent")
        own_id = ClientOrderId.parse(request.client_order_id)
        essential = own_id is not None and own_id.role is not OrderRole.ENTRY
        parameters = wire.render_order_request(request)
        answer = self._client.ask(endpoints.NEW_ORDER, parameters, essential=essential)
        return _own_order(answer, request.symbol, request.client_order_id)

    def _cancel(self, command: CancelOrder) -> OrderUpdate:
        answer = self._client.ask(endpoints.CANCEL_ORDER, _named(command), essential=True)
        return _own_order(answer, command.symbol, command.client_order_id)

    def _query(self, command: QueryOrder) -> OrderUpdate | OrderNotFound:
        try:
            answer = self._client.ask(endpoints.QUERY_ORDER, _named(command), essential=True)
        except Rejected as error:
            if error.code != answers.NO_SUCH_ORDER:
                raise
            return OrderNotFound(command.symbol, command.client_order_id, self._now_ms())
        order = wire.parse_order(answer)
        if (order.symbol, order.client_order_id) != (command.symbol, command.client_order_id):
            raise ProtocolError("the answer tells of another order", answer)
        return order

    def _set(self, command: AccountCommand) -> AccountSet:
        endpoint, parameters = _setting(command)
        try:
            answer = self._client.ask(endpoint, parameters, essential=False)
        except Rejected as error:
            if not self._is_already_so(command, error.code):
                raise
        else:
            _expect_set(command, answer)
        return AccountSet(command, self._now_ms())

    def _is_already_so(self, command: AccountCommand, code: int) -> bool:
        match command:
            case SetMarginType():
                return code == answers.SAME_MARGIN_TYPE
            case SetPositionMode():
                return code == answers.SAME_POSITION_MODE
            case SetMultiAssetsMode():
                # No code for this is documented: the mode itself is the evidence.
                mode = wire.parse_multi_assets_mode(self._read(endpoints.MULTI_ASSETS_MODE))
                return mode is command.multi_assets_mode
            case SetLeverage():
                return False
            case _:
                assert_never(command)

    def _read(self, endpoint: Endpoint) -> object:
        return self._client.ask(endpoint, essential=True)

    def _now_ms(self) -> int:
        return self._client.clock.now_ms()


def _named(command: CancelOrder | QueryOrder) -> Parameters:
    return {"symbol": command.symbol, "origClientOrderId": command.client_order_id}


def _own_order(answer: object, symbol: str, client_order_id: str) -> OrderUpdate:
    """The order of an accepted write; an answer that is not about it leaves the outcome open."""
    try:
        order = wire.parse_order(answer)
    except ProtocolError as error:
        raise OutcomeUnknown(f"the answer is not an order: {error}") from error
    if (order.symbol, order.client_order_id) != (symbol, client_order_id):
        raise OutcomeUnknown(f"the answer tells of {order.client_order_id}, not of {client_order_id}")
    return order


def _setting(command: AccountCommand) -> tuple[Endpoint, Parameters]:
    match command:
        case SetPositionMode(hedge_mode=mode):
            return endpoints.SET_POSITION_MODE, {"dualSidePosition": str(mode).lower()}
        case SetMultiAssetsMode(multi_assets_mode=mode):
            return endpoints.SET_MULTI_ASSETS_MODE, {"multiAssetsMargin": str(mode).lower()}
        case SetMarginType(symbol=symbol, margin_type=margin_type):
            return endpoints.SET_MARGIN_TYPE, {"symbol": symbol, "marginType": margin_type.value}
        case SetLeverage(symbol=symbol, leverage=leverage):
            return endpoints.SET_LEVERAGE, {"symbol": symbol, "leverage": str(leverage)}
        case _:
            assert_never(command)


def _expect_set(command: AccountCommand, answer: object) -> None:
    """The exchange says what it did: the new leverage, or code 200."""
    try:
        if isinstance(command, SetLeverage):
            done = wire.parse_leverage(answer) == command.leverage
        else:
            done = wire.parse_refusal(answer).code == 200
    except ProtocolError as error:
        raise OutcomeUnknown(f"the answer is not understood: {error}") from error
    if not done:
        raise OutcomeUnknown(f"the answer tells of something else: {answer}")


class AsterListenKeys:
    """The port ``ListenKeys`` (User Data Streams): on V1 the API key alone opens it, on V3 a signature."""

    def __init__(self, client: AsterClient) -> None:
        self._client = client

    def create(self) -> str:
        return wire.parse_listen_key(self._client.ask(endpoints.CREATE_LISTEN_KEY, essential=True))

    def keep_alive(self) -> None:
        self._client.ask(endpoints.EXTEND_LISTEN_KEY, essential=True)

    def close(self) -> None:
        self._client.ask(endpoints.CLOSE_LISTEN_KEY, essential=True)


class AsterMarket:
    """The port ``MarketReader``; its client needs no signer."""

    def __init__(self, client: AsterClient) -> None:
        self._client = client

    def server_time(self) -> int:
        return wire.parse_server_time(self._client.ask(endpoints.TIME, essential=True))

    def instruments(self) -> dict[str, Instrument]:
        """Every symbol whose rules are understood; one that is not cannot be traded and is said in the log."""
        answer = self._client.ask(endpoints.EXCHANGE_INFO, essential=True)
        listed = wire.parse_symbols(answer)
        self._client.limits.adopt(*wire.parse_rate_limits(answer))
        known = {}
        for each in listed:
            try:
                instrument = wire.parse_instrument(each)
            except ProtocolError as error:
                log.warning("symbol left out reason=%s", error)
            else:
                known[instrument.symbol] = instrument
        return known

    def klines(self, symbol: str, interval: str, limit: int) -> list[wire.Candle]:
        parameters = {"symbol": symbol, "interval": interval, "limit": str(limit)}
        return wire.parse_klines(self._client.ask(endpoints.KLINES, parameters, essential=False))
