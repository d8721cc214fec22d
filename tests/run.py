#!/usr/bin/env python3
"""Runs the tests: ``python3 tests/run.py [pytest arguments]``.

Sets up ``.venv`` as the launcher does, then starts pytest. Without arguments the whole suite runs, on two processors.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHOLE_SUITE = ["-n", "2", "--dist", "loadfile"]


def main():
    # type: () -> int
    """Run pytest in the project's environment; returns its exit code."""
    sys.path[0] = str(ROOT)  # instead of tests/, whose directories are named like ours
    import launcher

    launcher.refuse_old_python()
    from src.launch.console import Console, utf8_output
    from src.launch.environment import prepare
    from src.launch.errors import LaunchError

    console = Console(utf8_output())
    try:
        python = prepare(ROOT, ROOT / "requirements-dev.txt", console.say)
        return subprocess.run([str(python), "-m", "pytest", *(sys.argv[1:] or WHOLE_SUITE)], cwd=str(ROOT)).returncode
    except LaunchError as error:
        console.say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
