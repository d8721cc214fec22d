import json
from typing import Any

import pytest

from src.core.streamer import LiquidationStreamer
from src.domain.clock import ManualClock
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.messages import Event, Stream, StreamDown, StreamUp
from src.exchange.wire import render_event, wrap
from tests.builders import NOW, a_liquidation, a_mark, a_quote
from tests.recorded import recorded_frames


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def streamer(events: list[Event]) -> LiquidationStreamer:
    return LiquidationStreamer("wss://example", lambda: ["ETHUSDT", "BTCUSDT"], events.append, ManualClock(NOW))


def on_the_wire(payload: Any) -> Any:
    return json.loads(json.dumps(payload))


def test_one_connection_carries_liquidations_marks_and_quotes(streamer: LiquidationStreamer) -> None:
    assert streamer.url() == (
        "wss://example/stream?streams=!forceOrder@arr/!markPrice@arr@1s/btcusdt@bookTicker/ethusdt@bookTicker"
    )


def test_symbols_of_any_script_can_be_asked_for(events: list[Event]) -> None:
    streamer = LiquidationStreamer("wss://example", lambda: ["币安人生USDT"], events.append, ManualClock(NOW))
    assert streamer.url().endswith("%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@bookTicker")


def test_a_connection_asks_for_no_more_streams_than_it_may(events: list[Event]) -> None:
    names = [f"S{n}USDT" for n in range(300)]
    streamer = LiquidationStreamer("wss://example", lambda: names, events.append, ManualClock(NOW))
    assert streamer.url().count("/") == 2 + 1 + 199


def test_a_liquidation_is_posted_as_it_happened(streamer: LiquidationStreamer, events: list[Event]) -> None:
    liquidation = a_liquidation()
    streamer.ear.on_message(on_the_wire(wrap("!forceOrder@arr", render_event(liquidation))))
    assert events == [liquidation]
    assert streamer.process_liquidation(on_the_wire(render_event(a_quote()))) is None


def test_quotes_and_marks_are_posted(streamer: LiquidationStreamer, events: list[Event]) -> None:
    streamer.ear.on_message(on_the_wire(wrap("btcusdt@bookTicker", render_event(a_quote()))))
    streamer.ear.on_message(
        on_the_wire(wrap("!markPrice@arr@1s", [render_event(a_mark()), render_event(a_mark(51_000))]))
    )
    assert [type(event) for event in events] == [Quote, MarkPrice, MarkPrice]


def test_what_is_not_understood_is_counted_and_takes_nothing_with_it(
    streamer: LiquidationStreamer, events: list[Event]
) -> None:
    streamer.ear.on_message(on_the_wire([{"e": "aNewEvent"}, render_event(a_liquidation())]))
    streamer.ear.on_message({"e": "forceOrder", "o": {"s": "BTCUSDT"}})
    streamer.ear.on_message({"result": None, "id": 1})
    assert streamer.ear.not_understood == 2
    assert [type(event) for event in events] == [Liquidation]


def test_the_connection_is_told(streamer: LiquidationStreamer, events: list[Event]) -> None:
    streamer.ear.on_up()
    streamer.ear.on_down("closed")
    assert events == [StreamUp(Stream.MARKET, NOW), StreamDown(Stream.MARKET, "closed", NOW)]


def test_real_aster_frames_are_read(streamer: LiquidationStreamer, events: list[Event]) -> None:
    frames = [each["frame"] for each in recorded_frames()]
    for frame in frames:
        streamer.ear.on_message(frame)
    assert frames
    assert len(events) >= len(frames)
    assert streamer.ear.not_understood == 0
