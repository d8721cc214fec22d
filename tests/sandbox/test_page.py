"""docs/sandbox.md matches the routes of the sandbox."""

import re
from pathlib import Path

import pytest
import requests

from src.sandbox.rest.app import ROUTES
from src.sandbox.rest.routes import is_v3
from src.sandbox.server import SandboxServer

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
UNSUPPORTED = re.findall(r"`(GET|POST|PUT|DELETE) (/\S+)`", PAGE)


def test_documented_unsupported_requests_are_rejected(server: SandboxServer) -> None:
    assert len(UNSUPPORTED) > 20
    for method, path in UNSUPPORTED:
        response = requests.request(method, f"{server.base_url}{path}", timeout=20)
        assert (response.status_code in (404, 405), response.json()["code"]) == (True, -1020), path


@pytest.mark.parametrize("path", sorted({path for route in ROUTES for path in route.paths if is_v3(path)}))
def test_v3_only_paths_are_documented(path: str) -> None:
    [row] = re.findall(r"^\| V3 only .*$", PAGE, re.MULTILINE)
    assert path.removeprefix("/fapi/v3/") in row
