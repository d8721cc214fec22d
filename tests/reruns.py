"""Lists the tests that were rerun in the summary; the fault table counts their second run."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("rerun", [])
    if not reports:
        return
    terminalreporter.section(f"{len(reports)} rerun, more than 3 fail the run")
    for report in reports:
        terminalreporter.write_line(f"RERUN {report.nodeid} ({report.when}): {reason(report)}")


def reason(report: pytest.TestReport) -> str:
    """The first line of the failure, as in pytest's own summary."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else str(report.longrepr)
    return str(message).partition("\n")[0]
