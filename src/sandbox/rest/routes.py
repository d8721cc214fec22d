"""Route definitions: method, paths, action, authentication, weight and parameters.

A route lists its V1 paths; the V3 paths are derived and differ only in the signature. A route that exists on V3 only
lists its V3 path.
"""

from collections.abc import Callable
from dataclasses import dataclass

from src.sandbox.exchange import SandboxExchange
from src.sandbox.rest.auth import V1_PARAMETERS, V3_PARAMETERS, Security
from src.sandbox.rest.parameters import Parameters

Action = Callable[[SandboxExchange, Parameters], object]
"""Returns the response body. Raises Rejected."""
Weight = int | Callable[[Parameters], int]
_V3 = "v3"
_SIGNED_ON_V3 = (Security.USER_STREAM, Security.SIGNED)
_ALSO_ON_V3 = {"account": ("accountWithJoinMargin",)}
"""Additional names on V3: the documented one besides the one that clients still use."""


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    method: str
    paths: tuple[str, ...]
    action: Action
    security: Security = Security.NONE
    weight: Weight = 1
    parameters: tuple[str, ...] = ()
    orders: Weight = 0
    """Number of orders a request counts as."""

    @property
    def v3_paths(self) -> tuple[str, ...]:
        """Paths on V3; several versions of a V1 path have one V3 path."""
        return tuple(dict.fromkeys(each for path in self.paths for each in _v3_equivalents(path)))

    @property
    def all_paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.paths, *self.v3_paths)))

    def known_parameters(self, path: str) -> tuple[str, ...]:
        if is_v3(path):
            return self.parameters + (V3_PARAMETERS if self.security in _SIGNED_ON_V3 else ())
        return self.parameters + (V1_PARAMETERS if self.security is Security.SIGNED else ())

    def weight_of(self, parameters: Parameters) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)

    def orders_of(self, parameters: Parameters) -> int:
        return self.orders if isinstance(self.orders, int) else self.orders(parameters)


def is_v3(path: str) -> bool:
    return path.split("/")[2] == _V3


def _v3_equivalents(path: str) -> list[str]:
    _, host, _, name = path.split("/", 3)
    return [f"/{host}/{_V3}/{each}" for each in (name, *_ALSO_ON_V3.get(name, ()))]


def by_symbol(with_symbol: int, without: int) -> Weight:
    """Return a weight that depends on whether a symbol is given."""
    return lambda parameters: with_symbol if "symbol" in parameters else without
