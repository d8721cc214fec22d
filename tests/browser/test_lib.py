"""The page's own library, asked directly in the browser."""

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
  const [store, answers, told] = [createStore(), [], []];
  const api = { get: () => new Promise((hear) => answers.push(hear)) };
  const pause = () => new Promise((go) => setTimeout(go, 20));
  const { refresh, keep } = m.createPoller(api, store, { health: "/api/health" });
  store.subscribe("health", (value) => told.push(value));
  const question = async () => {
    const before = answers.length;
    refresh("health");
    while (answers.length === before) await pause();
  };
  %s
  await pause();
  return told;
})()"""
"""Questions to a server that answers when a test lets it; what the page was told by them."""


@pytest.fixture
def evaluate_module(open_page: Callable[..., Page]) -> Callable[[str, str], Any]:
    """Evaluate an expression over the exports of a module of ``static/js/lib``."""
    page = open_page()

    def evaluate(module: str, expression: str) -> Any:
        return page.evaluate(f"import('/static/js/{module}.js').then((m) => {expression})")

    return evaluate


def test_values_read_as_a_person_expects(evaluate_module: Callable[[str, str], Any]) -> None:
    assert evaluate_module("lib/format", f"[{', '.join(FORMATTED)}]") == list(FORMATTED.values())


def test_events_are_parsed_however_they_are_cut(evaluate_module: Callable[[str, str], Any]) -> None:
    events = evaluate_module(
        "lib/stream",
        r"""{
          const heard = [];
          const feed = m.createParser((event) => heard.push(event));
          for (const piece of [": beat\n\nid: 7\neve", "nt: fill\r\ndata: {\"a\":", "1}\n", "\nid: 8\n\n"]) feed(piece);
          return heard;
        }""",
    )
    assert events == [{"kind": "fill", "id": "7", "data": '{"a":1}'}]


def test_an_answer_slower_than_the_next_question_counts_unless_a_later_one_came_first(
    evaluate_module: Callable[[str, str], Any],
) -> None:
    received = evaluate_module(
        "lib/polling",
        POLLING_SCRIPT
        % """
          await question();
          await question();
          answers[0]("first");
          await question();
          answers[2]("third");
          await pause();
          answers[1]("second");
        """,
    )
    assert received == ["first", "third"]


def test_an_answer_still_under_way_is_older_than_what_was_read_another_way(
    evaluate_module: Callable[[str, str], Any],
) -> None:
    received = evaluate_module(
        "lib/polling",
        POLLING_SCRIPT
        % """
          await question();
          keep("health", "read");
          answers[0]("old");
          await question();
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


def test_a_schema_range_is_checked_before_the_server_is_asked(evaluate_module: Callable[[str, str], Any]) -> None:
    field = '{kind: "number", min: "0", max: "50", excludes_min: true, excludes_max: false, optional: false}'

    faults = evaluate_module(
        "panels/settings_schema", f'["0", "50", "x", "", "51"].map((text) => m.faultOf({field}, text))'
    )

    rule = "must be above 0 and at most 50"
    assert faults == [rule, "", "must be a number", "needs a value", rule]
