"""Checks at the exchange: connection, clock, symbol filters, credentials and account.

They send only public requests, signed reads and the cancel of an order that does not exist, so they cannot trade.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from ssl import SSLCertVerificationError

from websocket import WebSocketException

from src.core.account.account_setup import describe, plan_account_setup, unsettable_symbols
from src.credentials.credentials import AnyCredentials
from src.domain.checks import Check, CheckLevel, failed, passed, warned
from src.domain.clock import Clock
from src.domain.enums import MarginType
from src.domain.errors import ExchangeError, ProtocolError
from src.domain.instrument import Instrument
from src.domain.margin import Brackets, crossed_collateral, maintenance_margin
from src.domain.numbers import ZERO
from src.domain.orders import ClientOrderId
from src.domain.positions import Snapshot
from src.exchange import endpoints, wire
from src.exchange.aster import AsterExchange, AsterMarket
from src.exchange.client import AsterClient
from src.exchange.connection import Connection, Timing
from src.exchange.credential_check import CLOCK, CredentialChecker, compare_clocks, explain_failure
from src.exchange.limits import RateLimits
from src.settings.config import Environment, Settings
from src.settings.symbol_checks import SymbolListing, check_symbol

_NETWORK, _STREAM, _RULES, _ACCOUNT = "network", "stream", "rules", "account"
_CHECK_CONNECTION = "check the internet connection, firewalls, and whether Aster is blocked in your country"
_CHECK_CERTIFICATE = (
    "if a proxy or a virus scanner reads the connection, export its certificate to a file and name the file in the "
    "environment variable REQUESTS_CA_BUNDLE; else update the package certifi"
)
_ANY_STREAM = "!forceOrder@arr"
_STREAM_TIMING = Timing(connect_timeout_ms=5_000)


class ExchangeChecks:
    """Runs the checks in order; those that depend on a failed one are left out."""

    def __init__(self, environment: Environment, settings: Settings | None, clock: Clock) -> None:
        self._environment = environment
        self._settings = settings
        self._clock = clock
        self._limits = RateLimits(clock)
        credentials = environment.credentials
        signer = credentials.make_signer(environment.network) if credentials else None
        self._client = AsterClient(environment.base_url, clock, self._limits, signer)

    def run(self) -> Iterator[Check]:
        if not self._environment.base_url:
            yield warned(_NETWORK, "not checked: no network is set", "correct .env first")
            return
        try:
            yield from self._check_network()
        except (ExchangeError, ProtocolError) as error:
            yield failed(_NETWORK, f"{self._environment.base_url} does not respond ({error})", _CHECK_CONNECTION)
            return
        yield self._check_stream()
        is_accepted = True
        if self._environment.credentials is not None:
            checks = tuple(self._check_credentials(self._environment.credentials))
            is_accepted = all(check.level is not CheckLevel.FAIL for check in checks)
            yield from map(self._downgrade_on_paper, checks)
        if self._settings is not None:
            yield from self._check_settings(self._settings, is_accepted=is_accepted)

    def _check_network(self) -> Iterator[Check]:
        started = time.monotonic()
        self._client.measure_offset()
        trip_ms = round((time.monotonic() - started) * 1000)
        yield passed(_NETWORK, f"{self._environment.base_url} responds within {trip_ms} ms")
        yield compare_clocks(self._client)

    def _check_stream(self) -> Check:
        """Open a stream as the bot does: its host differs from the REST host, and its certificate is checked too."""
        url = self._environment.ws_url
        try:
            Connection(f"{url}/stream?streams={_ANY_STREAM}", self._clock, _STREAM_TIMING).close()
        except SSLCertVerificationError as error:
            problem = f"the certificate of {url} is not trusted ({error.verify_message})"
            return failed(_STREAM, problem, _CHECK_CERTIFICATE)
        except (WebSocketException, OSError) as error:
            return failed(_STREAM, f"{url} cannot be reached ({error})", _CHECK_CONNECTION)
        return passed(_STREAM, f"{url} can be reached")

    def _check_credentials(self, credentials: AnyCredentials) -> Iterator[Check]:
        hedge_mode = self._settings.globals_.hedge_mode if self._settings else None
        checker = CredentialChecker(self._environment.base_url, self._environment.network, self._clock, self._limits)
        found = checker.check(credentials, hedge_mode=hedge_mode)
        return (check for check in found if check.name != CLOCK)  # already checked

    def _downgrade_on_paper(self, check: Check) -> Check:
        """Turn failures into warnings for paper trading, which needs no key."""
        is_simulated = self._settings is not None and self._settings.globals_.simulate_only
        return replace(check, level=CheckLevel.WARN) if is_simulated and check.level is CheckLevel.FAIL else check

    def _check_settings(self, settings: Settings, *, is_accepted: bool) -> Iterator[Check]:
        try:
            listed = AsterMarket(self._client).list_instruments()
        except (ExchangeError, ProtocolError) as error:
            yield explain_failure(_RULES, error)
            return
        has_account = self._environment.credentials is not None and is_accepted
        brackets = self._brackets() if has_account else {}
        snapshot = self._snapshot() if has_account and not settings.globals_.simulate_only else None
        for name, each in settings.symbols.items():
            listing = self._listing(name, listed.instruments.get(name), brackets.get(name, ()))
            problem = next((gap.problem for gap in listed.incomplete if gap.symbol == name), "")
            listing = replace(listing, problem=problem)
            if isinstance(snapshot, Snapshot):
                listing = with_account(listing, snapshot, brackets)
            yield from check_symbol(name, each, settings.globals_, listing)
        if isinstance(snapshot, Snapshot):
            yield from check_account(settings, snapshot)
        elif snapshot is not None:
            yield snapshot

    def _brackets(self) -> Mapping[str, Brackets]:
        try:
            return wire.parse_brackets(self._client.request(endpoints.LEVERAGE_BRACKETS, essential=False))
        except (ExchangeError, ProtocolError):
            return {}  # leverage is then checked when the bot sets it

    def _listing(self, name: str, instrument: Instrument | None, brackets: Brackets) -> SymbolListing:
        price: Decimal | None = None
        if instrument is not None and instrument.is_trading:
            try:
                depth = self._client.request(endpoints.DEPTH, {"symbol": name, "limit": "5"}, essential=False)
                price = wire.parse_depth(depth, name, self._clock.now_ms()).mid_price
            except (ExchangeError, ProtocolError):
                price = None
        return SymbolListing(instrument, price, brackets)

    def _snapshot(self) -> Snapshot | Check:
        """The account, or why it cannot be read."""
        try:
            return AsterExchange(self._client).snapshot("check")
        except (ExchangeError, ProtocolError) as error:
            return explain_failure(_ACCOUNT, error)


def with_account(listing: SymbolListing, snapshot: Snapshot, brackets: Mapping[str, Brackets]) -> SymbolListing:
    """Add what backs the symbol in this account. Pure."""
    instrument = listing.instrument
    if instrument is None:
        return listing
    held = [each for each in snapshot.balances if each.asset == instrument.quote_asset]
    balance = sum((each.wallet_balance for each in held), ZERO)
    wallet = sum((each.cross_wallet_balance for each in held), ZERO)
    if snapshot.multi_assets_mode:
        balance, wallet = snapshot.account.wallet_balance, snapshot.account.shared_wallet
    others = [
        (each.unrealized_pnl, maintenance_margin(brackets[each.symbol], abs(each.quantity) * each.mark_price))
        for each in snapshot.positions
        if each.symbol != instrument.symbol and each.quantity and each.symbol in brackets
        if each.margin_type is not MarginType.ISOLATED
    ]
    collateral = crossed_collateral(wallet, others)
    return replace(listing, balance=balance, collateral=collateral, is_account_known=bool(listing.brackets))


def check_account(settings: Settings, snapshot: Snapshot) -> Iterator[Check]:
    """Check the account's modes, margin and external orders and positions against the settings. Pure."""
    setup = plan_account_setup(settings, snapshot)
    for sentence in setup.conflicts:
        conflict, _, remedy = sentence.partition(": ")
        yield failed(_ACCOUNT, conflict, remedy or "change the setting or the account")
    unsettable = unsettable_symbols(settings)
    for name, reason in unsettable.items():
        problem, _, remedy = reason.partition(": ")
        yield failed(name, f"no entry is made: {problem}", remedy)
    if setup.commands:
        changes = ", ".join(describe(command) for command in setup.commands)
        yield warned(_ACCOUNT, f"the bot will set at startup: {changes}", "nothing to do if this is intended")
    yield from _check_margin(settings, snapshot)
    for name in settings.symbols:
        if _has_external_activity(name, snapshot):
            remedy = "close and cancel them to let the bot trade this symbol"
            yield warned(name, "there may be external orders or positions; the bot ignores them", remedy)
    if not (setup.commands or setup.conflicts or unsettable):
        yield passed(_ACCOUNT, "matches the settings")


def _check_margin(settings: Settings, snapshot: Snapshot) -> Iterator[Check]:
    smallest = min((each.trade_value_usdt for each in settings.symbols.values()), default=ZERO)
    available = snapshot.account.available_balance
    if available < smallest:
        message = f"{available:,.2f} USDT available, one entry needs {smallest:f} margin"
        yield failed(_ACCOUNT, message, "transfer USDT to the futures account, or lower trade_value_usdt")


def _has_external_activity(symbol: str, snapshot: Snapshot) -> bool:
    """Whether the symbol may have external orders or positions. The bot's own positions have open orders of the bot."""
    orders = [order for order in snapshot.open_orders if order.symbol == symbol]
    is_ours = any(ClientOrderId.parse(order.client_order_id) is not None for order in orders)
    is_external = any(ClientOrderId.parse(order.client_order_id) is None for order in orders)
    is_held = any(report.symbol == symbol and report.quantity for report in snapshot.positions)
    return is_external or (is_held and not is_ours)
