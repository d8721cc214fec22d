"""Compares the account's modes, margin types and leverage with the settings and plans the changes. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import assert_never

from src.domain.commands import AccountCommand, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.enums import MarginType
from src.domain.positions import PositionReport, Snapshot
from src.settings.config import Settings, SymbolSettings

_REMEDIES = {
    -4028: "Set a lower leverage in the settings of the symbol: the exchange does not allow this one",
    -4047: "Cancel the symbol's open orders, or set its margin_type to the one at the exchange",
    -4048: "Close the symbol's position, or set its margin_type to the one at the exchange",
    -4161: "Close the symbol's position, or set its leverage back to the one at the exchange",
    -4168: "Set the symbol's margin_type to CROSSED: multi-assets mode allows no other",
}
"""What to do about a refusal, by its code (Error Codes); every other code gets a general answer."""


@dataclass(frozen=True, slots=True)
class AccountSetup:
    """Commands that configure the account, and conflicts only its owner can resolve."""

    commands: tuple[AccountCommand, ...]
    conflicts: tuple[str, ...]


def plan_account_setup(
    settings: Settings, snapshot: Snapshot, confirmed: Collection[AccountCommand] = ()
) -> AccountSetup:
    """Plan a command for each difference; a mode that cannot be changed now is a conflict.

    ``confirmed`` holds what the exchange has confirmed of symbols that its position reports leave out.
    """
    conflicts = tuple(_conflicts(settings, snapshot))
    if conflicts:
        return AccountSetup((), conflicts)
    return AccountSetup(tuple(_commands(settings, snapshot, confirmed)), ())


def _conflicts(settings: Settings, snapshot: Snapshot) -> Iterator[str]:
    wanted, cannot_change = settings.globals_, is_busy(snapshot)
    if cannot_change and snapshot.hedge_mode != wanted.hedge_mode:
        now, then = _mode(snapshot.hedge_mode), _mode(wanted.hedge_mode)
        yield (
            f"the account is in {now} mode, the settings require {then}, and it cannot change while positions or "
            f"orders are open: close them, or set globals.hedge_mode to {str(snapshot.hedge_mode).lower()}"
        )
    if cannot_change and snapshot.multi_assets_mode != wanted.multi_assets_mode:
        yield (
            "the account's multi-assets mode differs from globals.multi_assets_mode and cannot change while "
            "positions or orders are open: close them, or change the setting"
        )


def is_busy(snapshot: Snapshot, symbol: str | None = None) -> bool:
    """Whether positions or orders of the symbol are open, of any symbol if it is None."""
    symbols = {order.symbol for order in snapshot.open_orders}
    symbols |= {order.symbol for order in snapshot.unrecognized_orders}
    symbols |= {report.symbol for report in snapshot.positions if report.quantity}
    return bool(symbols) if symbol is None else symbol in symbols


def _commands(
    settings: Settings, snapshot: Snapshot, confirmed: Collection[AccountCommand]
) -> Iterator[AccountCommand]:
    wanted = settings.globals_
    if snapshot.hedge_mode != wanted.hedge_mode:
        yield SetPositionMode(wanted.hedge_mode)
    if snapshot.multi_assets_mode != wanted.multi_assets_mode:
        yield SetMultiAssetsMode(wanted.multi_assets_mode)
    unreported, unsettable = _unreported(settings, snapshot), unsettable_symbols(settings)
    for symbol, each in settings.symbols.items():
        reports = [report for report in snapshot.positions if report.symbol == symbol]
        set_margin_type, set_leverage = SetMarginType(symbol, each.margin_type), SetLeverage(symbol, each.leverage)
        unknown = {set_margin_type, set_leverage}.difference(confirmed) if symbol in unreported else set()
        differs = set_margin_type in unknown or _margin_type_differs(reports, each.margin_type)
        if wanted.set_margin_type and differs and symbol not in unsettable:
            yield set_margin_type
        if wanted.set_leverage and (set_leverage in unknown or any(it.leverage != each.leverage for it in reports)):
            yield set_leverage


def _margin_type_differs(reports: list[PositionReport], margin_type: MarginType) -> bool:
    """Whether the margin type differs and can be changed.

    The exchange changes it only while the symbol is flat; unrecognized margin types are left alone.
    """
    known = [report.margin_type for report in reports if report.margin_type is not None]
    return any(each is not margin_type for each in known) and not any(report.quantity for report in reports)


def _unreported(settings: Settings, snapshot: Snapshot) -> list[str]:
    """Configured symbols without a position report: the exchange may leave out symbols that are flat."""
    reported = {report.symbol for report in snapshot.positions}
    reported |= {position.symbol for position in snapshot.unrecognized_positions}
    return [symbol for symbol in settings.symbols if symbol not in reported]


def untradable_symbols(
    settings: Settings, snapshot: Snapshot, confirmed: Collection[AccountCommand] = ()
) -> dict[str, str]:
    """Symbols with another, or no known, leverage or margin type at the exchange, each with the reason."""
    unknown = {
        symbol: reason
        for symbol in _unreported(settings, snapshot)
        if (reason := _unknown(symbol, settings, confirmed)) is not None
    }
    unrecognized = {each.symbol: each for each in snapshot.unrecognized_positions if each.symbol in settings.symbols}
    unreadable = {
        name: f"the exchange reports it with unrecognized values: {each.problem}" for name, each in unrecognized.items()
    }
    mismatched = {
        report.symbol: reason
        for report in snapshot.positions
        if report.symbol in settings.symbols and (reason := _mismatch(report, settings)) is not None
    }
    return unknown | unreadable | mismatched | unsettable_symbols(settings)


def manual_remedies(
    settings: Settings, snapshot: Snapshot, setup: AccountSetup, untradable: dict[str, str]
) -> dict[str, str]:
    """What the operator can do about symbols that the bot itself sends no command for, added to the reason."""
    left_alone = {symbol_of(command) for command in setup.commands}
    left_alone |= {position.symbol for position in snapshot.unrecognized_positions}
    held = {report.symbol for report in snapshot.positions if report.quantity}
    sentences = {}
    for symbol, reason in untradable.items():
        if symbol in left_alone:
            continue
        if ": " in reason:
            sentences[symbol] = reason  # it names its remedy
        elif symbol in held and settings.globals_.set_margin_type:
            sentences[symbol] = f"{reason}. {_REMEDIES[-4048]}"
        else:
            sentences[symbol] = (
                f"{reason}. Set it on the exchange's site, or switch on set_leverage and set_margin_type"
            )
    return sentences


def unsettable_symbols(settings: Settings) -> dict[str, str]:
    """Symbols whose margin type the settings' own multi-assets mode excludes, each with the reason."""
    if not (settings.globals_.multi_assets_mode and settings.globals_.set_margin_type):
        return {}
    reason = "multi-assets mode allows crossed margin only: set its margin_type to CROSSED"
    return {name: reason for name, each in settings.symbols.items() if each.margin_type is MarginType.ISOLATED}


def _unknown(symbol: str, settings: Settings, confirmed: Collection[AccountCommand]) -> str | None:
    """What is not known of a symbol without a position report."""
    wanted, globals_ = settings.symbols[symbol], settings.globals_
    missing = {
        "leverage": (SetLeverage(symbol, wanted.leverage), globals_.set_leverage),
        "margin type": (SetMarginType(symbol, wanted.margin_type), globals_.set_margin_type),
    }
    unknown = {name: may_set for name, (command, may_set) in missing.items() if command not in confirmed}
    if not unknown:
        return None
    remedies = [f"set_{name.replace(' ', '_')}" for name, may_set in unknown.items() if not may_set]
    remedy = f"switch on {' and '.join(remedies)}" if remedies else "the bot is setting it"
    return f"the exchange does not report its {' and '.join(unknown)}: {remedy}"


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


def symbol_of(command: AccountCommand) -> str | None:
    """The symbol a command concerns; None for a mode of the whole account."""
    return command.symbol if isinstance(command, SetMarginType | SetLeverage) else None


def refusal(command: AccountCommand, code: int | None, reason: str) -> str:
    """Why a command was refused and what to do about it, for the operator."""
    symbol, shown = symbol_of(command), reason if code is None else f"{reason} ({code})"
    if symbol is None:
        return f"the account could not be configured: {shown}"
    return f"{describe(command).removeprefix(f'{symbol} ')} could not be set: {shown}. {_remedy(command, code)}"


def _remedy(command: AccountCommand, code: int | None) -> str:
    if code is None:
        return "The bot tries again"
    setting = "leverage" if isinstance(command, SetLeverage) else "margin_type"
    remedy = _REMEDIES.get(code, f"Set it on the exchange's site, or change {setting} in the settings of the symbol")
    return f"{remedy}; the bot then tries again"


def leverage_mismatch(leverage: int, wanted: SymbolSettings) -> str:
    return f"leverage is {leverage} at the exchange, {wanted.leverage} in the settings"


def _mode(hedge_mode: bool) -> str:
    return "hedge" if hedge_mode else "one-way"
