import pytest

from src.launch.errors import required_packages
from src.launch.shutdown import EXIT_CONFIG


def missing(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_missing_package_is_named_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, required_packages(of_program=True):
        raise missing("sqlalchemy")
    assert ended.value.code == EXIT_CONFIG
    assert "The package sqlalchemy is missing: start launcher.py once" in capsys.readouterr().err


@pytest.mark.parametrize(("of_program", "name"), [(False, "sqlalchemy"), (True, "src.core.trader")])
def test_missing_module_of_the_project_is_raised(of_program: bool, name: str) -> None:
    with pytest.raises(ModuleNotFoundError), required_packages(of_program=of_program):
        raise missing(name)


def test_nothing_is_printed_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with required_packages(of_program=True):
        pass
    assert capsys.readouterr().err == ""


def test_old_python_is_reported_before_the_imports(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit) as ended, required_packages(of_program=True):
        raise AssertionError("imported on an old Python")
    assert ended.value.code == EXIT_CONFIG
    assert "This is Python 3.9.2: install Python 3.11 or newer" in capsys.readouterr().err
