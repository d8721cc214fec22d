import json
from typing import Any

import pytest

from src.core.streamer import LiquidationStreamer
from src.domain.clock import ManualClock
from src.domain.events import Event, Stream, StreamDown, StreamUp, UnreadableMessages
from src.domain.market import Liquidation, MarkPrice, Quote
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


def test_one_connection_carries_all_market_streams(streamer: LiquidationStreamer) -> None:
    assert streamer.url() == (
        "wss://example/stream?streams=!forceOrder@arr/!markPrice@arr@1s/btcusdt@bookTicker/ethusdt@bookTicker"
    )


def test_symbols_in_any_script_are_encoded(events: list[Event]) -> None:
    streamer = LiquidationStreamer("wss://example", lambda: ["币安人生USDT"], events.append, ManualClock(NOW))
    assert streamer.url().endswith("%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@bookTicker")


@pytest.mark.parametrize(("symbols", "streams"), [(198, 200), (199, 3), (500, 3)])
def test_more_symbols_than_streams_share_the_stream_of_all_quotes(
    events: list[Event], symbols: int, streams: int
) -> None:
    names = [f"S{n}USDT" for n in range(symbols)]
    streamer = LiquidationStreamer("wss://example", lambda: names, events.append, ManualClock(NOW))
    assert streamer.url().count("/") == 2 + 1 + streams - 1
    assert streamer.url().endswith("/!bookTicker") is (streams == 3)


def test_only_a_symbol_that_came_or_went_makes_the_connection_outdated(events: list[Event]) -> None:
    symbols = {"BTCUSDT"}
    streamer = LiquidationStreamer("wss://example", lambda: symbols, events.append, ManualClock(NOW))
    assert not streamer.is_outdated  # not connected yet: the first connection has the current symbols
    assert streamer.open_url() == streamer.url()
    assert not streamer.is_outdated
    symbols.add("ETHUSDT")
    assert streamer.is_outdated
    streamer.open_url()
    assert not streamer.is_outdated
    symbols.remove("BTCUSDT")
    assert streamer.is_outdated


def test_liquidation_is_posted(streamer: LiquidationStreamer, events: list[Event]) -> None:
    liquidation = a_liquidation()
    streamer.handler.on_message(on_the_wire(wrap("!forceOrder@arr", render_event(liquidation))))
    assert events == [liquidation]
    assert streamer.process_liquidation(on_the_wire(render_event(a_quote()))) is None


def test_quotes_and_marks_are_posted(streamer: LiquidationStreamer, events: list[Event]) -> None:
    streamer.handler.on_message(on_the_wire(wrap("btcusdt@bookTicker", render_event(a_quote()))))
    streamer.handler.on_message(
        on_the_wire(wrap("!markPrice@arr@1s", [render_event(a_mark()), render_event(a_mark(51_000))]))
    )
    assert [type(event) for event in events] == [Quote, MarkPrice, MarkPrice]


def test_parse_error_does_not_lose_other_events(streamer: LiquidationStreamer, events: list[Event]) -> None:
    streamer.handler.on_message(on_the_wire([{"e": "aNewEvent"}, render_event(a_liquidation())]))
    streamer.handler.on_message({"e": "forceOrder", "o": {"s": "BTCUSDT"}})
    streamer.handler.on_message({"result": None, "id": 1})
    assert streamer.handler.parse_errors == 2
    unknown, liquidation = events
    assert unknown == UnreadableMessages(Stream.MARKET, "unknown event aNewEvent", 1, NOW)
    assert isinstance(liquidation, Liquidation)


def test_stream_up_and_down_are_posted(streamer: LiquidationStreamer, events: list[Event]) -> None:
    streamer.handler.on_up()
    streamer.handler.on_down("closed")
    assert events == [StreamUp(Stream.MARKET, NOW), StreamDown(Stream.MARKET, "closed", NOW)]


def test_real_aster_frames_are_parsed(streamer: LiquidationStreamer, events: list[Event]) -> None:
    frames = [each["frame"] for each in recorded_frames()]
    for frame in frames:
        streamer.handler.on_message(frame)
    assert frames
    assert len(events) >= len(frames)
    assert streamer.handler.parse_errors == 0


def test_flood_of_unreadable_events_is_posted_once_a_second(events: list[Event]) -> None:
    clock = ManualClock(NOW)
    streamer = LiquidationStreamer("wss://example", lambda: ["BTCUSDT"], events.append, clock)
    broken = {**on_the_wire(render_event(a_mark())), "p": "0"}
    for _ in range(5):
        streamer.handler.on_message([broken, broken])
    clock.advance(1_000)
    streamer.handler.on_message([])
    assert [each.count for each in events if isinstance(each, UnreadableMessages)] == [1, 9]
