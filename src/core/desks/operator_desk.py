"""What the person asks for: pause, resume, halt, flatten, close. Each is answered in the journal; those of the
dashboard by their number, those of the command line, which come as files, under number 0."""

import logging
from collections.abc import Callable
from functools import partial
from typing import assert_never

from src.core.books import Holding
from src.core.desks.closing import ClosingDesk
from src.core.desks.consent_desk import ConsentDesk
from src.core.desks.desk import Desk
from src.core.desks.lock_desk import LockDesk
from src.core.desks.second_bot import SecondBotDesk
from src.core.desks.symbol_locks import SymbolLockDesk
from src.core.operator.consent_prompt import TermsTyped
from src.core.operator.operator_files import FileRequest, HaltSeen, lift_halt, remove_request
from src.core.standing import Obstacle
from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction, OperatorCommand

log = logging.getLogger("hunter.operator")

_STATE = "operator"
_BY_FILE = 0
_REQUESTS_KNOWN = 20
_LOCKS = (Obstacle.LOCK, Obstacle.BOOKS)
_ENDED_AT_ONCE = (
    Obstacle.OPERATOR_PAUSE,
    Obstacle.OPERATOR_HALT,
    Obstacle.PROTECT_ONLY,
    Obstacle.CRASH_LOOP,
)
_NO_ENTRIES = (Obstacle.OPERATOR_HALT, Obstacle.HALT_FILE, *_LOCKS, Obstacle.CONSENT, Obstacle.STOPPING)


class OperatorDesk:
    """Carries out operator commands once each, and remembers pause, halt and locks across restarts."""

    def __init__(
        self,
        desk: Desk,
        closing: ClosingDesk,
        symbol_locks: SymbolLockDesk,
        second_bot: SecondBotDesk,
        consent: ConsentDesk,
    ) -> None:
        self._desk = desk
        self._symbol_locks = symbol_locks
        self._second_bot = second_bot
        self._closing = closing
        self._consent = consent
        self._last_id = 0
        self._called_off: set[str] = set()
        self._locks = LockDesk(desk)
        self._halt_file: HaltSeen | None = None
        self._requests: list[str] = []
        """Names of the newest requests that were carried out."""
        self._actions: dict[OperatorAction, Callable[[OperatorCommand], str]] = {
            OperatorAction.PAUSE: self._pause,
            OperatorAction.RESUME: self._resume,
            OperatorAction.HALT: self._halt,
            OperatorAction.FLATTEN: self._flatten,
            OperatorAction.CLOSE_POSITION: self._close_position,
            OperatorAction.CANCEL_ENTRY: self._cancel_entry,
            OperatorAction.CONFIRM_LIVE: self._confirm_live,
            OperatorAction.RESTART: self._restart,
        }

    def restore(self) -> int:
        """Take up where the last run ended; the number of the last command that was carried out."""
        known = self._desk.store.get_state(_STATE) or {}
        # Wishes are numbered by the clock: those older than a lost ledger are not carried out again.
        self._last_id = int(known.get("last_id", self._desk.clock.now_ms()))
        self._requests = list(known.get("requests", ()))
        if known.get("paused"):
            self._desk.standing.raise_obstacle(Obstacle.OPERATOR_PAUSE, "entries are paused by the operator")
        if known.get("halted"):
            self._desk.standing.raise_obstacle(Obstacle.OPERATOR_HALT, "halted by the operator")
        self._locks.restore()
        self._symbol_locks.restore()
        self._second_bot.restore()
        return self._last_id

    def follow_up(self) -> None:
        """A halt reaches entries that were on their way; what an entry filled after "close all" is closed as well."""
        self._locks.check()
        if any(map(self._desk.standing.has, _NO_ENTRIES)):
            self.cancel_entries(at_once=False)
        for holding in self._desk.books.open_holdings():
            if holding.entry in self._called_off:
                self._close(holding)
        at_work = {order.client_order_id for order in self._desk.books.entries_at_work()}
        self._called_off &= at_work | {holding.entry or "" for holding in self._desk.books.open_holdings()}

    def _on_command(self, command: OperatorCommand) -> None:
        """Carry it out once; a command seen before changes nothing."""
        if command.id <= self._last_id:
            return
        action = self._actions.get(command.action)
        answer = action(command) if action else "the settings could not be read: the old ones stay in force"
        self.conclude(command.id, command.action, answer)

    def on_wish(self, event: OperatorCommand | HaltSeen | FileRequest | TermsTyped) -> None:
        """What a person asks for, by the dashboard, by a file or at the terminal."""
        match event:
            case OperatorCommand():
                self._on_command(event)
            case HaltSeen():
                self._on_halt_file(event)
            case FileRequest():
                self._on_request(event)
            case TermsTyped():
                self.conclude(_BY_FILE, OperatorAction.CONFIRM_LIVE, self._consent.confirm(event.fingerprint))
            case _:
                assert_never(event)

    def _on_request(self, event: FileRequest) -> None:
        if event.file.name not in self._requests:
            self._requests = [*self._requests[1 - _REQUESTS_KNOWN :], event.file.name]
            command = OperatorCommand(_BY_FILE, event.action, event.at)
            self.conclude(_BY_FILE, event.action, self._actions[event.action](command))
        self._desk.after_commit.append(partial(remove_request, event.file))

    def _on_halt_file(self, event: HaltSeen) -> None:
        self._halt_file, was_halted = event, self._desk.standing.has(Obstacle.HALT_FILE)
        if event.since is None:
            self._desk.standing.clear(Obstacle.HALT_FILE)
            if was_halted:
                self.conclude(_BY_FILE, OperatorAction.RESUME, "the file HALT is gone")
        elif not was_halted:
            self._desk.standing.raise_obstacle(Obstacle.HALT_FILE, "halted by the file HALT beside the database")
            answer = f"the file HALT is there; {self.cancel_entries()} open entries are being cancelled"
            self.conclude(_BY_FILE, OperatorAction.HALT, f"{answer}, positions stay protected")

    def conclude(self, command_id: int, action: OperatorAction, answer: str) -> None:
        """Write what was done, under the command's number."""
        self._last_id = max(self._last_id, command_id)
        standing = self._desk.standing
        state = {
            "last_id": self._last_id,
            "paused": standing.has(Obstacle.OPERATOR_PAUSE),
            "halted": standing.has(Obstacle.OPERATOR_HALT),
            "requests": self._requests,
        }
        self._desk.store.set_state(_STATE, state)
        log.warning("operator: %s: %s", action, answer)
        self._desk.tell("command", {"id": command_id, "action": action, "message": answer})

    def _pause(self, _: OperatorCommand) -> str:
        self._desk.standing.raise_obstacle(Obstacle.OPERATOR_PAUSE, "entries are paused by the operator")
        return "entries are paused; positions stay protected"

    def _resume(self, command: OperatorCommand) -> str:
        """One resume ends whatever a person or a limit began: pause, halt, a HALT file that is older, a lock."""
        for obstacle in _ENDED_AT_ONCE:
            self._desk.standing.clear(obstacle)
        self._lift_halt_file(command.at)
        lock = self._locks.lift()
        lifted = "" if lock is None else f"; the lock is lifted: {lock}"
        self._second_bot.lift()
        symbols = self._symbol_locks.lift()
        lifted += f"; entries are allowed again in {', '.join(symbols)}" if symbols else ""
        reason = self._desk.standing.reason
        answer = f"resumed, but entries still wait: {reason}" if reason else "entries are made again"
        return answer + lifted

    def _lift_halt_file(self, asked_at: int) -> None:
        seen = self._halt_file
        if seen is not None and seen.since is not None and seen.since <= asked_at:
            self._desk.standing.clear(Obstacle.HALT_FILE)
            self._desk.after_commit.append(partial(lift_halt, seen.file, asked_at))

    def _halt(self, _: OperatorCommand) -> str:
        self._desk.standing.raise_obstacle(Obstacle.OPERATOR_HALT, "halted by the operator")
        return f"halted; {self.cancel_entries()} open entries are being cancelled, positions stay protected"

    def _flatten(self, command: OperatorCommand) -> str:
        self._pause(command)
        self._called_off |= {order.client_order_id for order in self._desk.books.entries_at_work()}
        cancelled = self.cancel_entries()
        ours = [holding for holding in self._desk.books.open_holdings() if holding.is_ours]
        for holding in ours:
            self._close(holding)
        return f"entries are paused, {cancelled} are being cancelled, {len(ours)} positions are being closed"

    def _close_position(self, command: OperatorCommand) -> str:
        found = [
            holding
            for holding in self._desk.books.holdings_of(command.symbol or "")
            if command.position_side in (None, holding.position.position_side)
        ]
        if not found:
            return f"no open position of {command.symbol}"
        holding = found[0]
        if not holding.is_ours:
            return f"the position of {command.symbol} is not the bot's: it is left alone"
        holding.settle_question()
        if command.fraction >= 1:
            self._close(holding)
            return f"the position of {command.symbol} is being closed"
        is_sent = self._closing.reduce(holding, abs(holding.position.quantity) * command.fraction)
        share = f"{command.fraction * 100:.0f} %"
        if not is_sent:
            return f"nothing was sent: a close of {command.symbol} is under way, or the share is too small"
        return f"{share} of {command.symbol} is being closed"

    def _cancel_entry(self, command: OperatorCommand) -> str:
        order = self._desk.books.orders.get(command.client_order_id or "")
        if order is None or not order.is_open or order.role is not OrderRole.ENTRY:
            return "no such open entry"
        self._desk.cancel(order, at_once=True)
        return f"the entry of {order.symbol} is being cancelled"

    def _confirm_live(self, command: OperatorCommand) -> str:
        return self._consent.confirm(command.terms or "")

    def _restart(self, command: OperatorCommand) -> str:
        self._desk.after_commit.append(partial(self._desk.restart.take, command.at))
        return self._desk.restart.answer(command.at)

    def _close(self, holding: Holding) -> None:
        self._closing.demand(holding, "the operator asked for it")
        self._closing.work(holding)

    def cancel_entries(self, *, at_once: bool = True) -> int:
        """Ask for the end of every entry that may still fill; how many there are. ``at_once`` is a person's word, which
        waits for no pause between tries that were refused."""
        entries = self._desk.books.open_orders(role=OrderRole.ENTRY)
        for order in entries:
            self._desk.cancel(order, at_once=at_once)
        return len(entries)
