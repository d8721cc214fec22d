"""The benchmarks' own exchange and figures: what they measure must be what they say."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

from benchmarks.exchange import TRADED, FloorExchange, liquidation_frame
from benchmarks.report import Figures, Row
from src.domain.enums import OrderStatus
from src.domain.market import Liquidation
from src.exchange.wire import parse_event, parse_instrument_list, parse_order, read_json, read_positions


def test_exchange_of_the_benchmarks_speaks_the_protocol() -> None:
    exchange = FloorExchange()
    _, info = exchange.respond("GET", "/fapi/v1/exchangeInfo", {}, 0)
    _, positions = exchange.respond("GET", "/fapi/v2/positionRisk", {}, 0)
    event = parse_event(read_json(liquidation_frame(TRADED[0], 1)), 2)
    assert TRADED[0] in parse_instrument_list(json.loads(json.dumps(info))).instruments
    assert len(read_positions(positions)[0]) == 10
    assert isinstance(event, Liquidation)
    assert event.symbol == TRADED[0]


def test_arrival_of_the_expected_order_ends_a_measurement() -> None:
    order = {"symbol": TRADED[0], "side": "BUY", "type": "LIMIT", "quantity": "0.1", "newClientOrderId": "lh-abcdef-e"}

    async def place() -> tuple[object, tuple[int, object]]:
        exchange = FloorExchange()
        exchange.sockets["market"] = lambda _: None
        measured = asyncio.ensure_future(exchange.control({"do": "signal", "symbols": [TRADED[0]]}))
        await asyncio.sleep(0)
        exchange.respond("GET", "/fapi/v1/depth", {}, 1)
        answer = exchange.respond("POST", "/fapi/v1/order", order, 2)
        return await measured, answer

    with ThreadPoolExecutor(1) as thread:  # a browser of another test may have a loop in this one
        result, (status, answer) = thread.submit(asyncio.run, place()).result()
    assert isinstance(result, dict)
    assert (len(result["ms"]), result["other_requests"]) == (1, 1)
    assert (status, parse_order(answer).status) == (200, OrderStatus.NEW)


def test_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    floor, bot = Figures([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]]), Figures([[2.0, 2.0], [4.0, 4.0], [9.0, 9.0]])
    row = Row("figure", floor, bot, max_ratio=2.0)
    assert bot.ratio(floor, 50) == 2.0
    assert row.is_good
