"""One line of an examination: what was looked at, how it is, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CheckLevel(StrEnum):
    """How something was found."""

    OK = "ok"
    WARN = "warn"
    """Nothing is prevented by it, but a person should look."""
    FAIL = "fail"
    """Real orders cannot be made like this."""


@dataclass(frozen=True, slots=True)
class Check:
    """``sentence`` says what was found, ``remedy`` what to do; there is none where all is well."""

    name: str
    verdict: CheckLevel
    sentence: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """For a terminal: verdict, name, sentence, remedy."""
        text = f"{self.verdict:<4}  {self.name}: {self.sentence}"
        return f"{text}; {self.remedy}" if self.remedy else text


def passed(name: str, sentence: str) -> Check:
    return Check(name, CheckLevel.OK, sentence)


def warned(name: str, sentence: str, remedy: str) -> Check:
    return Check(name, CheckLevel.WARN, sentence, remedy)


def failed(name: str, sentence: str, remedy: str) -> Check:
    return Check(name, CheckLevel.FAIL, sentence, remedy)


def all_passed(checks: Iterable[Check]) -> bool:
    """Whether none of them failed."""
    return all(check.verdict is not CheckLevel.FAIL for check in checks)
