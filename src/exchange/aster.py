"""Aster's REST API as the bot's exchange: orders and account, listen keys, public market data."""

import logging
from collections.abc import Mapping, Sequence
from typing import assert_never

from src.domain import crash_points
from src.domain.api_wallet import ApiWallet
from src.domain.clock import HOUR_MS
from src.domain.commands import (
    AccountCommand,
    CancelOrder,
    CheckPositions,
    Command,
    FetchBrackets,
    FetchFills,
    FetchIncome,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    OrderWrite,
    QueryOrder,
    SetLeverage,
    SetMarginType,
    SetMultiAssetsMode,
    SetPositionMode,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.crash_points import Point
from src.domain.errors import ExchangeError, OutcomeUnknown, ProtocolError, Rejected, Unreachable
from src.domain.events import (
    AccountConfigured,
    BracketsFetched,
    FillsFetched,
    IncomeFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    Outcome,
    PositionsChecked,
    SnapshotTaken,
    UnreadableMessages,
)
from src.domain.instrument import Instrument, InstrumentList
from src.domain.orders import OrderUpdate, UnrecognizedOrder
from src.domain.positions import Snapshot
from src.exchange import batch, endpoints, pagination, responses, wire
from src.exchange.client import AsterClient
from src.exchange.endpoints import Endpoint
from src.exchange.port import Answer, answer_to

log = logging.getLogger("hunter.rest")

_MAX_SNAPSHOT_MS = 20_000
"""Parts read further apart are not one state of the account: the process was suspended, or every response was slow."""

Parameters = Mapping[str, str]


class AsterExchange:
    """Implements ``Exchange`` for mainnet, testnet and the sandbox; only the client's base URL differs."""

    def __init__(self, client: AsterClient) -> None:
        self._client = client
        self._modes: tuple[bool, bool] | None = None
        """Hedge mode and multi-assets mode from the last full read."""
        self._api_wallet: ApiWallet | None = None
        self._api_wallet_due_at = 0
        """When to read the API wallet again, on the monotonic clock."""

    @property
    def offset_ms(self) -> int | None:
        """Exchange clock minus local clock in ms, as last measured."""
        return self._client.offset_ms

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Run one command and return its outcomes. Raises ``ProtocolError`` if a response cannot be parsed."""
        match command:
            case SubmitOrder():
                return [self._submit(command)]
            case CancelOrder():
                return [self._cancel(command)]
            case QueryOrder():
                return [self._query(command)]
            case FetchFills():
                fills, problems = pagination.fetch_fills(self._client, command)
                trades = FillsFetched(command.symbol, fills, self._now_ms(), command.since_ms, bool(problems))
                return [trades, *self._unreadable(problems)]
            case FetchOrders():
                orders, unrecognized = pagination.fetch_orders(self._client, command)
                return [OrdersFetched(command.symbol, orders, command.since_ms, self._now_ms(), unrecognized)]
            case FetchInstruments():
                listed = AsterMarket(self._client).list_instruments()
                return [InstrumentsFetched(tuple(listed.instruments.values()), self._now_ms(), listed.incomplete)]
            case FetchBrackets():
                brackets = wire.parse_brackets(self._client.request(endpoints.LEVERAGE_BRACKETS, essential=False))
                return [BracketsFetched(brackets, self._now_ms())]
            case FetchIncome():
                incomes, problems = pagination.fetch_income(self._client, command)
                read = IncomeFetched(incomes, self._now_ms(), command.type, command.symbol)
                return [read, *self._unreadable(problems)]
            case TakeSnapshot():
                modes = self._modes if command.is_poll else None
                return [SnapshotTaken(self._take_snapshot(command.reason, modes), command.reason)]
            case CheckPositions():
                return [self._check_positions()]
            case FetchQuote():
                depth = self._client.request(endpoints.DEPTH, {"symbol": command.symbol, "limit": "5"}, essential=False)
                return [wire.parse_depth(depth, command.symbol, self._now_ms())]
            case SetPositionMode() | SetMultiAssetsMode() | SetMarginType() | SetLeverage():
                return [self._apply_setting(command)]
            case _:
                assert_never(command)

    def execute_batch(self, commands: Sequence[OrderWrite]) -> Sequence[Answer]:
        """Send the commands in one request, or one by one if the rate limits have no room for that."""
        if not batch.has_room(self._client, commands):
            return [answer_to(each, self.execute) for each in commands]
        return batch.send(self._client, commands)

    def _unreadable(self, problems: Sequence[str]) -> list[UnreadableMessages]:
        """Report the rows of a list that could not be read."""
        return [UnreadableMessages(None, problems[-1], len(problems), self._now_ms())] if problems else []

    def snapshot(self, reason: str) -> Snapshot:
        """Read the current account, including its position and multi-assets modes."""
        return self._take_snapshot(reason, None)

    def _take_snapshot(self, reason: str, modes: tuple[bool, bool] | None) -> Snapshot:
        """Read the account in five requests (weight 110, or 50 when ``modes`` are given); any failure fails the whole.

        Orders and positions with unrecognized values are returned separately.
        """
        self._client.refresh_offset()
        requested_at = self._now_ms()
        self._modes = hedge_mode, multi_assets_mode = modes or self._read_modes()
        positions, unrecognized_positions = wire.read_positions(self._get(endpoints.POSITIONS))
        crash_points.reached(Point.SNAPSHOT_HALF_READ)
        open_orders, unrecognized_orders = wire.read_orders(self._get(endpoints.OPEN_ORDERS))
        account = self._get(endpoints.ACCOUNT)
        taken_at = self._now_ms()
        if taken_at - requested_at > _MAX_SNAPSHOT_MS:
            raise Unreachable(f"reading the account took over {_MAX_SNAPSHOT_MS // 1000} s; it is read again")
        self._read_api_wallet()
        log.debug("snapshot read reason=%s positions=%s orders=%s", reason, len(positions), len(open_orders))
        return Snapshot(
            requested_at=requested_at,
            taken_at=taken_at,
            hedge_mode=hedge_mode,
            multi_assets_mode=multi_assets_mode,
            account=wire.parse_account(account),
            balances=wire.parse_account_balances(account),
            positions=positions,
            open_orders=open_orders,
            unrecognized_orders=unrecognized_orders,
            unrecognized_positions=unrecognized_positions,
            has_unreadable_balance=wire.has_unreadable_balance(account),
            api_wallet=self._api_wallet,
        )

    def _read_api_wallet(self) -> None:
        """Read the API wallet's end and rights once an hour. A failure changes nothing: the account counts as read."""
        address, now_ms = self._client.wallet_address, self._client.clock.monotonic_ms()
        if address is None or now_ms < self._api_wallet_due_at:
            return
        self._api_wallet_due_at = now_ms + HOUR_MS
        try:
            listed = self._client.request(endpoints.API_WALLETS, essential=False)
            self._api_wallet = wire.parse_api_wallet(listed, address)
        except (ExchangeError, ProtocolError) as error:
            log.warning("the API wallet's rights and end could not be read: %s", error)

    def _read_modes(self) -> tuple[bool, bool]:
        hedge_mode = wire.parse_position_mode(self._get(endpoints.POSITION_MODE))
        return hedge_mode, wire.parse_multi_assets_mode(self._get(endpoints.MULTI_ASSETS_MODE))

    def _check_positions(self) -> PositionsChecked:
        self._client.refresh_offset()
        positions, _ = wire.read_positions(self._get(endpoints.POSITIONS))  # snapshots report unrecognized ones
        return PositionsChecked(positions, self._now_ms())

    def _submit(self, command: SubmitOrder) -> OrderUpdate:
        parameters = wire.render_order_request(command.request)
        essential = batch.is_essential(command.request)
        response = self._client.request(
            endpoints.NEW_ORDER, parameters, essential=essential, before_send=command.before_send
        )
        return batch.parse_own_order(response, command)

    def _cancel(self, command: CancelOrder) -> OrderUpdate:
        response = self._client.request(endpoints.CANCEL_ORDER, _order_parameters(command), essential=True)
        return batch.parse_own_order(response, command)

    def _query(self, command: QueryOrder) -> OrderUpdate | UnrecognizedOrder | OrderNotFound:
        try:
            response = self._client.request(endpoints.QUERY_ORDER, _order_parameters(command), essential=True)
        except Rejected as error:
            if error.code != responses.UNKNOWN_ORDER:
                raise
            return OrderNotFound(command.symbol, command.client_order_id, self._now_ms())
        order = wire.read_order(response)
        if (order.symbol, order.client_order_id) != (command.symbol, command.client_order_id):
            raise ProtocolError("the response is about another order", response)
        return order

    def _apply_setting(self, command: AccountCommand) -> AccountConfigured:
        endpoint, parameters = _setting_request(command)
        try:
            response = self._client.request(endpoint, parameters, essential=False)
        except Rejected as error:
            if not self._is_already_set(command, error.code):
                raise
        else:
            _check_setting(command, response)
        return AccountConfigured(command, self._now_ms())

    def _is_already_set(self, command: AccountCommand, code: int) -> bool:
        match command:
            case SetMarginType():
                return code == responses.MARGIN_TYPE_UNCHANGED
            case SetPositionMode():
                return code == responses.POSITION_MODE_UNCHANGED
            case SetMultiAssetsMode():
                # No error code is documented for this, so read the mode.
                mode = wire.parse_multi_assets_mode(self._get(endpoints.MULTI_ASSETS_MODE))
                return mode is command.multi_assets_mode
            case SetLeverage():
                return False
            case _:
                assert_never(command)

    def _get(self, endpoint: Endpoint) -> object:
        return self._client.request(endpoint, essential=True)

    def _now_ms(self) -> int:
        return self._client.clock.now_ms()


def _order_parameters(command: CancelOrder | QueryOrder) -> Parameters:
    return {"symbol": command.symbol, "origClientOrderId": command.client_order_id}


def _setting_request(command: AccountCommand) -> tuple[Endpoint, Parameters]:
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


def _check_setting(command: AccountCommand, response: object) -> None:
    """Confirm that the response reports the requested leverage, or code 200 for a mode; else ``OutcomeUnknown``."""
    try:
        if isinstance(command, SetLeverage):
            done = wire.parse_leverage(response) == command.leverage
        else:
            done = wire.parse_error(response).code == 200
    except ProtocolError as error:
        raise OutcomeUnknown(f"cannot parse the response: {error}") from error
    if not done:
        raise OutcomeUnknown(f"the response does not confirm the change: {response}")


class AsterListenKeys:
    """Implements ``ListenKeys`` (User Data Streams). V1 needs only the API key, V3 a signature."""

    def __init__(self, client: AsterClient) -> None:
        self._client = client

    def create(self) -> str:
        return wire.parse_listen_key(self._client.request(endpoints.CREATE_LISTEN_KEY, essential=True))

    def keep_alive(self) -> None:
        self._client.request(endpoints.EXTEND_LISTEN_KEY, essential=True)

    def close(self) -> None:
        self._client.request(endpoints.CLOSE_LISTEN_KEY, essential=True)


class AsterMarket:
    """Implements ``MarketReader``; its client needs no signer."""

    def __init__(self, client: AsterClient) -> None:
        self._client = client

    def server_time(self) -> int:
        return wire.parse_server_time(self._client.request(endpoints.TIME, essential=True))

    def list_instruments(self) -> InstrumentList:
        """Return the listed symbols, those that lack a trading rule apart; an empty list is a ``ProtocolError``."""
        response = self._client.request(endpoints.EXCHANGE_INFO, essential=True)
        listed = wire.parse_instrument_list(response)
        self._client.limits.set_limits(*wire.parse_rate_limits(response))
        for gap in listed.incomplete:
            log.debug("trading rules incomplete symbol=%s reason=%s", gap.symbol, gap.problem)
        return listed

    def instruments(self) -> dict[str, Instrument]:
        """Return the instruments by symbol, without those that lack a trading rule."""
        return self.list_instruments().instruments

    def klines(self, symbol: str, interval: str, limit: int) -> list[wire.Candle]:
        parameters = {"symbol": symbol, "interval": interval, "limit": str(limit)}
        return wire.parse_klines(self._client.request(endpoints.KLINES, parameters, essential=False))
