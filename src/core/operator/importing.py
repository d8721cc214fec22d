"""``main.py --import-settings FILE`` and ``--import-db FILE``: takes over settings and history of other bots."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.core.operator.cli import status_report
from src.database.imported import FILE_NAME, ImportedHistory, open_imported
from src.database.other_bots import OtherDatabase
from src.domain.clock import Clock
from src.domain.errors import ConfigError
from src.settings.config import (
    Environment,
    Settings,
    SettingsError,
    load_settings,
    save_settings,
    settings_to_json,
    with_defaults,
)
from src.settings.differences import SettingChange, diff_settings
from src.settings.import_file import ImportPlan, plan_import

_PROGRAMS = {"older": "the older bot", "node": "the node bot"}
_REPORT_MS = 3_000
_NOTHING_CHANGED = "Nothing was changed."
EXIT_DONE, EXIT_INTERRUPTED, EXIT_FAILED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports into one home. ``ask`` prompts in the terminal, None if there is none; ``assume_yes`` is ``--yes``."""

    environment: Environment
    clock: Clock
    say: Callable[[str], None]
    ask: Callable[[str], str] | None
    assume_yes: bool = False

    def import_settings(self, file: Path) -> int:
        """Show what the file changes, and write it if the person agrees. Raises ConfigError with every fault."""
        target = self.environment.settings_file
        digest, current = _digest(target), self._current()
        plan = plan_import(file, current)
        self.say(f"{file} is {plan.program}.")
        for note in plan.notes:
            self.say(f"  - {note}")
        changes = list(_changes(current, plan.settings))
        if not changes:
            self.say(f"{target} already has these settings. {_NOTHING_CHANGED}")
            return EXIT_DONE
        self.say(f"Changes of {target}:")
        for line in _change_lines(changes, current, plan.settings):
            self.say(f"  {line}")
        if not self._is_agreed(f"Write these settings to {target}? Type yes: "):
            return EXIT_FAILED
        if _digest(target) != digest:
            raise ConfigError(f"{target} has changed meanwhile: nothing was written; run this again")
        self._write(plan, file)
        return EXIT_DONE

    def _current(self) -> Settings | None:
        file = self.environment.settings_file
        if not file.exists():
            return None
        try:
            return load_settings(file)
        except SettingsError as error:
            self.say(f"{error.messages[0]}. An import replaces the file and keeps it as {file.name}.broken.")
            return None

    def _is_agreed(self, question: str) -> bool:
        if self.assume_yes:
            return True
        if self.ask is None:
            self.say(f"{_NOTHING_CHANGED} Run it in a terminal to confirm, or add --yes.")
            return False
        with suppress(EOFError, KeyboardInterrupt):
            if self.ask(question).strip().lower() in ("yes", "y"):
                return True
        self.say(_NOTHING_CHANGED)
        return False

    def _write(self, plan: ImportPlan, file: Path) -> None:
        target, now_ms = self.environment.settings_file, self.clock.now_ms()
        try:
            kept = _keep_copy(target, now_ms)
            save_settings(target, plan.settings)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or target} cannot be written ({error.strerror}): nothing is lost"
            ) from error
        self.say(f"Saved.{f' The settings before are in {kept}.' if kept else ''} {self._when_applied()}")
        with suppress(ConfigError), open_imported(self.environment.database) as history:
            history.record_import("settings", file.name, plan.program, plan.notes, now_ms)

    def _when_applied(self) -> str:
        if status_report(self.environment.database, self.clock.now_ms()).is_alive:
            return "The running bot applies them within two seconds; more risk waits for your confirmation."
        return "They apply when the bot starts; python main.py --check says what is still missing."

    def import_database(self, file: Path) -> int:
        """Take over the history of another bot's database, once however often it is run; the bot may run meanwhile.

        Raises ConfigError if a file cannot be read or written; what was imported before stays.
        """
        source = OtherDatabase(file, self.clock.now_ms())
        self.say(f"{file} is the database of {_PROGRAMS[source.program]}. It is only read.")
        with open_imported(self.environment.database) as history:
            run = _DatabaseImport(source, history, self.clock, self.say)
            try:
                run.take_over()
            except KeyboardInterrupt:
                self.say(f"Stopped: {run.summary} so far. Nothing is lost; run it again to take over the rest.")
                return EXIT_INTERRUPTED
            notes = [*run.left_out(), *_explanation(self.environment.database, source)]
            if run.new.total():
                history.record_import("database", file.name, run.summary, notes, self.clock.now_ms())
        self.say(f"Done: {run.summary}.")
        for note in notes:
            self.say(f"  - {note}")
        return EXIT_DONE


@dataclass(slots=True)
class _DatabaseImport:
    """Copies the rows in pieces; each piece is committed, so that stopping loses nothing."""

    source: OtherDatabase
    history: ImportedHistory
    clock: Clock
    say: Callable[[str], None]
    new: Counter[str] = field(default_factory=Counter)
    """How many rows are new, by table."""
    _said_at: int = 0

    def take_over(self) -> None:
        self._said_at = self.clock.monotonic_ms()
        self._copy("liquidations", self.source.liquidations(), self.history.add_liquidations)
        if self.source.has_trades:
            self._copy("trades", self.source.trades(), self.history.add_trades)

    def _copy(self, what: str, pieces: Iterator[list[Any]], add: Callable[[str, list[Any]], int]) -> None:
        total, done = self.source.count(what), 0
        for piece in pieces:
            self.new[what] += add(self.source.program, piece)
            done += len(piece)
            if self.clock.monotonic_ms() - self._said_at >= _REPORT_MS:
                self._said_at = self.clock.monotonic_ms()
                self.say(f"{what}: {done:,} of {total:,} read")

    @property
    def summary(self) -> str:
        liquidations = _count(self.new["liquidations"], "new liquidation")
        trades = _count(self.new["trades"], "new or changed trade")
        return f"{liquidations}, {trades}" if self.source.has_trades else liquidations

    def left_out(self) -> Iterator[str]:
        for reason, count in sorted(self.source.left_out.items()):
            yield f"{_count(count, 'row')} left out: {reason}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _explanation(database: Path, source: OtherDatabase) -> Iterator[str]:
    yield (
        f"The history is in {database.with_name(FILE_NAME)} and on the page under Settings, Imports. It counts in no "
        "position, statistic or limit of the bot"
    )
    if not source.has_trades:
        yield "that bot keeps liquidations only, no trades"


def _changes(current: Settings | None, new: Settings) -> Iterator[SettingChange]:
    before = {"globals": {}, "symbols": {}} if current is None else settings_to_json(with_defaults(current))
    return diff_settings(before, settings_to_json(with_defaults(new)))


def _change_lines(changes: list[SettingChange], current: Settings | None, new: Settings) -> Iterator[str]:
    """One line for each setting; of a symbol that is added or removed only one."""
    before = frozenset(current.symbols) if current else frozenset()
    for name in sorted(before - new.symbols.keys()):
        yield f"symbols.{name}: removed"
    for name in sorted(new.symbols.keys() - before):
        part = new.symbols[name]
        yield (
            f"symbols.{name}: added, {part.trade_value_usdt} USDT of margin at {part.leverage}x, "
            f"stop {part.stop_loss_pct} %, take profit {part.take_profit_pct} %"
        )
    for change in changes:
        place, name, *_ = change.path.split(".")
        if place == "globals" or (name in before and name in new.symbols):
            yield f"{change.path}: {_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _keep_copy(file: Path, now_ms: int) -> Path | None:
    """Copy the file before it is replaced. Raises OSError."""
    if not file.exists():
        return None
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    copy = file.with_name(f"{file.name}.before-import-{moment:%Y%m%d-%H%M%S}")
    shutil.copy2(file, copy)
    return copy
