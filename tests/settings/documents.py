"""Settings documents for the tests."""

from typing import Any


def a_symbol(**changes: object) -> dict[str, Any]:
    return {
        "volume_threshold": 10_000,
        "leverage": 5,
        "trade_value_usdt": 5,
        "max_position_usdt": 50,
        "take_profit_pct": 1,
        "stop_loss_pct": 2,
    } | changes


def a_document(*, globals_: dict[str, object] | None = None, **changes: Any) -> dict[str, Any]:
    """Build the smallest valid document, with changes to globals and to its only symbol."""
    return {
        "globals": {"max_total_exposure_usdt": 200} | (globals_ or {}),
        "symbols": {"BTCUSDT": a_symbol(**changes)},
    }


def without(document: dict[str, Any], part: str, name: str) -> dict[str, Any]:
    """Remove one setting of ``globals`` or of BTCUSDT from the document."""
    owner = document["globals"] if part == "globals" else document["symbols"]["BTCUSDT"]
    del owner[name]
    return document


PREDECESSOR: dict[str, Any] = {
    "globals": {
        "volume_window_sec": 90,
        "simulate_only": False,
        "multi_assets_mode": True,
        "hedge_mode": True,
        "order_ttl_seconds": 120,
        "max_open_orders_per_symbol": 12,
        "max_total_exposure_usdt": 750,
        "rate_limit_buffer_pct": 15,
        "time_in_force": "GTC",
        "use_usdt_volume": True,
        "set_leverage": False,
        "set_margin_type": False,
        "order_cleanup_interval_seconds": 25,
        "stale_limit_order_minutes": 1.5,
        "max_stop_orders_per_symbol": 1,
        "batch_orders": True,
        "enable_order_consolidation": True,
        "use_position_monitor": True,
        "tranche_pnl_increment_pct": 4.0,
        "max_tranches_per_symbol_side": 3,
        "instant_tp_enabled": True,
        "tp_sl_batch_enabled": True,
        "buffer_liquidations": True,
        "liquidation_buffer_ms": 100,
    },
    "symbols": {
        "LINKUSDT": {
            "volume_threshold_long": 7_000,
            "volume_threshold_short": 21_000,
            "leverage": 8,
            "margin_type": "CROSSED",
            "trade_side": "OPPOSITE",
            "trade_value_usdt": "0.75",
            "price_offset_pct": 0.02,
            "max_position_usdt": 60,
            "take_profit_enabled": True,
            "take_profit_pct": 1,
            "stop_loss_enabled": True,
            "stop_loss_pct": 10,
            "use_trailing_stop": False,
            "working_type": "CONTRACT_PRICE",
            "price_protect": False,
        },
    },
}


def node_document(**changes: Any) -> dict[str, Any]:
    """Build a config.json of the node bot, with changes to its only symbol."""
    symbol = {
        "longVolumeThresholdUSDT": 1500,
        "shortVolumeThresholdUSDT": 2500,
        "tradeSize": 12,
        "maxPositionMarginUSDT": 240,
        "leverage": 8,
        "tpPercent": 1.5,
        "slPercent": 4,
    }
    return {
        "api": {"apiKey": "", "secretKey": ""},
        "symbols": {"BTCUSDT": symbol | changes},
        "global": {
            "riskPercent": 60,
            "paperMode": True,
            "positionMode": "ONE_WAY",
            "rateLimit": {"reservePercent": 40, "enableBatching": True},
        },
        "version": "1.1.0",
    }
