"""How the sandbox goes, for people and tests."""

from dataclasses import asdict

from src.exchange.wire import Body, number
from src.sandbox.exchange import SandboxExchange
from src.sandbox.replay import Progress


def status_of(exchange: SandboxExchange) -> Body:
    """The replay's progress, and what the account has done so far."""
    with exchange.lock:
        return {
            "now": exchange.now_ms(),
            "symbols": len(exchange.market.symbols),
            "replay": None if exchange.progress is None else asdict(exchange.progress),
            "orders_received": len(exchange.account.records.received),
            "open_orders": len(exchange.engine.open_orders()),
            "open_positions": len(exchange.account.open_positions()),
            "wallet_balance": number(exchange.account.summary().wallet_balance),
            "longest_unprotected_ms": exchange.protection.longest_ms(exchange.now_ms()),
            "streams": len(exchange.wanted_streams()),
        }


def progress_line(progress: Progress) -> str:
    """How a replay goes, in words that change every tenth part."""
    if progress.is_finished:
        return f"replay finished rows={progress.rows} pushed={progress.pushed} suppressed={progress.suppressed}"
    return f"replay {progress.played * 10 // progress.rows * 10}% of {progress.rows} rows played"
