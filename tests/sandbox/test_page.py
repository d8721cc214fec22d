"""docs/sandbox.md is held to what the sandbox serves."""

import re
from pathlib import Path

import pytest
import requests

from src.sandbox.rest.app import ROUTES
from src.sandbox.rest.routes import is_v3
from src.sandbox.server import SandboxServer

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
NOT_SERVED = re.findall(r"`(GET|POST|PUT|DELETE) (/\S+)`", PAGE)


def test_what_the_page_calls_not_served_is_refused_in_plain_words(server: SandboxServer) -> None:
    assert len(NOT_SERVED) > 20
    for method, path in NOT_SERVED:
        answer = requests.request(method, f"{server.base_url}{path}", timeout=20)
        assert (answer.status_code in (404, 405), answer.json()["code"]) == (True, -1020), path


@pytest.mark.parametrize("path", sorted({path for route in ROUTES for path in route.paths if is_v3(path)}))
def test_what_v3_alone_has_is_named(path: str) -> None:
    [row] = re.findall(r"^\| V3 alone .*$", PAGE, re.MULTILINE)
    assert path.removeprefix("/fapi/v3/") in row
