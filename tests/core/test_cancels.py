"""An order whose end is refused again and again: five tries, a person told once, and then on, slowly (§4)."""

from src.domain.enums import OrderRole, OrderStatus
from src.domain.messages import CancelOrder, CancelRefused, Command, Due, Duty, OperatorAction, QueryOrder
from src.domain.orders import OrderRequest
from tests.core.rig import Rig

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
SLOWLY_MS = 30_000


def refuse_cancel(rig: Rig, request: OrderRequest) -> list[Command]:
    """The exchange refuses it, and a question two seconds later shows the order to stand."""
    rig.feed(CancelRefused(request.symbol, request.client_order_id, -1008, "overloaded", rig.now))
    rig.clock.advance(2_000)
    return rig.accept(request)


def refuse_five(rig: Rig, request: OrderRequest) -> None:
    for _ in range(4):
        assert refuse_cancel(rig, request) == [CancelOrder(request.symbol, request.client_order_id)]
    assert refuse_cancel(rig, request) == []


def alarms(rig: Rig) -> list[str]:
    return [each["message"] for each in rig.journal("alert") if "cannot be cancelled" in each["message"]]


def resting_entry(rig: Rig) -> OrderRequest:
    """One that a person has called off."""
    entry = rig.enter()
    rig.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    return entry


def test_the_fifth_refusal_is_told_once_and_the_sixth_try_waits(rig: Rig) -> None:
    entry = resting_entry(rig)
    refuse_five(rig, entry)
    assert alarms(rig) == [
        f"ENTRY {entry.client_order_id} of BTCUSDT cannot be cancelled: 5 tries, and it still stands "
        "(overloaded (-1008)). Cancel it on the exchange's site; the bot goes on trying"
    ]
    rig.wait(SLOWLY_MS - 3_000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert len(rig.cancelled()) == 5
    rig.wait(3_000)
    assert len(rig.cancelled()) == 6
    assert refuse_cancel(rig, entry) == []
    rig.wait(SLOWLY_MS)
    assert len(rig.cancelled()) == 7
    assert len(alarms(rig)) == 1


def test_it_stays_exposure_and_its_fill_is_protected(rig: Rig) -> None:
    entry = resting_entry(rig)
    refuse_five(rig, entry)
    rig.liquidate()
    assert rig.submitted(ENTRY) == [entry]
    rig.fill(entry)
    assert len(rig.submitted(STOP)) == 1


def test_a_person_who_asks_again_need_not_wait(rig: Rig) -> None:
    entry = resting_entry(rig)
    refuse_five(rig, entry)
    rig.command(OperatorAction.CANCEL_ENTRY, client_order_id=entry.client_order_id)
    assert len(rig.cancelled()) == 6
    rig.ended(entry)
    rig.wait(2 * SLOWLY_MS)
    assert len(rig.cancelled()) == 6
    assert rig.order(entry).status is OrderStatus.CANCELED


def test_a_halt_that_goes_on_asks_as_slowly(rig: Rig) -> None:
    entry = rig.enter()
    rig.command(OperatorAction.HALT)
    refuse_five(rig, entry)
    rig.wait(SLOWLY_MS - 3_000)
    assert len(rig.cancelled()) == 5
    rig.command(OperatorAction.HALT)
    assert len(rig.cancelled()) == 6
    assert refuse_cancel(rig, entry) == []
    rig.wait(SLOWLY_MS)
    assert len(rig.cancelled()) == 7
    assert len(alarms(rig)) == 1


def test_a_cancel_nobody_answers_is_asked_about_after_five_seconds(rig: Rig) -> None:
    entry = resting_entry(rig)
    rig.wait(4_000)
    assert rig.of(QueryOrder) == []
    rig.wait(1_000)
    assert rig.of(QueryOrder) == [QueryOrder("BTCUSDT", entry.client_order_id)]
    assert rig.accept(entry) == [CancelOrder("BTCUSDT", entry.client_order_id)]


def test_protection_of_a_position_that_is_gone_is_given_up_as_slowly(rig: Rig) -> None:
    rig.open_position()
    stop, take = rig.last(STOP), rig.last(TAKE)
    rig.fill(stop)
    rig.audit()
    told = len(rig.journal("protection"))
    for _ in range(5):
        refuse_cancel(rig, take)
        rig.audit()
    assert rig.cancelled().count(take.client_order_id) == 5
    rig.wait(SLOWLY_MS - 5_000)
    assert rig.cancelled().count(take.client_order_id) == 5
    rig.wait(5_000)
    assert rig.cancelled().count(take.client_order_id) == 6
    assert len(alarms(rig)) == 1
    assert len(rig.journal("protection")) == told


def test_what_has_ended_is_forgotten(rig: Rig) -> None:
    entry = resting_entry(rig)
    assert entry.client_order_id in rig.desk.cancels
    rig.ended(entry)
    rig.wait(16 * 60_000)
    rig.feed(Due(Duty.CLEANUP, rig.now))
    assert rig.desk.cancels == {}
