"""Which symbols are listed, and what moves them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from src.sandbox.catalogue import Listing, load_catalogue
from src.sandbox.history import History
from src.sandbox.source import Source, StillSource


@dataclass(frozen=True, slots=True)
class Script:
    """A market to be run. By default the catalogue, standing still."""

    listings: Mapping[str, Listing] = field(default_factory=load_catalogue)
    make_source: Callable[[int], Source] = lambda _started_at: StillSource()
    """Makes the source when the script starts, at an instant in ms UTC."""
    make_history: Callable[[int], History] = lambda _started_at: {}
    """Makes the candles from before that instant."""
    awaits_listener: bool = False
    """Start only when somebody listens to all liquidations: of a recording, no row shall be missed."""
