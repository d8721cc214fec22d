"""What the user decides for the whole bot. Titles and descriptions here are the ones the dashboard shows."""

from decimal import Decimal

from pydantic import Field

from src.domain.enums import TimeInForce, VolumeScope
from src.settings.fields import BoolField, DecimalField, IntField, SettingsPart, ui_meta

_MS_PER_SECOND = 1000
_MS_PER_MINUTE = 60 * _MS_PER_SECOND


class GlobalSettings(SettingsPart):
    """Signal, entries, limits and the account's modes. ``_usdt`` amounts are margin, but for the daily loss."""

    simulate_only: BoolField = Field(
        True,
        title="Paper trading",
        description="Trade on paper: nothing is ever sent to the exchange. Real orders need false.",
        json_schema_extra=ui_meta(applies="after restart"),
    )
    volume_window_sec: IntField = Field(
        60,
        title="Volume window",
        description="How far back liquidations are added up.",
        ge=1,
        le=86_400,
        json_schema_extra=ui_meta("s"),
    )
    use_usdt_volume: BoolField = Field(
        True,
        title="Thresholds in USDT",
        description="Thresholds count USDT; with false they count tokens.",
        json_schema_extra=ui_meta(),
    )
    volume_scope: VolumeScope = Field(
        VolumeScope.SIDE,
        title="Volume scope",
        description="SIDE adds up liquidations of one direction, BOTH those of both.",
        json_schema_extra=ui_meta(),
    )
    cooldown_sec: IntField | None = Field(
        None,
        title="Cooldown",
        description="Pause of a symbol and side after an entry. Left out: as long as the volume window.",
        ge=0,
        le=86_400,
        json_schema_extra=ui_meta("s"),
    )
    max_event_age_ms: IntField = Field(
        5000,
        title="Oldest event",
        description="A liquidation that arrives later than this is counted but never traded.",
        ge=100,
        le=60_000,
        json_schema_extra=ui_meta("ms"),
    )
    max_price_deviation_pct: DecimalField = Field(
        Decimal(2),
        title="Largest price deviation",
        description="A liquidation that filled further from the mark price is counted but never traded.",
        gt=0,
        le=50,
        json_schema_extra=ui_meta("%"),
    )
    time_in_force: TimeInForce = Field(
        TimeInForce.GTC,
        title="Time in force",
        description="How long an entry lives: GTC rests, IOC and FOK fill at once or end, GTX only adds liquidity.",
        json_schema_extra=ui_meta(),
    )
    order_ttl_seconds: IntField = Field(
        30,
        title="Entry lifetime",
        description="An entry that has not filled after this time is cancelled.",
        ge=1,
        le=86_400,
        json_schema_extra=ui_meta("s"),
    )
    stale_limit_order_minutes: DecimalField | None = Field(
        None,
        title="Stale after",
        description="The same in minutes, from older files. The shorter of the two counts.",
        gt=0,
        le=1440,
        json_schema_extra=ui_meta("min"),
    )
    order_cleanup_interval_seconds: IntField = Field(
        20,
        title="Cleanup interval",
        description="How often orders are checked for stale entries and missing protection.",
        ge=1,
        le=3600,
        json_schema_extra=ui_meta("s", "after restart"),
    )
    max_open_orders_per_symbol: IntField = Field(
        5,
        title="Open entries per symbol",
        description="No further entry while this many of the symbol may still fill.",
        ge=1,
        le=200,
        json_schema_extra=ui_meta("orders"),
    )
    max_stop_orders_per_symbol: IntField = Field(
        4,
        title="Stops per position",
        description="No further entry while a position has more stop losses than this, your own included.",
        ge=1,
        le=10,
        json_schema_extra=ui_meta("orders"),
    )
    max_total_exposure_usdt: DecimalField = Field(
        title="Largest total margin",
        description="The most margin all symbols together may hold, entries that may still fill included.",
        gt=0,
        le=100_000_000,
        examples=[Decimal(200)],
        json_schema_extra=ui_meta("USDT"),
    )
    max_entries_per_minute: IntField | None = Field(
        None,
        title="Entries per minute",
        description="The most entries of all symbols together within a minute. Left out: no limit.",
        ge=1,
        le=600,
        json_schema_extra=ui_meta("entries"),
    )
    max_daily_loss_usdt: DecimalField | None = Field(
        None,
        title="Largest daily loss",
        description="Entries are locked for the rest of the UTC day once this much was lost in it. Left out: no limit.",
        gt=0,
        le=100_000_000,
        json_schema_extra=ui_meta("USDT"),
    )
    max_consecutive_losses: IntField | None = Field(
        None,
        title="Losses in a row",
        description="Entries are locked after this many exits in a row that lost. Left out: no limit.",
        ge=1,
        le=100,
        json_schema_extra=ui_meta("exits"),
    )
    max_drawdown_pct: DecimalField | None = Field(
        None,
        title="Largest drawdown",
        description="Entries are locked once the account's equity is this far below its peak. Left out: no limit.",
        gt=0,
        lt=100,
        json_schema_extra=ui_meta("%"),
    )
    loss_lock_minutes: IntField = Field(
        60,
        title="Length of a lock",
        description="How long a lock lasts at least; resume releases it sooner.",
        ge=1,
        le=10_080,
        json_schema_extra=ui_meta("min"),
    )
    rate_limit_buffer_pct: DecimalField = Field(
        Decimal(30),
        title="Request reserve",
        description="The share of the exchange's request limit that entries leave to protection: at least 30.",
        ge=0,
        le=90,
        json_schema_extra=ui_meta("%"),
    )
    hedge_mode: BoolField = Field(
        True,
        title="Hedge mode",
        description="Keep a LONG and a SHORT position of a symbol apart.",
        json_schema_extra=ui_meta(),
    )
    adopt_foreign_positions: BoolField = Field(
        False,
        title="Take over positions",
        description="Protect and manage positions of configured symbols that were opened outside the bot.",
        json_schema_extra=ui_meta(),
    )
    multi_assets_mode: BoolField = Field(
        False,
        title="Multi-assets mode",
        description="Let every asset of the account serve as margin. The exchange allows it with CROSSED margin only.",
        json_schema_extra=ui_meta(),
    )
    set_leverage: BoolField = Field(
        True,
        title="Set leverage",
        description="Set each symbol's leverage at the exchange. With false a symbol that differs is not traded.",
        json_schema_extra=ui_meta(),
    )
    set_margin_type: BoolField = Field(
        True,
        title="Set margin type",
        description="Set each symbol's margin type at the exchange. With false a symbol that differs is not traded.",
        json_schema_extra=ui_meta(),
    )
    db_path: str = Field(
        "data/bot.db",
        title="Database",
        description="The database file, relative to the home directory.",
        min_length=1,
        max_length=1000,
        json_schema_extra=ui_meta(applies="after restart"),
    )

    @property
    def entry_lifetime_ms(self) -> int:
        """How long an unfilled entry may rest: the shorter of the two settings that say so."""
        lifetime = self.order_ttl_seconds * _MS_PER_SECOND
        if self.stale_limit_order_minutes is None:
            return lifetime
        return min(lifetime, int(self.stale_limit_order_minutes * _MS_PER_MINUTE))
