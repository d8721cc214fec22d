from decimal import ROUND_HALF_UP, Decimal, localcontext

from src.engine.costs import Costs, booked

D = Decimal


def test_an_amount_is_booked_with_eight_digits_half_to_even() -> None:
    assert [booked(D(text)) for text in ("1.000000005", "1.000000015", "-1.000000015", "2")] == [
        D("1.00000000"),
        D("1.00000002"),
        D("-1.00000002"),
        D("2.00000000"),
    ]


def test_what_another_library_set_for_its_own_sums_does_not_change_the_books() -> None:
    with localcontext(rounding=ROUND_HALF_UP):
        assert booked(D("1.000000005")) == D("1.00000000")


def test_a_maker_pays_less_than_a_taker_by_the_documented_rates() -> None:
    costs = Costs()

    assert costs.commission(D(10_000), is_maker=True) == D(2)
    assert costs.commission(D(10_000), is_maker=False) == D(4)
