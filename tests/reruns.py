"""Tests that were run twice: each is named in the summary, and in the table of faults its second run counts."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("rerun", [])
    if not reports:
        return
    terminalreporter.section(f"{len(reports)} rerun, more than 3 fail the run")
    for report in reports:
        terminalreporter.write_line(f"RERUN {report.nodeid} ({report.when}): {reason(report)}")


def reason(report: pytest.TestReport) -> str:
    """The last line of what went wrong, such as pytest's own summary shows."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash is not None else str(report.longrepr)
    return str(said).partition("\n")[0]
