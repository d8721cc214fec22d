import io

import pytest

from src.launch.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedTerminal(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def colours_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_labels_are_aligned_without_colours_in_a_file() -> None:
    out = io.StringIO()
    Console(out).write("bot", "entry placed")
    Console(out).write("dashboard", "listening")
    assert out.getvalue() == "[bot]       entry placed\n[dashboard] listening\n"


def test_only_the_label_is_coloured_on_a_terminal() -> None:
    out = Terminal()
    Console(out).write("bot", "entry placed")
    assert out.getvalue() == "\x1b[32m[bot]      \x1b[0m entry placed\n"


def test_no_color_disables_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    Console(out).say("hello")
    assert out.getvalue() == "[launcher]  hello\n"


def test_closed_terminal_is_ignored() -> None:
    console = Console(ClosedTerminal())
    console.say("hello")
    assert console.is_closed


def test_progress_replaces_its_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    console = Console(out)
    console.progress("half done")
    console.progress("nearly done")
    console.end_progress("done")
    lines = out.getvalue().split("\r")
    assert lines == ["[launcher]  half done", "[launcher]  nearly done", f"[launcher]  done{' ' * 7}\n"]


def test_progress_is_one_plain_line_in_a_file() -> None:
    out = io.StringIO()
    console = Console(out)
    console.progress("installing")
    console.progress("still installing")
    console.end_progress("done in 3 s")
    console.say("next")
    assert out.getvalue() == "[launcher]  installing ... done in 3 s\n[launcher]  next\n"
