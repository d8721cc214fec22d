"""Entries wait for the check of the database after an unclean end; a damaged one blocks them. Protection goes on."""

from src.core.events import DatabaseChecked
from src.core.health.degraded_store import UNCHECKED
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole
from tests.core.harness import Harness


def test_entries_wait_for_the_check_and_go_on_after_it(harness: Harness) -> None:
    harness.context.trading_status.block(EntryBlock.DATABASE_CHECK, UNCHECKED)
    harness.liquidate(100_000)
    assert harness.submitted(OrderRole.ENTRY) == []
    harness.feed(DatabaseChecked(None))
    assert not harness.context.trading_status.has(EntryBlock.DATABASE_CHECK)


def test_damage_blocks_entries_and_names_the_remedy(harness: Harness) -> None:
    harness.feed(DatabaseChecked("Page 7 is never used"))
    assert harness.context.trading_status.has(EntryBlock.DATABASE_CHECK)
    assert "Restart the bot" in harness.context.trading_status.reason
    [alert] = [each["message"] for each in harness.journal("alert")]
    assert alert.startswith("the database is damaged (Page 7 is never used)")
