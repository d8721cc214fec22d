"""The results of checks: a level, a message and a remedy for each."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CheckLevel(StrEnum):
    """How serious the result of a check is."""

    OK = "ok"
    WARN = "warn"
    """Nothing is blocked, but it should be corrected."""
    FAIL = "fail"
    """Live trading is not possible."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. ``remedy`` says what to do; it is empty for OK."""

    name: str
    level: CheckLevel
    message: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The result as one line of text for a terminal."""
        text = f"{self.level:<4}  {self.name}: {self.message}"
        return f"{text}; {self.remedy}" if self.remedy else text


def passed(name: str, message: str) -> Check:
    return Check(name, CheckLevel.OK, message)


def warned(name: str, message: str, remedy: str) -> Check:
    return Check(name, CheckLevel.WARN, message, remedy)


def failed(name: str, message: str, remedy: str) -> Check:
    return Check(name, CheckLevel.FAIL, message, remedy)


def all_passed(checks: Iterable[Check]) -> bool:
    """Whether no check failed; warnings are allowed."""
    return all(check.level is not CheckLevel.FAIL for check in checks)
