"""A test never sleeps for what it waits for: it looks until it is there."""

import time
from collections.abc import Callable

_LOOK_EVERY_SECONDS = 0.01


def wait_until(claim: Callable[[], object], seconds: float, what: str = "") -> None:
    """Look again and again until it holds; AssertionError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(_LOOK_EVERY_SECONDS)
