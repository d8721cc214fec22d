"""Compares the account's modes, margin types and leverage with the settings and plans the changes. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from src.domain.commands import AccountCommand, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.enums import MarginType
from src.domain.positions import PositionReport, Snapshot
from src.settings.config import Settings, SymbolSettings


@dataclass(frozen=True, slots=True)
class AccountSetup:
    """Commands that configure the account, and conflicts only its owner can resolve."""

    commands: tuple[AccountCommand, ...]
    conflicts: tuple[str, ...]


def plan_account_setup(settings: Settings, snapshot: Snapshot) -> AccountSetup:
    """Plan a command for each difference; a mode that cannot be changed now is a conflict."""
    conflicts = tuple(_conflicts(settings, snapshot))
    if conflicts:
        return AccountSetup((), conflicts)
    return AccountSetup(tuple(_commands(settings, snapshot)), ())


def _conflicts(settings: Settings, snapshot: Snapshot) -> Iterator[str]:
    wanted = settings.globals_
    is_busy = bool(snapshot.open_orders or snapshot.unrecognized_orders) or any(
        report.quantity for report in snapshot.positions
    )
    if is_busy and snapshot.hedge_mode != wanted.hedge_mode:
        now, then = _mode(snapshot.hedge_mode), _mode(wanted.hedge_mode)
        yield (
            f"the account is in {now} mode, the settings require {then}, and it cannot change while positions or "
            f"orders are open: close them, or set globals.hedge_mode to {str(snapshot.hedge_mode).lower()}"
        )
    if is_busy and snapshot.multi_assets_mode != wanted.multi_assets_mode:
        yield (
            "the account's multi-assets mode differs from globals.multi_assets_mode and cannot change while "
            "positions or orders are open: close them, or change the setting"
        )
    if wanted.multi_assets_mode and wanted.set_margin_type:
        isolated = [name for name, each in settings.symbols.items() if each.margin_type is MarginType.ISOLATED]
        if isolated:
            yield f"multi-assets mode allows crossed margin only: set margin_type of {', '.join(isolated)} to CROSSED"


def _commands(settings: Settings, snapshot: Snapshot) -> Iterator[AccountCommand]:
    wanted = settings.globals_
    if snapshot.hedge_mode != wanted.hedge_mode:
        yield SetPositionMode(wanted.hedge_mode)
    if snapshot.multi_assets_mode != wanted.multi_assets_mode:
        yield SetMultiAssetsMode(wanted.multi_assets_mode)
    for symbol, each in settings.symbols.items():
        reports = [report for report in snapshot.positions if report.symbol == symbol]
        if wanted.set_margin_type and _margin_type_differs(reports, each.margin_type):
            yield SetMarginType(symbol, each.margin_type)
        if wanted.set_leverage and any(report.leverage != each.leverage for report in reports):
            yield SetLeverage(symbol, each.leverage)


def _margin_type_differs(reports: list[PositionReport], margin_type: MarginType) -> bool:
    """Whether the margin type differs and can be changed.

    The exchange changes it only while the symbol is flat; unrecognized margin types are left alone.
    """
    known = [report.margin_type for report in reports if report.margin_type is not None]
    return any(each is not margin_type for each in known) and not any(report.quantity for report in reports)


def untradable_symbols(settings: Settings, snapshot: Snapshot) -> dict[str, str]:
    """Symbols with another leverage or margin type at the exchange than in the settings, each with the reason."""
    unrecognized = {each.symbol: each for each in snapshot.unrecognized_positions if each.symbol in settings.symbols}
    unreadable = {
        name: f"the exchange reports it with unrecognized values: {each.problem}" for name, each in unrecognized.items()
    }
    return unreadable | {
        report.symbol: reason
        for report in snapshot.positions
        if report.symbol in settings.symbols and (reason := _mismatch(report, settings)) is not None
    }


def _mismatch(report: PositionReport, settings: Settings) -> str | None:
    wanted = settings.symbols[report.symbol]
    if report.leverage != wanted.leverage:
        return leverage_mismatch(report.leverage, wanted)
    if report.margin_type is None:
        return "unrecognized margin type: set it on the exchange"
    if report.margin_type is not wanted.margin_type:
        return f"margin type is {report.margin_type} at the exchange, {wanted.margin_type} in the settings"
    return None


def describe(command: AccountCommand) -> str:
    """Short description of a command for the log."""
    match command:
        case SetPositionMode(hedge_mode):
            return f"{_mode(hedge_mode)} mode"
        case SetMultiAssetsMode(multi_assets_mode):
            return f"multi-assets mode {'on' if multi_assets_mode else 'off'}"
        case SetMarginType(symbol, margin_type):
            return f"{symbol} {margin_type} margin"
        case SetLeverage(symbol, leverage):
            return f"{symbol} leverage {leverage}x"
        case _:
            assert_never(command)


def leverage_mismatch(leverage: int, wanted: SymbolSettings) -> str:
    return f"leverage is {leverage} at the exchange, {wanted.leverage} in the settings"


def _mode(hedge_mode: bool) -> str:
    return "hedge" if hedge_mode else "one-way"
