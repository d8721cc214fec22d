"""Progress and failure message of pip; test_environment.py really installs packages."""

from pathlib import Path

import pytest

from src.launch.pip_run import Progress, bar, failure

FOUND = "Collecting flask~=3.1\n  Downloading flask-3.1.whl\n"
INSTALLING = "Installing collected packages: blinker, click, flask, werkzeug\n"


@pytest.mark.parametrize(
    ("log", "installed", "share"),
    [
        ("", 3, 0.0),
        (FOUND, 3, 0.0625),
        (FOUND * 8, 3, 0.5),
        (FOUND * 99, 3, 0.5),
        (FOUND + INSTALLING, 3, 0.5),
        (FOUND + INSTALLING, 5, 0.75),
        (FOUND + INSTALLING, 7, 1.0),
        (FOUND + INSTALLING, 9, 1.0),
        (FOUND + INSTALLING, 2, 0.5),
    ],
)
def test_finding_and_installing_are_half_of_the_progress_each(log: str, installed: int, share: float) -> None:
    assert Progress(requirements=2, installed_before=3).share(log, installed) == share


def test_progress_bar_has_a_fixed_width() -> None:
    assert bar(0) == "[------------------------]   0 %"
    assert bar(0.5) == "[############------------]  50 %"
    assert bar(1) == "[########################] 100 %"


def test_failure_names_the_first_error_and_the_log() -> None:
    message = failure("Collecting x\nERROR: No matching distribution found for x\nERROR: more\n", Path("install.log"))

    assert message.startswith("The packages could not be installed (pip: No matching distribution found for x): check")
    assert message.endswith("The log of pip is install.log.")
    assert "(pip" not in failure("killed", Path("install.log"))
