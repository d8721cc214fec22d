from pathlib import Path

import pytest

from src.launch.options import Options, parse_options
from src.launch.programs import bot


def test_options_default_to_live_with_installation() -> None:
    assert parse_options([]) == Options(demo=False, install=True, replay=None, speed=None, klines=None)


def test_yes_is_passed_to_the_bot(tmp_path: Path) -> None:
    assert parse_options(["--yes"]).yes
    assert "--yes" in bot(tmp_path, {}, accept_live=True).arguments
    assert "--yes" not in bot(tmp_path, {}).arguments


def test_replay_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("币安.csv").touch()
    options = parse_options(["--demo", "--no-install", "--replay", "币安.csv", "--speed", "60", "--klines", "."])
    assert options == Options(demo=True, install=False, replay=tmp_path / "币安.csv", speed=60.0, klines=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replay", __file__], "--replay needs --demo"),
        (["--demo", "--speed", "2"], "--speed and --klines need --replay"),
        (["--demo", "--replay", __file__, "--speed", "0"], "--speed must be a number above 0"),
        (["--demo", "--replay", __file__, "--speed", "nan"], "--speed must be a number above 0"),
        (["--demo", "--replay", "absent.csv"], "absent.csv is not a file"),
        (["--demo", "--replay", __file__, "--klines", __file__], "is not a directory"),
    ],
)
def test_invalid_option_exits_with_code_2_and_a_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_options(arguments)
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_help_describes_port_files_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("PORT", "data/demo", "settings.json", "exit codes"))
