"""Settings of one symbol. The dashboard shows the titles and descriptions of these fields."""

from decimal import Decimal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from src.domain.enums import MarginType, Side, TradeSide, WorkingType
from src.domain.errors import InvariantError
from src.settings.fields import BoolField, DecimalField, IntField, SettingsPart, ui_meta

_MAX_THRESHOLD = Decimal(1_000_000_000)
_MAX_MARGIN = Decimal(10_000_000)
_INVALID = "given, but invalid"


class SymbolSettings(SettingsPart):
    """Signal, size and protection of one symbol. ``_usdt`` amounts are margin."""

    volume_threshold_long: DecimalField | None = Field(
        None,
        title="Volume threshold for BUY",
        description="Overrides the volume threshold for BUY entries.",
        gt=0,
        le=_MAX_THRESHOLD,
        json_schema_extra=ui_meta("USDT"),
    )
    volume_threshold_short: DecimalField | None = Field(
        None,
        title="Volume threshold for SELL",
        description="Overrides the volume threshold for SELL entries.",
        gt=0,
        le=_MAX_THRESHOLD,
        json_schema_extra=ui_meta("USDT"),
    )
    volume_threshold: DecimalField | None = Field(
        None,
        title="Volume threshold",
        description='Liquidation volume that triggers an entry: USDT, or tokens if "Thresholds in USDT" is off.',
        gt=0,
        le=_MAX_THRESHOLD,
        validate_default=True,
        examples=[Decimal(10_000)],
        json_schema_extra=ui_meta("USDT"),
    )
    leverage: IntField = Field(
        title="Leverage",
        description="Position value divided by margin. Higher leverage brings the liquidation price closer.",
        ge=1,
        le=125,
        examples=[5],
        json_schema_extra=ui_meta("x"),
    )
    margin_type: MarginType = Field(
        MarginType.ISOLATED,
        title="Margin type",
        description="ISOLATED risks only the margin of the position, CROSSED the whole balance.",
        json_schema_extra=ui_meta(),
    )
    trade_side: TradeSide = Field(
        TradeSide.OPPOSITE,
        title="Trade side",
        description="OPPOSITE trades against every liquidation; BUY and SELL allow only that direction.",
        json_schema_extra=ui_meta(),
    )
    trade_value_usdt: DecimalField = Field(
        title="Margin per entry",
        description="Margin of one entry. Order value = margin × leverage.",
        gt=0,
        le=_MAX_MARGIN,
        examples=[Decimal(5)],
        json_schema_extra=ui_meta("USDT"),
    )
    price_offset_pct: DecimalField = Field(
        Decimal("0.1"),
        title="Price offset",
        description="Distance of an entry from the mark price if no order book is available.",
        ge=0,
        lt=100,
        json_schema_extra=ui_meta("%"),
    )
    max_position_usdt: DecimalField = Field(
        title="Max. margin",
        description="Max. margin of this symbol, including unfilled entries.",
        gt=0,
        le=_MAX_MARGIN,
        examples=[Decimal(50)],
        json_schema_extra=ui_meta("USDT"),
    )
    take_profit_enabled: BoolField = Field(
        True,
        title="Take profit",
        description="Place a take profit for the whole position.",
        json_schema_extra=ui_meta(),
    )
    take_profit_pct: DecimalField = Field(
        title="Take profit distance",
        description="Distance of the take profit from the average entry price.",
        gt=0,
        lt=100,
        examples=[Decimal(1)],
        json_schema_extra=ui_meta("% of price"),
    )
    stop_loss_enabled: BoolField = Field(
        True,
        title="Stop loss",
        description="Place a stop loss for the whole position. If off, only liquidation ends a losing position.",
        json_schema_extra=ui_meta(),
    )
    stop_loss_pct: DecimalField = Field(
        title="Stop loss distance",
        description="Distance of the stop loss from the average entry price.",
        gt=0,
        lt=100,
        examples=[Decimal(2)],
        json_schema_extra=ui_meta("% of price"),
    )
    working_type: WorkingType = Field(
        WorkingType.CONTRACT_PRICE,
        title="Trigger price",
        description="Price that triggers take profit and stop loss: last trade or mark price.",
        json_schema_extra=ui_meta(),
    )
    price_protect: BoolField = Field(
        False,
        title="Price protection",
        description="The exchange delays triggers, stops included, while mark and last price differ too much.",
        json_schema_extra=ui_meta(),
    )

    @field_validator("volume_threshold")
    @classmethod
    def _covers_both_sides(cls, threshold: Decimal | None, earlier: ValidationInfo) -> Decimal | None:
        own = (earlier.data.get(name, _INVALID) for name in ("volume_threshold_long", "volume_threshold_short"))
        if threshold is None and None in own:
            raise PydanticCustomError(
                "thresholds", "is missing: add it, or both volume_threshold_long and volume_threshold_short"
            )
        return threshold

    def threshold_for(self, side: Side) -> Decimal:
        """Liquidation volume that triggers an entry of this side, in USDT or tokens (``use_usdt_volume``)."""
        own = self.volume_threshold_long if side is Side.BUY else self.volume_threshold_short
        threshold = own if own is not None else self.volume_threshold
        if threshold is None:
            raise InvariantError("settings without a volume threshold passed validation")
        return threshold
