"""Carries out operator commands: pause, resume, halt, flatten, close. Each is answered in the journal.

Commands of the dashboard are answered under their id, those of the command line, which arrive as files, under id 0.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import assert_never

from src.core.account.instruments import keep_removed_symbols
from src.core.context import TraderContext
from src.core.entries.evaluator import EntryEvaluator
from src.core.events import ConsentTyped, FileCommand, HaltFileChanged, SettingsChanged, SettingsRefused
from src.core.limits.live_consent import LiveConsent
from src.core.limits.loss_limits import LossLimits
from src.core.limits.symbol_locks import SymbolLocks
from src.core.operator.control_files import remove_command_file, remove_halt_file
from src.core.orders.order_identity import OrderIdentity
from src.core.portfolio import TrackedPosition
from src.core.positions.closing import PositionCloser
from src.core.positions.ownership import PositionOwnership
from src.core.trading_status import EntryBlock
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import OrderRole
from src.settings.config import (
    InvalidSetting,
    Settings,
    effective_settings,
    settings_awaiting_restart,
    settings_to_json,
)

log = logging.getLogger("hunter.operator")

_STATE = "operator_state"
SETTINGS_STATE = "settings"
"""State row of the settings in force, and of those requested if some wait for a restart."""
_CLOSE_REASON = "requested by the operator"
_FILE_COMMAND_ID = 0
_MAX_HANDLED_FILES = 20
_LOCK_BLOCKS = (EntryBlock.LOSS_LIMIT, EntryBlock.POSITION_MISMATCH)
_CLEARED_BY_RESUME = (
    EntryBlock.OPERATOR_PAUSE,
    EntryBlock.OPERATOR_HALT,
    EntryBlock.PROTECT_ONLY,
    EntryBlock.CRASH_LOOP,
)
_CANCEL_ENTRIES = (
    EntryBlock.OPERATOR_HALT,
    EntryBlock.HALT_FILE,
    *_LOCK_BLOCKS,
    EntryBlock.CONSENT,
    EntryBlock.STOPPING,
)


class OperatorCommands:
    """Carries out each operator command once, and remembers pause, halt and locks across restarts."""

    def __init__(
        self,
        context: TraderContext,
        closing: PositionCloser,
        symbol_locks: SymbolLocks,
        identity: OrderIdentity,
        consent: LiveConsent,
        ownership: PositionOwnership,
    ) -> None:
        self._context = context
        self._symbol_locks = symbol_locks
        self._identity = identity
        self._closing = closing
        self._consent = consent
        self._ownership = ownership
        self._last_id = 0
        self._loss_limits = LossLimits(context)
        self._halt_file: HaltFileChanged | None = None
        self._requested = context.settings
        """The settings of the file as last applied; some of them may wait for a restart."""
        self._handled_files: list[str] = []
        """Names of the most recent command files that were carried out."""
        self._actions: dict[OperatorAction, Callable[[OperatorCommand], str]] = {
            OperatorAction.PAUSE: self._pause,
            OperatorAction.RESUME: self._resume,
            OperatorAction.HALT: self._halt,
            OperatorAction.FLATTEN: self._flatten,
            OperatorAction.CLOSE_POSITION: self._close_position,
            OperatorAction.CANCEL_ENTRY: self._cancel_entry,
            OperatorAction.CONFIRM_LIVE: self._confirm_live,
            OperatorAction.RESTART: self._restart,
            OperatorAction.POSITION_OURS: self._give_to_bot,
            OperatorAction.POSITION_EXTERNAL: self._leave_alone,
        }

    def restore(self) -> int:
        """Load the state of the last run; returns the id of the last command carried out."""
        known = self._context.store.get_state(_STATE) or {}
        # Command ids are timestamps: after a database loss, older commands are not carried out again.
        self._last_id = int(known.get("last_id", self._context.clock.now_ms()))
        self._handled_files = list(known.get("handled_files", ()))
        if known.get("paused"):
            self._context.trading_status.block(EntryBlock.OPERATOR_PAUSE, "entries are paused by the operator")
        if known.get("halted"):
            self._context.trading_status.block(EntryBlock.OPERATOR_HALT, "halted by the operator")
        self._loss_limits.restore()
        self._symbol_locks.restore()
        self._identity.restore()
        self._publish_settings()
        return self._last_id

    def enforce(self) -> None:
        """Called once a second: check the loss limits, and cancel entries during a halt."""
        self._loss_limits.check()
        if any(map(self._context.trading_status.has, _CANCEL_ENTRIES)):
            # While the bot stops there is no later: each response that shows an entry open leads to another cancel.
            self.cancel_entries(at_once=self._context.trading_status.has(EntryBlock.STOPPING))
        self._closing.forget_settled_entries()

    def _on_command(self, command: OperatorCommand) -> None:
        """Carry out a command unless it has been seen before."""
        if command.id <= self._last_id:
            return
        action = self._actions.get(command.action)
        answer = action(command) if action else "the settings could not be read; the old ones stay active"
        self.acknowledge(command.id, command.action, answer)

    def handle(self, event: OperatorCommand | HaltFileChanged | FileCommand | ConsentTyped) -> None:
        """Handle operator input from the dashboard, a control file or the terminal."""
        match event:
            case OperatorCommand():
                self._on_command(event)
            case HaltFileChanged():
                self._on_halt_file(event)
            case FileCommand():
                self._on_file_command(event)
            case ConsentTyped():
                self.acknowledge(
                    _FILE_COMMAND_ID, OperatorAction.CONFIRM_LIVE, self._consent.confirm(event.fingerprint)
                )
            case _:
                assert_never(event)

    def apply_settings(self, event: SettingsChanged, entries: EntryEvaluator) -> None:
        """Replace the running settings and recheck everything that depends on them."""
        if event.command_id is not None and event.settings is self._requested:  # several saves, loaded once
            self.acknowledge(event.command_id, OperatorAction.RELOAD_SETTINGS, "settings applied")
            return
        running = self._context.settings
        protecting = {symbol: self._context.symbol_settings(symbol) for symbol in running.symbols}
        self._context.settings = effective_settings(event.settings, running)
        self._consent.check_settings()
        keep_removed_symbols(self._context, protecting)
        entries.restore()
        self._context.request_snapshot("settings changed")
        waiting = settings_awaiting_restart(event.settings, self._context.settings)
        answer = "settings applied" + (f"; restart the bot to apply {', '.join(waiting)}" if waiting else "")
        if event.command_id is None:
            answer = f"settings.json was edited by hand: {answer}"
            self._keep_version(event.settings)
        self._requested = event.settings
        self._publish_settings()
        self._context.journal("settings", {"message": answer})
        if event.command_id is not None:
            self.acknowledge(event.command_id, OperatorAction.RELOAD_SETTINGS, answer)
        else:
            log.warning("%s", answer)

    def refuse_settings(self, event: SettingsRefused) -> None:
        """Name every fault of an edited settings file; the settings in force stay."""
        faults = "; ".join(fault.sentence for fault in event.faults)
        self._context.alert(
            f"settings.json was edited and is not applied, the earlier settings stay in force: {faults}"
        )
        self._publish_settings(event.faults)

    def _keep_version(self, settings: Settings) -> None:
        document, previous = settings_to_json(settings), settings_to_json(self._requested)
        if document != previous:
            self._context.store.add_settings_version(document, previous, "edited by hand")

    def _publish_settings(self, faults: Iterable[InvalidSetting] = ()) -> None:
        """Publish the settings in force, and the faults of a file that is not applied."""
        values, requested = settings_to_json(self._context.settings), settings_to_json(self._requested)
        state: dict[str, object] = {"values": values, "faults": [asdict(each) for each in faults]}
        if requested != values:
            state["requested"] = requested
        self._context.store.set_state(SETTINGS_STATE, state)

    def _on_file_command(self, event: FileCommand) -> None:
        if event.file.name not in self._handled_files:
            self._handled_files = [*self._handled_files[1 - _MAX_HANDLED_FILES :], event.file.name]
            command = OperatorCommand(_FILE_COMMAND_ID, event.action, event.at, event.symbol, event.position_side)
            self.acknowledge(_FILE_COMMAND_ID, event.action, self._actions[event.action](command))
        self._context.after_commit.append(partial(remove_command_file, event.file))

    def _on_halt_file(self, event: HaltFileChanged) -> None:
        self._halt_file, was_halted = event, self._context.trading_status.has(EntryBlock.HALT_FILE)
        if event.modified_at is None:
            self._context.trading_status.clear(EntryBlock.HALT_FILE)
            if was_halted:
                self.acknowledge(_FILE_COMMAND_ID, OperatorAction.RESUME, "the file HALT was removed")
        elif not was_halted:
            self._context.trading_status.block(EntryBlock.HALT_FILE, "halted by the file HALT beside the database")
            answer = f"halted by the file HALT; cancelling {self.cancel_entries()} open entries"
            self.acknowledge(_FILE_COMMAND_ID, OperatorAction.HALT, f"{answer}, positions stay protected")

    def acknowledge(self, command_id: int, action: OperatorAction, answer: str) -> None:
        """Journal the answer to a command under its id."""
        self._last_id = max(self._last_id, command_id)
        trading_status = self._context.trading_status
        state = {
            "last_id": self._last_id,
            "paused": trading_status.has(EntryBlock.OPERATOR_PAUSE),
            "halted": trading_status.has(EntryBlock.OPERATOR_HALT),
            "handled_files": self._handled_files,
        }
        self._context.store.set_state(_STATE, state)
        log.warning("operator command action=%s answer=%s", action, answer)
        self._context.journal("command", {"id": command_id, "action": action, "message": answer})

    def _pause(self, _: OperatorCommand) -> str:
        self._context.trading_status.block(EntryBlock.OPERATOR_PAUSE, "entries are paused by the operator")
        return "entries paused; positions stay protected"

    def _resume(self, command: OperatorCommand) -> str:
        """End every pause, halt, lock and older HALT file."""
        for entry_block in _CLEARED_BY_RESUME:
            self._context.trading_status.clear(entry_block)
        self._remove_halt_file(command.at)
        lock = self._loss_limits.release()
        released = "" if lock is None else f"; the lock is released: {lock}"
        self._identity.on_resume()
        symbols = self._symbol_locks.release()
        released += f"; entries allowed again in {', '.join(symbols)}" if symbols else ""
        reason = self._context.trading_status.reason
        answer = f"resumed, but entries are still blocked: {reason}" if reason else "entries resumed"
        return answer + released

    def _remove_halt_file(self, requested_at: int) -> None:
        seen = self._halt_file
        if seen is not None and seen.modified_at is not None and seen.modified_at <= requested_at:
            self._context.trading_status.clear(EntryBlock.HALT_FILE)
            self._context.after_commit.append(partial(remove_halt_file, seen.file, requested_at))

    def _halt(self, _: OperatorCommand) -> str:
        self._context.trading_status.block(EntryBlock.OPERATOR_HALT, "halted by the operator")
        return f"halted; cancelling {self.cancel_entries()} open entries, positions stay protected"

    def _flatten(self, command: OperatorCommand) -> str:
        self._pause(command)
        self._closing.close_when_filled(self._context.portfolio.pending_entries(), _CLOSE_REASON)
        cancelled = self.cancel_entries()
        managed = [tracked for tracked in self._context.portfolio.open_positions() if tracked.is_managed]
        ours = [tracked for tracked in managed if not tracked.is_asked]
        for tracked in ours:
            self._close(tracked)
        answer = f"entries paused; cancelling {cancelled} entries, closing {len(ours)} positions"
        asked = ", ".join(tracked.position.symbol for tracked in managed if tracked.is_asked)
        return f"{answer}; not {asked}: say first whose it is" if asked else answer

    def _close_position(self, command: OperatorCommand) -> str:
        tracked = self._find_position(command)
        if tracked is None:
            return f"no open position of {command.symbol}"
        if not tracked.is_managed:
            return f"the position of {command.symbol} is external and is left alone"
        if tracked.is_asked:
            return f"first say whose the position of {command.symbol} is: the bot's own trades do not explain it"
        if command.close_fraction >= 1:
            self._close(tracked)
            waits = ", once the bot's trades explain it: they are being read" if tracked.is_unexplained else ""
            return f"closing the position of {command.symbol}{waits}"
        if tracked.is_unexplained:
            return f"nothing sent: the bot's trades do not explain the position of {command.symbol} yet; try again soon"
        is_sent = self._closing.send_close_order(tracked, abs(tracked.position.quantity) * command.close_fraction)
        share = f"{command.close_fraction * 100:.0f} %"
        if not is_sent:
            return f"nothing sent: a close of {command.symbol} is pending, or the share is too small"
        return f"closing {share} of {command.symbol}"

    def _find_position(self, command: OperatorCommand) -> TrackedPosition | None:
        found = self._context.portfolio.positions_for(command.symbol or "")
        return next((each for each in found if command.position_side in (None, each.position.position_side)), None)

    def _give_to_bot(self, command: OperatorCommand) -> str:
        tracked = self._find_position(command)
        return self._ownership.give_to_bot(tracked) if tracked else f"no open position of {command.symbol}"

    def _leave_alone(self, command: OperatorCommand) -> str:
        tracked = self._find_position(command)
        return self._ownership.leave_alone(tracked) if tracked else f"no open position of {command.symbol}"

    def _cancel_entry(self, command: OperatorCommand) -> str:
        order = self._context.portfolio.orders.get(command.client_order_id or "")
        if order is None or not order.is_open or order.role is not OrderRole.ENTRY:
            return "no such open entry"
        self._context.cancel_order(order, immediately=True)
        return f"cancelling the entry of {order.symbol}"

    def _confirm_live(self, command: OperatorCommand) -> str:
        return self._consent.confirm(command.terms_fingerprint or "")

    def _restart(self, command: OperatorCommand) -> str:
        self._context.after_commit.append(partial(self._context.restart.accept, command.at))
        return self._context.restart.reply(command.at)

    def _close(self, tracked: TrackedPosition) -> None:
        self._closing.request_close(tracked, _CLOSE_REASON)
        self._closing.advance(tracked)

    def cancel_entries(self, *, at_once: bool = True) -> int:
        """Cancel every open entry and return their number; ``at_once`` skips the pause after a rejected cancel."""
        entries = self._context.portfolio.open_orders(role=OrderRole.ENTRY)
        for order in entries:
            self._context.cancel_order(order, immediately=at_once)
        return len(entries)
