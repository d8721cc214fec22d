"""A table of paths: which of them exist, what each costs, who may ask, and which parameters it knows.

A later version of the protocol adds rows and another way to sign; the actions stay the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

from src.sandbox.exchange import SandboxExchange
from src.sandbox.rest.parameters import Parameters
from src.sandbox.rest.security import SIGNED_PARAMETERS, Security

Action = Callable[[SandboxExchange, Parameters], object]
"""Answers a request; raises Rejected."""
Weight = int | Callable[[Parameters], int]


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
    def known_parameters(self) -> tuple[str, ...]:
        return self.parameters + (SIGNED_PARAMETERS if self.security is Security.SIGNED else ())

    def weigh(self, parameters: Parameters) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)


def by_symbol(with_symbol: int, without: int) -> Weight:
    """A weight that depends on whether one symbol is asked for, or all."""
    return lambda parameters: with_symbol if "symbol" in parameters else without
