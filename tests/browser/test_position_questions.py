"""The question whether a position is the bot's or the user's, and its two answers."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from src.database.control import CommandReader
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import PositionSide
from tests.browser.conftest import Scene, width_of

CARD = "#position-questions .question"
OURS, MINE = "It is the bot's", "It is mine"


def commands_of(scene: Scene) -> list[OperatorCommand]:
    return CommandReader(scene.environment.control_database).after(0)


def answers_of(scene: Scene) -> list[tuple[OperatorAction, str | None, PositionSide | None]]:
    return [(command.action, command.symbol, command.position_side) for command in commands_of(scene)]


@pytest.fixture
def card(scene: Scene, open_page: Callable[..., Page]) -> Locator:
    """The card of an open question above the positions."""
    scene.bot.add_position()
    scene.bot.ask_about()
    found = open_page().locator(CARD)
    expect(found).to_be_visible()
    return found


def test_card_says_what_differs_and_what_stays(card: Locator, page: Page) -> None:
    expect(card).to_contain_text("BTCUSDT LONG: the exchange holds 1.5, the bot's own trades explain 1.0.")
    expect(card).to_contain_text(
        "Stop loss and take profit stay; no entry is made, and it is closed only if no stop loss can be placed."
    )
    expect(card).to_contain_text("Asked 12 min ago.")
    above, below = card.bounding_box(), page.locator("#book-positions").bounding_box()
    assert above is not None and below is not None
    assert above["y"] + above["height"] < below["y"]


@pytest.mark.parametrize("view", ["statistics", "settings", "journal"])
def test_card_is_shown_on_every_view(view: str, scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.ask_about()
    expect(open_page(view).locator(CARD)).to_be_visible()


def test_no_card_without_a_question(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.add_position()
    page = open_page()
    expect(page.locator("#book-positions tbody tr")).to_have_count(1)
    expect(page.locator("#position-questions")).to_be_hidden()


def test_answer_that_it_is_the_bots_ends_the_question_once_acknowledged(
    card: Locator, scene: Scene, page: Page
) -> None:
    with page.expect_response("**/owner"):
        card.get_by_role("button", name=OURS).click()
    for name in (OURS, MINE):
        expect(card.get_by_role("button", name=name)).to_be_disabled()
    assert answers_of(scene) == [(OperatorAction.POSITION_OURS, "BTCUSDT", PositionSide.LONG)]

    (command,) = commands_of(scene)
    scene.bot.answer_question(command.id, command.action, "the position of BTCUSDT LONG is managed as the bot's")

    expect(page.locator("#notices")).to_contain_text("The position of BTCUSDT LONG is managed as the bot's.")
    expect(page.locator("#position-questions")).to_be_hidden()


def test_answer_that_it_is_mine_states_the_consequence_first(card: Locator, scene: Scene, page: Page) -> None:
    card.get_by_role("button", name=MINE).click()
    dialog = page.get_by_role("dialog")
    for words in (
        "Is BTCUSDT LONG yours?",
        "the exchange holds 1.5, the bot's own trades explain 1.0.",
        "The bot's stop losscancelled",
        "The bot's take profitcancelled",
        "The position is then without the bot's protection: place your own stop on the exchange.",
    ):
        expect(dialog).to_contain_text(words)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert answers_of(scene) == []

    card.get_by_role("button", name=MINE).click()
    with page.expect_response("**/owner"):
        dialog.get_by_role("button", name="Yes, it is mine").click()
    assert answers_of(scene) == [(OperatorAction.POSITION_EXTERNAL, "BTCUSDT", PositionSide.LONG)]

    (command,) = commands_of(scene)
    scene.bot.answer_question(command.id, command.action, "cancelling the bot's orders behind BTCUSDT LONG")
    expect(page.locator("#position-questions")).to_be_hidden()


def test_rejected_answer_can_be_given_again(card: Locator, scene: Scene, page: Page) -> None:
    """The question stays open until the bot itself closes it."""
    with page.expect_response("**/owner"):
        card.get_by_role("button", name=OURS).click()
    (command,) = commands_of(scene)
    scene.bot.add_journal_entry("command", {"id": command.id, "action": command.action, "message": "not possible now"})
    expect(page.locator("#notices")).to_contain_text("Not possible now.")
    expect(card.get_by_role("button", name=OURS)).to_be_enabled()


def test_resuming_answers_no_question(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.ask_about()
    with scene.bot.store.transaction():
        scene.bot.store.set_state("operator_state", {"paused": True})
    page = open_page()
    with page.expect_response("**/api/control"):
        page.get_by_role("button", name="Resume entries").click()
    assert answers_of(scene) == [(OperatorAction.RESUME, None, None)]

    (command,) = commands_of(scene)
    scene.bot.add_journal_entry("command", {"id": command.id, "action": command.action, "message": "entries resumed"})

    expect(page.locator("#notices")).to_contain_text("Entries resumed.")
    expect(page.locator(CARD)).to_be_visible()


def test_question_cannot_be_answered_while_the_bot_is_down(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.ask_about()
    scene.bot.heartbeat(ago_ms=60_000)
    card = open_page().locator(CARD)
    for name in (OURS, MINE):
        expect(card.get_by_role("button", name=name)).to_be_disabled()


def test_symbol_of_the_exchange_is_shown_as_text(
    scene: Scene, open_page: Callable[..., Page], console_errors: list[str]
) -> None:
    scene.bot.ask_about("<img src=x onerror=alert(1)>\u202eUSDT", side="BOTH", held="-3", own="1")
    page = open_page()
    card = page.locator(CARD)
    expect(card).to_contain_text(
        "<img src=x onerror=alert(1)>\\u202EUSDT SHORT: the exchange holds 3, the bot's own trades explain 1 LONG."
    )
    card.get_by_role("button", name=MINE).click()
    expect(page.get_by_role("dialog")).to_contain_text("Is <img src=x onerror=alert(1)>\\u202EUSDT SHORT yours?")
    assert page.locator(".question img, dialog img").count() == 0
    assert console_errors == []


def test_several_questions_have_a_card_each(scene: Scene, open_page: Callable[..., Page]) -> None:
    scene.bot.ask_about("BTCUSDT", "ETHUSDT")
    cards = open_page().locator(CARD)
    expect(cards).to_have_count(2)
    with cards.page.expect_response("**/positions/ETHUSDT/LONG/owner"):
        cards.nth(1).get_by_role("button", name=OURS).click()
    expect(cards.nth(1).get_by_role("button", name=OURS)).to_be_disabled()
    expect(cards.nth(0).get_by_role("button", name=OURS)).to_be_enabled()


def test_question_is_answered_on_a_phone(scene: Scene, open_page: Callable[..., Page], page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    scene.bot.add_position()
    scene.bot.ask_about()
    card = open_page().locator(CARD)
    expect(card).to_be_in_viewport()
    assert width_of(page) == 390
    mine = card.get_by_role("button", name=MINE)
    box = mine.bounding_box()
    assert box is not None and box["height"] >= 36
    mine.click()
    with page.expect_response("**/owner"):
        page.get_by_role("dialog").get_by_role("button", name="Yes, it is mine").click()
    assert [action for action, *_ in answers_of(scene)] == [OperatorAction.POSITION_EXTERNAL]
