"""The recorded market data of examples/, see examples/README.md."""

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RECORDED_HOUR = EXAMPLES / "liquidations_2025-12-27.csv"
RECORDED_KLINES = EXAMPLES / "klines"


def recorded_frames() -> list[dict[str, Any]]:
    """Recorded liquidation frames: the ``exchange``, the side ``liquidated``, and the complete ``frame``."""
    frames: list[dict[str, Any]] = json.loads((EXAMPLES / "liquidation_frames.json").read_text(encoding="utf-8"))
    return frames
