import signal
from collections.abc import Iterator

import pytest

from src.launch.shutdown import stop_on_signals

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def original_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_requests_stop(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)  # a terminal that was closed before the tests has SIGHUP ignored
    requests: list[str] = []
    stop_on_signals(lambda: requests.append("stop"))
    signal.raise_signal(number)
    assert requests == ["stop"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_nohup_keeps_ignoring_a_closed_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop_on_signals(lambda: None)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
