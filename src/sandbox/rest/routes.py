"""A table of paths: which of them exist, what each costs, who may ask, and which parameters it knows.

A row names the paths of V1; its twin on V3 has another way to sign and the same action. What V3 alone has is named
by its path there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from src.sandbox.exchange import SandboxExchange
from src.sandbox.rest.auth import V1_PARAMETERS, V3_PARAMETERS, Security
from src.sandbox.rest.parameters import Parameters

Action = Callable[[SandboxExchange, Parameters], object]
"""Answers a request; raises Rejected."""
Weight = int | Callable[[Parameters], int]
_V3 = "v3"
_SIGNED_ON_V3 = (Security.USER_STREAM, Security.SIGNED)
_ALSO_ON_V3 = {"account": ("accountWithJoinMargin",)}
"""Names that V3 has given: the document's beside the one that clients still ask."""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    paths: tuple[str, ...]
    action: Action
    security: Security = Security.NONE
    weight: Weight = 1
    parameters: tuple[str, ...] = ()
    orders: int = 0
    """How many orders a request counts as."""

    @property
    def v3_paths(self) -> tuple[str, ...]:
        """Of its twin; what V1 has in several versions is one there."""
        return tuple(dict.fromkeys(twin for path in self.paths for twin in _v3_twins(path)))

    @property
    def all_paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.paths, *self.v3_paths)))

    def known_parameters(self, path: str) -> tuple[str, ...]:
        if is_v3(path):
            return self.parameters + (V3_PARAMETERS if self.security in _SIGNED_ON_V3 else ())
        return self.parameters + (V1_PARAMETERS if self.security is Security.SIGNED else ())

    def weight_of(self, parameters: Parameters) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)


def is_v3(path: str) -> bool:
    return path.split("/")[2] == _V3


def _v3_twins(path: str) -> list[str]:
    _, host, _, name = path.split("/", 3)
    return [f"/{host}/{_V3}/{each}" for each in (name, *_ALSO_ON_V3.get(name, ()))]


def by_symbol(with_symbol: int, without: int) -> Weight:
    """A weight that depends on whether one symbol is asked for, or all."""
    return lambda parameters: with_symbol if "symbol" in parameters else without
