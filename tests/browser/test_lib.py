"""The page's library modules, called directly in the browser."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

FORMATTED = {
    "m.money('1234567.891')": "1,234,567.89",
    "m.money('123456789012345678.91')": "123,456,789,012,345,678.91",
    "m.money(null)": "—",
    "m.signed('-0.0412', 4)": "−0.0412",
    "m.signed('0')": "0.00",
    "m.plainNumber('0.000010000000')": "0.00001",
    "m.plainNumber('1E-7')": "0.0000001",
    "m.size('-0.021')": "0.021",
    "m.signedPercent('1.5')": "+1.50 %",
    "m.span(400)": "0.4 s",
    "m.span(3_720_000)": "1 h 2 min",
    "m.arrow('-3')": "▼",
    "m.arrow('-0.001')": "",
    "m.tone('-0.001', 4)": "loss",
    "m.humanize('STOP_LOSS')": "Stop loss",
}

POLLING_SCRIPT = """(async () => {
  const { createStore } = await import("/static/js/lib/store.js");
  const [store, answers, received] = [createStore(), [], []];
  const api = { get: () => new Promise((resolve) => answers.push(resolve)) };
  const pause = () => new Promise((go) => setTimeout(go, 20));
  const { refresh, keep } = m.createPoller(api, store, { health: "/api/health" });
  store.subscribe("health", (value) => received.push(value));
  const request = async () => {
    const before = answers.length;
    refresh("health");
    while (answers.length === before) await pause();
  };
  %s
  await pause();
  return received;
})()"""
"""Requests to a server that responds when the test says so; returns the values that reached the store."""


@pytest.fixture
def evaluate_module(open_page: Callable[..., Page]) -> Callable[[str, str], Any]:
    """Evaluate an expression over the exports of a module of ``static/js/lib``."""
    page = open_page()

    def evaluate(module: str, expression: str) -> Any:
        return page.evaluate(f"import('/static/js/{module}.js').then((m) => {expression})")

    return evaluate


def test_values_are_formatted(evaluate_module: Callable[[str, str], Any]) -> None:
    assert evaluate_module("lib/format", f"[{', '.join(FORMATTED)}]") == list(FORMATTED.values())


def test_events_are_parsed_from_any_chunks(evaluate_module: Callable[[str, str], Any]) -> None:
    events = evaluate_module(
        "lib/stream",
        r"""{
          const events = [];
          const feed = m.createParser((event) => events.push(event));
          for (const piece of [": beat\n\nid: 7\neve", "nt: fill\r\ndata: {\"a\":", "1}\n", "\nid: 8\n\n"]) feed(piece);
          return events;
        }""",
    )
    assert events == [{"kind": "fill", "id": "7", "data": '{"a":1}'}]


def test_slow_response_counts_unless_a_later_one_came_first(
    evaluate_module: Callable[[str, str], Any],
) -> None:
    received = evaluate_module(
        "lib/polling",
        POLLING_SCRIPT
        % """
          await request();
          await request();
          answers[0]("first");
          await request();
          answers[2]("third");
          await pause();
          answers[1]("second");
        """,
    )
    assert received == ["first", "third"]


def test_page_does_not_ask_again_while_the_server_computes(evaluate_module: Callable[[str, str], Any]) -> None:
    received = evaluate_module(
        "lib/polling",
        POLLING_SCRIPT
        % """
          await request();
          for (let number = 0; number < 35; number += 1) {
            refresh("health");
            await pause();
          }
          const asked = answers.length;
          answers[0]("first");
          while (answers.length === asked) await pause();
          answers[1](`second after ${asked}`);
        """,
    )
    assert received == ["first", "second after 1"]


def test_kept_value_is_newer_than_responses_under_way(
    evaluate_module: Callable[[str, str], Any],
) -> None:
    received = evaluate_module(
        "lib/polling",
        POLLING_SCRIPT
        % """
          await request();
          keep("health", "read");
          answers[0]("old");
          await request();
          answers[1]("new");
        """,
    )
    assert received == ["read", "new"]


def test_rows_are_kept_moved_and_removed(evaluate_module: Callable[[str, str], Any]) -> None:
    kept = evaluate_module(
        "lib/dom",
        """{
          const body = document.createElement("tbody");
          const how = { templateName: "journal-row", keyOf: (x) => x, paint: (row, x) => { row.dataset.key = x; } };
          m.patchRows(body, ["a", "b", "c"], how);
          const b = body.children[1];
          m.patchRows(body, ["c", "b", "d"], how);
          return [b === body.children[1], [...body.children].map((row) => row.dataset.key).join("")];
        }""",
    )
    assert kept == [True, "cbd"]


def test_schema_range_is_checked_in_the_form(evaluate_module: Callable[[str, str], Any]) -> None:
    field = '{kind: "number", min: "0", max: "50", excludes_min: true, excludes_max: false, optional: false}'

    faults = evaluate_module(
        "panels/settings_schema", f'["0", "50", "x", "", "51"].map((text) => m.faultOf({field}, text))'
    )

    rule = "must be above 0 and at most 50"
    assert faults == [rule, "", "must be a number", "needs a value", rule]
