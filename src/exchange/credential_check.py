"""What the exchange says to a pair of credentials: its clock, whether it knows them, what they may do, what is there.

Nothing is changed at the exchange. The one write that is asked for is the end of an order that nobody ever placed:
it is refused either way, and the code tells whether the key may trade.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from src.credentials.credentials import AnyCredentials
from src.domain.checks import Check, CheckLevel, failed, passed, warned
from src.domain.clock import Clock
from src.domain.errors import ExchangeError, ProtocolError, RateLimited, Rejected
from src.domain.positions import AccountSummary
from src.exchange import endpoints, responses, wire
from src.exchange.client import AsterClient
from src.exchange.endpoints import Endpoint
from src.exchange.limits import RateLimits

CLOCK, ACCESS, TRADING, BALANCE, MODE = "clock", "access", "right to trade", "balance", "position mode"
MAX_CLOCK_OFFSET_MS = 1_000
"""Beyond it the bot makes no entries (SAFETY I25)."""
_NOTABLE_CLOCK_OFFSET_MS = 500
_CLOCK_RETRIES = 2
_MAX_SENTENCE_LENGTH = 300
_SYNC_CLOCK = "let this computer set its clock by the network"
_CHECK_CONNECTION = "look whether this computer is online, and try again in a minute"


class CredentialChecker:
    """The port ``CredentialCheck`` over REST. It keeps nothing of what it is given."""

    def __init__(self, base_url: str, clock: Clock, limits: RateLimits | None = None) -> None:
        self._base_url = base_url
        self._clock = clock
        self._limits = limits or RateLimits(clock)

    def check(self, credentials: AnyCredentials, *, hedge_mode: bool | None = None) -> tuple[Check, ...]:
        """One line each; what cannot be told after a failure is left out. ``hedge_mode`` is what the settings want."""
        client = AsterClient(self._base_url, self._clock, self._limits, credentials.make_signer())
        result = _CredentialTest(client, hedge_mode).checks()
        return tuple(_mask(credentials.secrets, check) for check in result)


class _CredentialTest:
    """One conversation, step by step. Without a clock or an accepted key nothing further can be told."""

    def __init__(self, client: AsterClient, hedge_mode: bool | None) -> None:
        self._client = client
        self._hedge_mode = hedge_mode

    def checks(self) -> Iterator[Check]:
        steps: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
            (CLOCK, self._clock),
            (ACCESS, self._account),
            (TRADING, self._trading),
            (MODE, self._mode),
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
        yield passed(ACCESS, "the exchange accepts it")
        yield _balance(account)

    def _trading(self) -> Iterator[Check]:
        """Cancel an order that nobody placed: whoever may trade is told that there is none."""
        positions = wire.read_list(self._get(endpoints.POSITIONS))
        if not positions:
            yield warned(TRADING, "the exchange lists no symbol to try it on", "try again later")
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
        yield passed(TRADING, "orders may be placed and cancelled with it")

    def _mode(self) -> Iterator[Check]:
        is_hedge = wire.parse_position_mode(self._get(endpoints.POSITION_MODE))
        sentence = f"the account keeps {'long and short apart (hedge)' if is_hedge else 'one position (one-way)'}"
        if self._hedge_mode in (None, is_hedge):
            yield passed(MODE, sentence)
            return
        wanted = "hedge" if self._hedge_mode else "one-way"
        remedy = "the bot changes it when it starts, if no position and no order is open by then"
        yield warned(MODE, f"{sentence}, the settings want {wanted}", remedy)

    def _get(self, endpoint: Endpoint) -> object:
        """Not essential: while the budget is short, a running bot goes first."""
        return self._client.request(endpoint, essential=False)


def compare_clocks(client: AsterClient) -> Check:
    """Looked at again where they seem to differ: a connection that is being made, or a busy machine, errs by half of
    the way. Raises ExchangeError where the exchange does not tell its time."""
    result = check_clock(client.measure_offset())
    for _ in range(_CLOCK_RETRIES):
        if result.verdict is CheckLevel.OK:
            break
        result = check_clock(client.measure_offset())
    return result


def check_clock(offset_ms: int) -> Check:
    """``offset_ms`` is the exchange's clock minus ours."""
    side = "ahead of" if offset_ms < 0 else "behind"
    sentence = f"this computer is {abs(offset_ms)} ms {side} the exchange"
    if abs(offset_ms) > MAX_CLOCK_OFFSET_MS:
        return failed(CLOCK, f"{sentence}, too far to make entries", _SYNC_CLOCK)
    if abs(offset_ms) > _NOTABLE_CLOCK_OFFSET_MS:
        return warned(CLOCK, sentence, _SYNC_CLOCK)
    return passed(CLOCK, sentence)


def _balance(account: AccountSummary) -> Check:
    if account.margin_balance <= 0:
        return warned(BALANCE, "there is nothing in the futures account", "transfer USDT to it on Aster's site")
    available, equity = _money(account.available_balance), _money(account.margin_balance)
    return passed(BALANCE, f"{equity} USDT, {available} of it available")


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def explain_failure(name: str, error: ExchangeError | ProtocolError) -> Check:
    """What a failure means for the person who pasted the key."""
    match error:
        case Rejected():
            remedy = responses.remedy_for(error.code)
            reason = error.reason.removesuffix(f": {remedy}")
            return failed(name, f"refused: {reason} ({error.code})", remedy or "look on Aster's site what it may do")
        case RateLimited():
            return failed(name, "the exchange asks for a pause, for too much was asked", "wait a few minutes")
        case ProtocolError():
            return failed(name, f"the answer is not understood: {error}", "update this program")
        case _:
            return failed(name, f"the exchange does not answer ({error})", _CHECK_CONNECTION)


def _mask(secret_texts: tuple[str, ...], check: Check) -> Check:
    """Whatever the exchange answered, nothing that must stay secret is repeated."""
    sentence = check.sentence
    for text in secret_texts:
        sentence = sentence.replace(text, "***")
    return replace(check, sentence=sentence[:_MAX_SENTENCE_LENGTH])
