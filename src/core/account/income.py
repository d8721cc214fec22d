"""Income history: funding and transfers, and results of manual trades. Each is read until it is complete."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal

from src.core.account import wallet
from src.core.context import TraderContext
from src.domain.assets import dollar_value
from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.commands import FetchIncome
from src.domain.enums import IncomeType
from src.domain.events import AccountUpdate, IncomeFetched
from src.domain.numbers import ZERO, trimmed
from src.domain.positions import Balance, Income, Snapshot

log = logging.getLogger("hunter.account")

RESULT_TYPES = (IncomeType.REALIZED_PNL, IncomeType.COMMISSION, IncomeType.INSURANCE_CLEAR)
"""The income types that make up the result of a trade."""

_STATE = "income"
_FUNDING_REASON = "FUNDING_FEE"
_TRANSFER_REASONS = frozenset(
    {
        "DEPOSIT",
        "WITHDRAW",
        "WITHDRAW_REJECT",
        "ADMIN_DEPOSIT",
        "ADMIN_WITHDRAW",
        "ASSET_TRANSFER",
        "AUTO_EXCHANGE",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
    }
)
"""Reasons of account updates that move assets in or out and are no result (Event: Balance and Position Update)."""
_OTHER_REASONS = frozenset(
    {
        "ORDER",
        _FUNDING_REASON,
        "ADJUSTMENT",
        "INSURANCE_CLEAR",
        "MARGIN_TRANSFER",
        "MARGIN_TYPE_CHANGE",
        "OPTIONS_PREMIUM_FEE",
        "OPTIONS_SETTLE_PROFIT",
    }
)
"""The other documented reasons. A balance that changes for none of them is moved: ``bc`` excludes PnL and fees."""
_PAUSES_MS = tuple(seconds * 1000 for seconds in (5, 15, 60, 120, 300, 600, 1800, 3600))
_MAX_ATTEMPTS = 14
"""About eight hours; the next payment asks again in any case."""
_MAX_EMPTY_RESULTS = 5
_FEES_EVERY_MS = 10 * MINUTE_MS
_FEES_SINCE_MS = DAY_MS
"""How old a fill without a fee may be that is asked for again after a restart."""
_ANSWER_TIMEOUT_MS = 60_000
_OVERLAP_MS = MINUTE_MS
_MATCH_MS = 10 * MINUTE_MS
"""Largest difference between the time of an account update and that of its row in the history."""
_EARLY_MS = MINUTE_MS
_OPEN_TOLERANCE_MS = 1_000
_SPANS_KEPT_MS = 8 * DAY_MS

ReadKey = tuple[IncomeType, str | None]


@dataclass(frozen=True, slots=True)
class Announced:
    """A payment that an account update announced and the history must contain."""

    asset: str
    amount: Decimal
    """0 if the update did not say it."""
    at: int

    def fits(self, income: Income) -> bool:
        """Whether it may be this payment, whatever its amount."""
        return self.asset in ("", income.asset) and abs(income.paid_at - self.at) <= _MATCH_MS


@dataclass(slots=True)
class IncomeRead:
    """A part of the history that is asked for until it is complete."""

    since_ms: int
    announced: list[Announced] = field(default_factory=list)
    attempts: int = 0
    ask_at: int = 0
    """Monotonic time of the next request."""
    rows: int = 0
    """How many rows the last answer had, for results: they are complete when another answer has no more."""


class IncomeSync:
    """Completes funding, transfers and results of manual trades from the income history (Get Income History).

    A failed, empty or lagging answer is asked for again with growing pauses.
    """

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._reads: dict[ReadKey, IncomeRead] = {}
        self._seen_at: int | None = None
        """When the account was first read."""
        self._funding_since: int | None = None
        self._matched: set[tuple[int, str]] = set()
        """Rows that an announced payment was found in."""
        self._recorded: set[tuple[int, str, str]] = set()
        self._stream_transfers: list[Announced] = []
        """Transfers counted from the stream whose rows of the history have not been read yet."""
        self._early_transfers: list[Announced] = []
        """Transfers counted from the history whose account updates have not arrived yet."""
        self._transfers_since: int | None = None
        self._counted_since: int | None = None
        """When the account was first read, ms UTC; kept across restarts."""
        self._awaits_transfers = False
        """The transfers of a time without the stream have not been read yet."""
        self._transferred_at: int | None = None
        """Local time of a transfer that the wallet may not contain yet."""
        self._results_since: dict[str, int] = {}
        """Symbols whose results of manual trades are being completed, and since when."""
        self._held: dict[str, list[list[int | None]]] = {}
        """When the bot held positions of a symbol: opening and end of each, ms UTC."""

    def restore(self) -> None:
        """Load the state of the last run in this mode."""
        known = self._context.store.get_state(self._context.mode_key(_STATE)) or {}
        self._context.transfers = Decimal(known.get("transfers", 0))
        self._transfers_since = known.get("transfers_since")
        self._counted_since = known.get("counted_since", self._transfers_since)
        self._stream_transfers = [
            Announced(each["asset"], Decimal(each["amount"]), each["at"]) for each in known.get("stream_transfers", ())
        ]
        self._held = {symbol: [list(span) for span in spans] for symbol, spans in known.get("held", {}).items()}
        self._context.fills_without_fee.update(
            self._context.store.fills_without_fee(self._context.clock.now_ms() - _FEES_SINCE_MS)
        )
        for symbol, since_ms in known.get("results_since", {}).items():
            self.complete_results(symbol, since_ms)

    def on_snapshot(self, snapshot: Snapshot, *, is_stream_complete: bool) -> None:
        """Read what was missed, at the first snapshot and after a time without the user data stream."""
        is_first, self._seen_at = self._seen_at is None, self._seen_at or snapshot.requested_at
        if self._transferred_at is not None and snapshot.requested_at >= self._transferred_at:
            self._transferred_at = None
        if self._counted_since is None:
            self._counted_since = snapshot.requested_at
            self._save()
        if is_first or not is_stream_complete:
            self._request((IncomeType.FUNDING_FEE, None), self._funding_start(snapshot.requested_at))
            self._awaits_transfers = True
            self._request((IncomeType.TRANSFER, None), self._transfers_since or snapshot.requested_at)
        self._update_hold()

    def on_account_update(self, update: AccountUpdate) -> None:
        """Ask for a payment that the update announces; count a transfer at once."""
        if update.reason == _FUNDING_REASON:
            self._request((IncomeType.FUNDING_FEE, None), self._funding_start(update.changed_at), _announced(update))
        elif update.reason in _TRANSFER_REASONS:
            self._on_transfer(update)
        elif update.reason not in _OTHER_REASONS and any(each.change for each in update.balances):
            log.warning("balance changed for an unknown reason=%s", update.reason)
            self._on_transfer(update)
            self._request((IncomeType.FUNDING_FEE, None), self._funding_start(update.changed_at))

    def complete_results(self, symbol: str, since_ms: int) -> None:
        """Store the results of all trades of the symbol since an instant that are not our own fills.

        For a position that our fills do not explain, after it has ended. It is asked until the history has answered,
        also across restarts; what is stored counts in the results of the symbol.
        """
        since_ms = min(since_ms, self._results_since.get(symbol, since_ms))
        self._results_since[symbol] = since_ms
        for kind in RESULT_TYPES:
            self._request((kind, symbol), since_ms)
        self._save()

    def on_fetched(self, event: IncomeFetched) -> None:
        """Store what is new, and ask again later for what is still missing."""
        self._note_held()
        for income in event.incomes:
            self._record(income)
        key = event.type, event.symbol
        read = self._reads.get(key)
        if event.type is IncomeType.TRANSFER:
            self._awaits_transfers = False
            self._update_hold()
        if read is not None:
            read.announced = self._still_missing(read.announced, event.incomes)
            if self._is_complete(key, read, event.incomes):
                del self._reads[key]
                self._on_complete(key, event.at)
            else:
                self._postpone(key, read)
        self._save()

    def on_failed(self, command: FetchIncome) -> None:
        """Ask again after a pause."""
        key = command.type, command.symbol
        read = self._reads.get(key)
        if read is not None:
            self._postpone(key, read)

    def check(self) -> None:
        """Called every second: note which positions the bot holds, and ask again for what is due."""
        if self._note_held():
            self._save()
        self._request_missing_fees()
        now_ms = self._context.clock.monotonic_ms()
        for key, read in self._reads.items():
            if self._seen_at is not None and now_ms >= read.ask_at:
                self._ask(key, read)

    def _request_missing_fees(self) -> None:
        """Ask for the commission of fills that were reported without one, at most every ten minutes per symbol."""
        for symbol, since_ms in list(self._context.fills_without_fee.items()):
            if self._context.may_request(f"fees {symbol}", _FEES_EVERY_MS):
                del self._context.fills_without_fee[symbol]
                self._request((IncomeType.COMMISSION, symbol), since_ms)

    # Reading until complete

    def _request(self, key: ReadKey, since_ms: int, announced: Iterable[Announced] = ()) -> None:
        read = self._reads.setdefault(key, IncomeRead(since_ms))
        read.announced += announced
        read.since_ms = min([read.since_ms, since_ms, *(each.at for each in read.announced)])
        read.attempts = read.rows = 0
        if self._seen_at is not None:
            self._ask(key, read)

    def _ask(self, key: ReadKey, read: IncomeRead) -> None:
        read.ask_at = self._context.clock.monotonic_ms() + _ANSWER_TIMEOUT_MS
        kind, symbol = key
        self._context.queue_command(FetchIncome(read.since_ms - _OVERLAP_MS, kind, symbol))

    def _postpone(self, key: ReadKey, read: IncomeRead) -> None:
        read.attempts += 1
        pause_ms = _PAUSES_MS[min(read.attempts, len(_PAUSES_MS)) - 1]
        read.ask_at = self._context.clock.monotonic_ms() + pause_ms
        if read.attempts >= _MAX_ATTEMPTS and read.announced:
            if key[0] is IncomeType.FUNDING_FEE:
                missing = ", ".join(f"{trimmed(each.amount)} {each.asset}" for each in read.announced)
                self._context.warn(
                    f"the funding of {missing} is not in the exchange's income history, so the results lack it. "
                    "Compare them with the transaction history on the exchange's site"
                )
            read.announced.clear()  # the next answer ends the read

    def _is_complete(self, key: ReadKey, read: IncomeRead, incomes: Sequence[Income]) -> bool:
        kind, _ = key
        if kind in (IncomeType.REALIZED_PNL, IncomeType.COMMISSION):
            before, read.rows = read.rows, sum(self._is_wanted(each, read) for each in incomes)
            return 0 < read.rows == before or read.attempts >= _MAX_EMPTY_RESULTS
        return not read.announced

    def _is_wanted(self, income: Income, read: IncomeRead) -> bool:
        """Whether a row is one that the read is for: of a manual trade, or the fee of a fill of ours without one."""
        is_result = income.symbol in self._results_since
        is_ours = is_result and self._context.store.has_trade(income.symbol, income.trade_id or 0)
        return income.paid_at >= read.since_ms and not is_ours

    def _on_complete(self, key: ReadKey, at: int) -> None:
        kind, symbol = key
        if kind is IncomeType.TRANSFER:
            self._transfers_since = at - _MATCH_MS
        elif symbol is not None and not any((each, symbol) in self._reads for each in RESULT_TYPES):
            self._results_since.pop(symbol, None)

    def _still_missing(self, announced: Iterable[Announced], incomes: Iterable[Income]) -> list[Announced]:
        """The announced payments that the rows do not contain, each row counted once.

        One update may announce the sum of several rows, as one for all crossed positions does.
        """
        missing: list[Announced] = []
        for each in announced:
            free = [row for row in incomes if (row.transaction_id, row.symbol) not in self._matched and each.fits(row)]
            found = [row for row in free if each.amount in (ZERO, row.amount)][:1]
            if not found and sum((row.amount for row in free), ZERO) == each.amount:
                found = free
            self._matched.update((row.transaction_id, row.symbol) for row in found)
            if not found:
                missing.append(each)
        return missing

    # Recording

    def _record(self, income: Income) -> None:
        value = dollar_value(income.asset, income.amount, self._context.mark_price)
        match income.type:
            case IncomeType.FUNDING_FEE:
                self._record_funding(income, value)
            case IncomeType.TRANSFER:
                self._record_transfer(income, value)
            case IncomeType.REALIZED_PNL | IncomeType.COMMISSION | IncomeType.INSURANCE_CLEAR:
                self._record_result(income, value)
            case _:
                pass  # no result of trading

    def _record_funding(self, income: Income, value: Decimal | None) -> None:
        self._funding_since = max(self._funding_since or 0, income.paid_at)
        is_external = not self._held_at(income.symbol, income.paid_at)
        if not self._context.store.record_funding(income, value, is_external=is_external):
            return
        log.info(
            "funding recorded symbol=%s amount=%s asset=%s external=%s",
            *(income.symbol, income.amount, income.asset, is_external),
        )
        payload = {
            "external_funding" if is_external else "funding": income.amount,
            "asset": income.asset,
            "at": income.paid_at,
        }
        self._context.journal("account", payload, income.symbol)

    def _record_transfer(self, income: Income, value: Decimal | None) -> None:
        """Count a transfer once: those that the stream reported are counted already.

        The wallet that was seen first contains every earlier one.
        """
        if income.paid_at < (self._counted_since or 0):
            return
        if not self._is_new(income) or not self._context.store.record_external_income(income, value):
            return
        row = Announced(income.asset, income.amount, income.paid_at)
        known = next((each for each in self._stream_transfers if each.amount == row.amount and each.fits(income)), None)
        if known is None:
            self._early_transfers.append(row)
            self._count_transfer(row)
            self._journal_transfer(row)
        else:
            self._stream_transfers.remove(known)

    def _record_result(self, income: Income, value: Decimal | None) -> None:
        if income.type == IncomeType.COMMISSION and self._context.store.complete_fee(income, value):
            return
        is_trade = income.trade_id is not None or income.type == IncomeType.INSURANCE_CLEAR
        if not is_trade or self._context.store.has_trade(income.symbol, income.trade_id or 0):
            return
        if not self._held_at(income.symbol, income.paid_at):
            return  # after a person took the position over, or before it was opened
        if self._is_new(income) and self._context.store.record_external_income(income, value):
            log.info("result of a manual trade symbol=%s type=%s amount=%s", income.symbol, income.type, income.amount)

    def _is_new(self, income: Income) -> bool:
        """Whether this run has not recorded the row: the database cannot say so while it cannot be written."""
        key = income.transaction_id, income.type, income.symbol
        is_new = key not in self._recorded
        self._recorded.add(key)
        return is_new

    # Transfers

    def _on_transfer(self, update: AccountUpdate) -> None:
        moved = [
            each
            for each in (Announced(row.asset, row.change, update.changed_at) for row in update.balances if row.change)
            if not self._is_counted_early(each)
        ]
        for each in moved:
            self._count_transfer(each)
            self._journal_transfer(each)
            if self._context.multi_assets_mode:
                self._add_to_totals(each)
        self._stream_transfers += moved
        self._transferred_at = self._context.clock.now_ms()
        self._update_hold()
        self._context.request_snapshot("a transfer", repeat_if_pending=True)
        self._request((IncomeType.TRANSFER, None), update.changed_at, _announced(update))
        self._save()

    def _is_counted_early(self, transfer: Announced) -> bool:
        """Whether the history had it before its account update arrived, so that it is counted already."""
        for row in self._early_transfers:
            if (row.asset, row.amount) == (transfer.asset, transfer.amount) and abs(row.at - transfer.at) < _EARLY_MS:
                self._early_transfers.remove(row)
                return True
        return False

    def _count_transfer(self, transfer: Announced) -> None:
        """Add to the net transfers what enters or leaves the wallet that is counted."""
        assets = wallet.margin_assets(self._context)
        if assets and transfer.asset not in assets:
            return
        value = dollar_value(transfer.asset, transfer.amount, self._context.mark_price)
        if value is None:
            self._context.warn(
                f"a transfer of {transfer.amount} {transfer.asset} cannot be valued: no mark price is known. If "
                "max_drawdown_pct locks because of it, resume"
            )
            return
        self._context.transfers += value

    def _journal_transfer(self, transfer: Announced) -> None:
        log.info("transfer recorded amount=%s asset=%s", transfer.amount, transfer.asset)
        payload = {"transfer": transfer.amount, "asset": transfer.asset, "at": transfer.at}
        self._context.journal("account", payload)

    def _add_to_totals(self, transfer: Announced) -> None:
        account = self._context.account
        value = dollar_value(transfer.asset, transfer.amount, self._context.mark_price)
        if account is not None and value is not None:
            self._context.account = replace(
                account,
                wallet_balance=account.wallet_balance + value,
                margin_balance=account.margin_balance + value,
            )

    def _update_hold(self) -> None:
        """While transfers may be missing, in their sum or in the wallet, the equity peak must not rise."""
        is_unknown = self._awaits_transfers or self._transferred_at is not None
        since = self._context.transfers_unknown_since
        if not is_unknown:
            self._context.transfers_unknown_since = None
        elif since is None:
            self._context.transfers_unknown_since = self._context.clock.monotonic_ms()

    # Whose funding it is

    def _note_held(self) -> bool:
        """Note since when and until when the bot holds a position of each symbol; True if that changed."""
        now_ms, held = self._context.clock.now_ms(), dict[str, int]()
        for (symbol, _), tracked in self._context.portfolio.tracked_positions.items():
            if tracked.is_managed and tracked.opened_at:
                held[symbol] = min(tracked.opened_at, held.get(symbol, tracked.opened_at))
        has_changed = False
        for symbol in held.keys() | self._held.keys():
            spans = self._held.setdefault(symbol, [])
            is_open = bool(spans) and spans[-1][1] is None
            if symbol in held and not is_open:
                spans.append([held[symbol], None])
                spans[:] = [each for each in spans if each[1] is None or each[1] > now_ms - _SPANS_KEPT_MS]
            elif symbol not in held and is_open:
                spans[-1][1] = now_ms
            else:
                continue
            has_changed = True
        return has_changed

    def _held_at(self, symbol: str, at: int) -> bool:
        """Whether the bot held a position of the symbol."""
        return any(
            (opened or 0) - _OPEN_TOLERANCE_MS <= at and (ended is None or at <= ended + _OPEN_TOLERANCE_MS)
            for opened, ended in self._held.get(symbol, ())
        )

    def _funding_start(self, now_ms: int) -> int:
        """Time of the last recorded payment, else of the oldest open position or the first snapshot."""
        if self._funding_since is None:
            opened = [each.opened_at for each in self._context.portfolio.open_positions() if each.opened_at]
            last = self._context.store.last_funding_at()
            self._funding_since = last or min([*opened, self._seen_at or now_ms])
        return self._funding_since

    def _save(self) -> None:
        state = {
            "transfers": self._context.transfers,
            "transfers_since": self._transfers_since,
            "counted_since": self._counted_since,
            "stream_transfers": [asdict(each) for each in self._stream_transfers],
            "results_since": self._results_since,
            "held": self._held,
        }
        self._context.store.set_state(self._context.mode_key(_STATE), state)


def _announced(update: AccountUpdate) -> list[Announced]:
    """What an update announces: the change of each balance, or one of unknown amount."""
    known = [Announced(each.asset, each.change, update.changed_at) for each in update.balances if each.change]
    first: Balance | None = next(iter(update.balances), None)
    return known or [Announced(first.asset if first else "", ZERO, update.changed_at)]
