"""The recorded market data that lies in the project, see examples/README.md."""

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RECORDED_HOUR = EXAMPLES / "liquidations_2025-12-27.csv"
RECORDED_KLINES = EXAMPLES / "klines"


def recorded_frames() -> list[dict[str, Any]]:
    """Liquidations as streams have sent them: ``exchange``, the side ``liquidated``, and the whole ``frame``."""
    frames: list[dict[str, Any]] = json.loads((EXAMPLES / "liquidation_frames.json").read_text(encoding="utf-8"))
    return frames
