"""What a client of both markets asks the spot host before it trades futures: nothing is listed there."""

from src.exchange.wire import Body, render_exchange_info
from src.sandbox.exchange import SandboxExchange
from src.sandbox.rest.parameters import Parameters
from src.sandbox.rest.routes import Route


def _exchange_info(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    futures = render_exchange_info((each.instrument for each in exchange.market.symbols.values()), exchange.now_ms())
    return {**futures, "symbols": []}


SPOT_ROUTES = (Route("GET", ("/api/v1/exchangeInfo",), _exchange_info),)
