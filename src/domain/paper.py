"""What the paper account tells besides what an exchange would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PaperKept:
    """The paper account after the events that came with it, to be kept with what they change: it has no other home."""

    document: Mapping[str, Any]
