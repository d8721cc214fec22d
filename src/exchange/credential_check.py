"""Test API credentials: clock, access, permission to trade, balance and position mode.

Nothing changes at the exchange. The only write is a cancel of an order that does not exist: the exchange always rejects
it, and the error code shows whether the key may trade.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from src.credentials.credentials import AnyCredentials
from src.domain.api_wallet import WITHDRAW_RISK
from src.domain.checks import Check, CheckLevel, failed, passed, warned
from src.domain.clock import MAX_CLOCK_OFFSET_MS, Clock
from src.domain.enums import Network
from src.domain.errors import ExchangeError, ProtocolError, RateLimited, Rejected
from src.domain.positions import AccountSummary
from src.exchange import endpoints, responses, wire
from src.exchange.client import AsterClient
from src.exchange.endpoints import Endpoint
from src.exchange.limits import RateLimits

CLOCK, ACCESS, TRADING, BALANCE, MODE = "clock", "access", "right to trade", "balance", "position mode"
WALLET = "API wallet"
"""The bot places no entries beyond this offset (I25)."""
_NOTABLE_CLOCK_OFFSET_MS = 500
_CLOCK_RETRIES = 2
_MAX_MESSAGE_LENGTH = 300
_SYNC_CLOCK = "sync this machine's clock (NTP)"
_CHECK_PERMISSIONS = "check the permissions of the key or API wallet on Aster's site"
_CHECK_CONNECTION = "check the internet connection and try again in a minute"


class CredentialChecker:
    """Implements ``CredentialCheck`` over REST; it does not store the credentials."""

    def __init__(self, base_url: str, network: Network, clock: Clock, limits: RateLimits | None = None) -> None:
        self._base_url = base_url
        self._network = network
        self._clock = clock
        self._limits = limits or RateLimits(clock)

    def check(self, credentials: AnyCredentials, *, hedge_mode: bool | None = None) -> tuple[Check, ...]:
        """Return one result per check; those that a failure makes impossible are left out.

        ``hedge_mode`` is the mode in the settings.
        """
        client = AsterClient(self._base_url, self._clock, self._limits, credentials.make_signer(self._network))
        result = _CredentialTest(client, hedge_mode).checks()
        return tuple(_mask(credentials.secrets, check) for check in result)


class _CredentialTest:
    """Runs the checks in order; stops if the clock or the access check fails."""

    def __init__(self, client: AsterClient, hedge_mode: bool | None) -> None:
        self._client = client
        self._hedge_mode = hedge_mode

    def checks(self) -> Iterator[Check]:
        steps: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
            (CLOCK, self._clock),
            (ACCESS, self._account),
            (TRADING, self._trading),
            (MODE, self._mode),
            (WALLET, self._wallet),
        )
        for name, step in steps:
            try:
                yield from step()
            except (ExchangeError, ProtocolError) as error:
                yield explain_failure(name, error)
                if name in (CLOCK, ACCESS):
                    return

    def _clock(self) -> Iterator[Check]:
        yield compare_clocks(self._client)

    def _account(self) -> Iterator[Check]:
        account = wire.parse_account(self._get(endpoints.ACCOUNT))
        yield passed(ACCESS, "accepted by the exchange")
        yield _balance(account)

    def _trading(self) -> Iterator[Check]:
        """Cancel an order that does not exist: a key that may trade gets "unknown order"."""
        positions = wire.read_list(self._get(endpoints.POSITIONS))
        if not positions:
            yield warned(TRADING, "not checked: the exchange lists no symbols", "try again later")
            return
        unknown_order = {
            "symbol": wire.Fields(positions[0]).text("symbol"),
            "origClientOrderId": f"check-{secrets.token_hex(8)}",
        }
        try:
            self._client.request(endpoints.CANCEL_ORDER, unknown_order, essential=False)
        except Rejected as error:
            if error.code != responses.UNKNOWN_OPEN_ORDER:
                raise
        yield passed(TRADING, "may place and cancel orders")

    def _mode(self) -> Iterator[Check]:
        is_hedge = wire.parse_position_mode(self._get(endpoints.POSITION_MODE))
        message = f"the account is in {'hedge' if is_hedge else 'one-way'} mode"
        if self._hedge_mode in (None, is_hedge):
            yield passed(MODE, message)
            return
        wanted = "hedge" if self._hedge_mode else "one-way"
        remedy = "the bot changes it at startup if no position or order is open"
        yield warned(MODE, f"{message}, the settings require {wanted}", remedy)

    def _wallet(self) -> Iterator[Check]:
        """Check when the API wallet ends, and that it may not withdraw; of an API key neither is known."""
        address, now_ms = self._client.wallet_address, self._client.clock.now_ms()
        if address is None:
            return
        try:
            wallet = wire.parse_api_wallet(self._get(endpoints.API_WALLETS), address)
        except (ExchangeError, ProtocolError) as error:
            yield warned(WALLET, f"not checked: {error}", "check its end and its rights on Aster's site")
            return
        if warning := wallet.warning(now_ms):
            message, _, remedy = warning.partition(": ")
            yield (failed if wallet.has_ended(now_ms) else warned)(WALLET, message, remedy)
        if wallet.can_withdraw:
            message, _, remedy = WITHDRAW_RISK.partition(": ")
            yield warned(WALLET, f"{message}; the bot makes no entries with it", remedy)
        elif not warning:
            addresses = wallet.allowed_addresses or "any address"
            yield passed(WALLET, f"may not withdraw, valid for more than 14 days, usable from {addresses}")

    def _get(self, endpoint: Endpoint) -> object:
        """Read with low priority, so that a running bot keeps its share of the rate limit."""
        return self._client.request(endpoint, essential=False)


def compare_clocks(client: AsterClient) -> Check:
    """Compare the local clock with the exchange's. Raises ``ExchangeError`` if the exchange's time cannot be read.

    A difference is measured again: a new connection or a busy machine distorts a single measurement.
    """
    result = check_clock(client.measure_offset())
    for _ in range(_CLOCK_RETRIES):
        if result.level is CheckLevel.OK:
            break
        result = check_clock(client.measure_offset())
    return result


def check_clock(offset_ms: int) -> Check:
    """Judge an offset: exchange clock minus local clock, in ms."""
    side = "ahead of" if offset_ms < 0 else "behind"
    message = f"this machine's clock is {abs(offset_ms)} ms {side} the exchange"
    if abs(offset_ms) > MAX_CLOCK_OFFSET_MS:
        return failed(CLOCK, f"{message}: too much to place entries", _SYNC_CLOCK)
    if abs(offset_ms) > _NOTABLE_CLOCK_OFFSET_MS:
        return warned(CLOCK, message, _SYNC_CLOCK)
    return passed(CLOCK, message)


def _balance(account: AccountSummary) -> Check:
    if account.margin_balance <= 0:
        return warned(BALANCE, "the futures account is empty", "transfer USDT to it on Aster's site")
    available, equity = _money(account.available_balance), _money(account.margin_balance)
    return passed(BALANCE, f"{equity} USDT, {available} available")


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def explain_failure(name: str, error: ExchangeError | ProtocolError) -> Check:
    """Explain a failed check and its remedy to the user."""
    match error:
        case Rejected():
            remedy = responses.remedy_for(error.code)
            reason = error.reason.removesuffix(f": {remedy}")
            return failed(name, f"rejected: {reason} ({error.code})", remedy or _CHECK_PERMISSIONS)
        case RateLimited():
            return failed(name, "the exchange's rate limit was reached", "wait a few minutes")
        case ProtocolError():
            return failed(name, f"cannot parse the exchange's response: {error}", "update this program")
        case _:
            return failed(name, f"the exchange does not respond ({error})", _CHECK_CONNECTION)


def _mask(secret_texts: tuple[str, ...], check: Check) -> Check:
    """Remove secrets from the message, in case the exchange quoted them."""
    message = check.message
    for text in secret_texts:
        message = message.replace(text, "***")
    return replace(check, message=message[:_MAX_MESSAGE_LENGTH])
