"""How the account is to be set: wishes that the exchange may refuse, and that change no order."""

from dataclasses import dataclass

from src.domain.enums import MarginType


@dataclass(frozen=True, slots=True)
class SetPositionMode:
    hedge_mode: bool


@dataclass(frozen=True, slots=True)
class SetMultiAssetsMode:
    multi_assets_mode: bool


@dataclass(frozen=True, slots=True)
class SetMarginType:
    symbol: str
    margin_type: MarginType


@dataclass(frozen=True, slots=True)
class SetLeverage:
    symbol: str
    leverage: int


AccountCommand = SetPositionMode | SetMultiAssetsMode | SetMarginType | SetLeverage
