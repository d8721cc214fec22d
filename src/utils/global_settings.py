"""What the user decides for the whole bot. Titles and descriptions here are the ones the dashboard shows."""

from decimal import Decimal

from pydantic import Field

from src.domain.enums import TimeInForce, VolumeScope
from src.utils.settings_fields import Amount, Flag, SettingsPart, Whole, about

_MS_PER_SECOND = 1000
_MS_PER_MINUTE = 60 * _MS_PER_SECOND


class GlobalSettings(SettingsPart):
    """Signal, entries, limits and the account's modes. ``_usdt`` amounts are margin, but for the daily loss."""

    simulate_only: Flag = Field(
        True,
        title="Paper trading",
        description="Trade on paper: nothing is ever sent to the exchange. Real orders need false.",
        json_schema_extra=about(applies="after restart"),
    )
    volume_window_sec: Whole = Field(
        60,
        title="Volume window",
        description="How far back liquidations are added up.",
        ge=1,
        le=86_400,
        json_schema_extra=about("s"),
    )
    use_usdt_volume: Flag = Field(
        True,
        title="Thresholds in USDT",
        description="Thresholds count USDT; with false they count tokens.",
        json_schema_extra=about(),
    )
    volume_scope: VolumeScope = Field(
        VolumeScope.SIDE,
        title="Volume scope",
        description="SIDE adds up liquidations of one direction, BOTH those of both.",
        json_schema_extra=about(),
    )
    cooldown_sec: Whole | None = Field(
        None,
        title="Cooldown",
        description="Pause of a symbol and side after an entry. Left out: as long as the volume window.",
        ge=0,
        le=86_400,
        json_schema_extra=about("s"),
    )
    max_event_age_ms: Whole = Field(
        5000,
        title="Oldest event",
        description="A liquidation that arrives later than this is counted but never traded.",
        ge=100,
        le=60_000,
        json_schema_extra=about("ms"),
    )
    max_price_deviation_pct: Amount = Field(
        Decimal(2),
        title="Largest price deviation",
        description="A liquidation that filled further from the mark price is counted but never traded.",
        gt=0,
        le=50,
        json_schema_extra=about("%"),
    )
    time_in_force: TimeInForce = Field(
        TimeInForce.GTC,
        title="Time in force",
        description="How long an entry lives: GTC rests, IOC and FOK fill at once or end, GTX only adds liquidity.",
        json_schema_extra=about(),
    )
    order_ttl_seconds: Whole = Field(
        30,
        title="Entry lifetime",
        description="An entry that has not filled after this time is cancelled.",
        ge=1,
        le=86_400,
        json_schema_extra=about("s"),
    )
    stale_limit_order_minutes: Amount | None = Field(
        None,
        title="Stale after",
        description="The same in minutes, from older files. The shorter of the two counts.",
        gt=0,
        le=1440,
        json_schema_extra=about("min"),
    )
    order_cleanup_interval_seconds: Whole = Field(
        20,
        title="Cleanup interval",
        description="How often orders are checked for stale entries and missing protection.",
        ge=1,
        le=3600,
        json_schema_extra=about("s", "after restart"),
    )
    max_open_orders_per_symbol: Whole = Field(
        5,
        title="Open entries per symbol",
        description="No further entry while this many of the symbol may still fill.",
        ge=1,
        le=200,
        json_schema_extra=about("orders"),
    )
    max_stop_orders_per_symbol: Whole = Field(
        4,
        title="Stops per position",
        description="No further entry while a position has more stop losses than this, yours by hand included.",
        ge=1,
        le=10,
        json_schema_extra=about("orders"),
    )
    max_total_exposure_usdt: Amount = Field(
        title="Largest total margin",
        description="The most margin all symbols together may hold, entries that may still fill included.",
        gt=0,
        le=100_000_000,
        examples=[Decimal(200)],
        json_schema_extra=about("USDT"),
    )
    max_entries_per_minute: Whole | None = Field(
        None,
        title="Entries per minute",
        description="The most entries of all symbols together within a minute. Left out: no limit.",
        ge=1,
        le=600,
        json_schema_extra=about("entries"),
    )
    max_daily_loss_usdt: Amount | None = Field(
        None,
        title="Largest daily loss",
        description="Entries are locked for the rest of the UTC day once this much was lost in it. Left out: no limit.",
        gt=0,
        le=100_000_000,
        json_schema_extra=about("USDT"),
    )
    max_consecutive_stops: Whole | None = Field(
        None,
        title="Losses in a row",
        description="Entries are locked after this many exits in a row that lost. Left out: no limit.",
        ge=1,
        le=100,
        json_schema_extra=about("exits"),
    )
    max_drawdown_pct: Amount | None = Field(
        None,
        title="Largest drawdown",
        description="Entries are locked once the account's equity is this far below its peak. Left out: no limit.",
        gt=0,
        lt=100,
        json_schema_extra=about("%"),
    )
    lock_minutes: Whole = Field(
        60,
        title="Length of a lock",
        description="How long a lock lasts at least; resume lifts it sooner.",
        ge=1,
        le=10_080,
        json_schema_extra=about("min"),
    )
    rate_limit_buffer_pct: Amount = Field(
        Decimal(30),
        title="Request reserve",
        description="The share of the exchange's request limit that entries leave to protection: at least 30.",
        ge=0,
        le=90,
        json_schema_extra=about("%"),
    )
    hedge_mode: Flag = Field(
        True,
        title="Hedge mode",
        description="Keep a LONG and a SHORT position of a symbol apart.",
        json_schema_extra=about(),
    )
    adopt_foreign_positions: Flag = Field(
        False,
        title="Take over positions",
        description="Protect and manage positions of configured symbols that somebody else opened, as if ours.",
        json_schema_extra=about(),
    )
    multi_assets_mode: Flag = Field(
        False,
        title="Multi-assets mode",
        description="Let every asset of the account serve as margin. The exchange allows it with CROSSED margin only.",
        json_schema_extra=about(),
    )
    set_leverage: Flag = Field(
        True,
        title="Set leverage",
        description="Set each symbol's leverage at the exchange. With false a symbol that differs is not traded.",
        json_schema_extra=about(),
    )
    set_margin_type: Flag = Field(
        True,
        title="Set margin type",
        description="Set each symbol's margin type at the exchange. With false a symbol that differs is not traded.",
        json_schema_extra=about(),
    )
    db_path: str = Field(
        "data/bot.db",
        title="Database",
        description="The database file, relative to the home directory.",
        min_length=1,
        max_length=1000,
        json_schema_extra=about(applies="after restart"),
    )

    @property
    def entry_lifetime_ms(self) -> int:
        """How long an unfilled entry may rest: the shorter of the two settings that say so."""
        lifetime = self.order_ttl_seconds * _MS_PER_SECOND
        if self.stale_limit_order_minutes is None:
            return lifetime
        return min(lifetime, int(self.stale_limit_order_minutes * _MS_PER_MINUTE))
