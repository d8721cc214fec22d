"""How far pip is, and what is said when it fails; that it really installs is shown in test_environment.py."""

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
def test_half_of_it_is_finding_and_half_is_installing(log: str, installed: int, share: float) -> None:
    assert Progress(requirements=2, installed_before=3).share(log, installed) == share


def test_the_bar_has_one_width() -> None:
    assert bar(0) == "[------------------------]   0 %"
    assert bar(0.5) == "[############------------]  50 %"
    assert bar(1) == "[########################] 100 %"


def test_a_failure_names_the_first_error_and_the_log() -> None:
    said = failure("Collecting x\nERROR: No matching distribution found for x\nERROR: more\n", Path("install.log"))

    assert said.startswith("The packages could not be installed (pip: No matching distribution found for x): check")
    assert said.endswith("All that pip wrote is in install.log.")
    assert "(pip" not in failure("killed", Path("install.log"))
