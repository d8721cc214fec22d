"""One sentence where a package is missing, instead of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

MISSING_PACKAGE = 2


@contextmanager
def required_packages(*, of_program: bool) -> Iterator[None]:
    """Around a program's imports: ends it with exit code 2 where one cannot be found.

    Modules of our own that are missing are our fault, and told in full; so is everything while tests import it.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if not of_program or (missing.name or "src").startswith("src"):
            raise
        print(
            f"The package {missing.name} is missing: start launcher.py once, it installs what is needed.",
            file=sys.stderr,
        )
        sys.exit(MISSING_PACKAGE)
