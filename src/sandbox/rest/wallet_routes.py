"""What V3 alone has: noop, the mode of self-trade prevention, and the builders an account has approved."""

from src.exchange.wire import Body, Refusal, render_done
from src.sandbox.account_desk import SelfTradePrevention
from src.sandbox.exchange import SandboxExchange
from src.sandbox.rest.parameters import INVALID, Parameters
from src.sandbox.rest.routes import Action, Route, Weight
from src.sandbox.rest.security import Security

_BAD_MODE = Refusal(INVALID, "Data sent for parameter 'stpMode' is not valid.")


def _noop(_exchange: SandboxExchange, _parameters: Parameters) -> Body:
    """It spends its nonce, and that is all: a request with the same one that is still under way is refused (Noop)."""
    return render_done()


def _prevention(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return {"stpMode": exchange.account.self_trade_prevention.value}


def _set_prevention(exchange: SandboxExchange, parameters: Parameters) -> Body:
    """It is remembered, and that is all: our orders meet the market here, never each other."""
    exchange.account.self_trade_prevention = parameters.word("stpMode", SelfTradePrevention, _BAD_MODE)
    return render_done()


def _builders(_exchange: SandboxExchange, _parameters: Parameters) -> list[Body]:
    """None was approved, and none can be here."""
    return []


def _route(method: str, name: str, action: Action, weight: Weight = 1, *parameters: str) -> Route:
    return Route(method, (f"/fapi/v3/{name}",), action, Security.SIGNED, weight, parameters)


WALLET_ROUTES = (
    _route("POST", "noop", _noop),
    _route("GET", "stpMode", _prevention, 30),
    _route("POST", "stpMode", _set_prevention, 1, "stpMode"),
    _route("GET", "builder", _builders),
)
