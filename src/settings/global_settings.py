"""Settings of the whole bot. The dashboard shows the titles and descriptions of these fields."""

from decimal import Decimal

from pydantic import Field

from src.domain.enums import LiquidationAction, TimeInForce, VolumeScope
from src.settings.fields import BoolField, DecimalField, IntField, PathField, SettingsPart, ui_meta

_MS_PER_SECOND = 1000
_MS_PER_MINUTE = 60 * _MS_PER_SECOND


class GlobalSettings(SettingsPart):
    """Signal, entries, limits and account modes. ``_usdt`` amounts are margin, except the daily loss."""

    simulate_only: BoolField = Field(
        True,
        title="Paper trading",
        description="Paper trading: no order is sent. Switch off for real orders.",
        json_schema_extra=ui_meta(applies="after restart"),
    )
    allow_withdraw_key: BoolField = Field(
        False,
        title="Allow an API wallet that may withdraw",
        description="Off: no entries while Aster reports that the API wallet may withdraw funds.",
        json_schema_extra=ui_meta(),
    )
    volume_window_sec: IntField = Field(
        60,
        title="Volume window",
        description="Liquidations of this period are added up.",
        ge=1,
        le=86_400,
        json_schema_extra=ui_meta("s"),
    )
    use_usdt_volume: BoolField = Field(
        True,
        title="Thresholds in USDT",
        description="On: thresholds in USDT. Off: in tokens.",
        json_schema_extra=ui_meta(),
    )
    volume_scope: VolumeScope = Field(
        VolumeScope.SIDE,
        title="Volume scope",
        description="SIDE adds up long and short liquidations separately, BOTH adds them together.",
        json_schema_extra=ui_meta(),
    )
    cooldown_sec: IntField | None = Field(
        None,
        title="Cooldown",
        description="Pause between two entries of the same symbol and side. Empty = the volume window.",
        ge=0,
        le=86_400,
        json_schema_extra=ui_meta("s"),
    )
    max_event_age_ms: IntField = Field(
        5000,
        title="Maximum event age",
        description="Liquidations that arrive later than this are counted but not traded.",
        ge=100,
        le=60_000,
        json_schema_extra=ui_meta("ms"),
    )
    max_price_deviation_pct: DecimalField = Field(
        Decimal(2),
        title="Max. price deviation",
        description="Liquidations filled further from the mark price are counted, not traded. Limits entry prices too.",
        gt=0,
        le=50,
        json_schema_extra=ui_meta("%"),
    )
    time_in_force: TimeInForce = Field(
        TimeInForce.GTC,
        title="Time in force",
        description="GTC stays open until filled or cancelled, IOC and FOK fill at once or expire, GTX is post-only.",
        json_schema_extra=ui_meta(),
    )
    max_slippage_pct: DecimalField = Field(
        Decimal("0.1"),
        title="Max. slippage",
        description="IOC and FOK entries are priced at the other side of the book, if it is no further than this.",
        gt=0,
        le=10,
        json_schema_extra=ui_meta("%"),
    )
    order_ttl_seconds: IntField = Field(
        30,
        title="Entry lifetime",
        description="Unfilled entries are cancelled within a second after this time.",
        ge=1,
        le=86_400,
        json_schema_extra=ui_meta("s"),
    )
    stale_limit_order_minutes: DecimalField | None = Field(
        None,
        title="Entry lifetime in minutes",
        description="From older files. If both lifetimes are set, the shorter one applies.",
        gt=0,
        le=1440,
        json_schema_extra=ui_meta("min"),
    )
    order_cleanup_interval_seconds: IntField = Field(
        20,
        title="Cleanup interval",
        description="How often protective orders without a position are looked for.",
        ge=1,
        le=3600,
        json_schema_extra=ui_meta("s", "after restart"),
    )
    max_open_orders_per_symbol: IntField = Field(
        5,
        title="Max. open entries",
        description="Max. unfilled entry orders per symbol.",
        ge=1,
        le=200,
        json_schema_extra=ui_meta("orders"),
    )
    on_liquidation_near: LiquidationAction = Field(
        LiquidationAction.TIGHTEN,
        title="Liquidation before the stop",
        description="If a position would be liquidated before its stop: TIGHTEN moves the stop, ALERT only reports it.",
        json_schema_extra=ui_meta(),
    )
    max_total_exposure_usdt: DecimalField = Field(
        title="Max. total margin",
        description="Max. margin of all symbols together, including unfilled entries.",
        gt=0,
        le=100_000_000,
        examples=[Decimal(200)],
        json_schema_extra=ui_meta("USDT"),
    )
    max_raise_factor: DecimalField = Field(
        Decimal(3),
        title="Max. raise to the minimum",
        description="Entries below the exchange's smallest order are raised to it, up to this many times their size.",
        ge=1,
        le=1000,
        json_schema_extra=ui_meta("x"),
    )
    max_entries_per_minute: IntField | None = Field(
        None,
        title="Max. entries per minute",
        description="Max. entries of all symbols together per minute. Empty = no limit.",
        ge=1,
        le=600,
        json_schema_extra=ui_meta("entries"),
    )
    max_daily_loss_usdt: DecimalField | None = Field(
        None,
        title="Max. daily loss",
        description="Entries are locked for the rest of the UTC day after this loss. Empty = no limit.",
        gt=0,
        le=100_000_000,
        json_schema_extra=ui_meta("USDT"),
    )
    max_consecutive_losses: IntField | None = Field(
        None,
        title="Max. losses in a row",
        description="Entries are locked after this many losing exits in a row. Empty = no limit.",
        ge=1,
        le=100,
        json_schema_extra=ui_meta("exits"),
    )
    max_drawdown_pct: DecimalField | None = Field(
        None,
        title="Max. drawdown",
        description="Entries are locked once equity is this far below its peak. Empty = no limit.",
        gt=0,
        lt=100,
        json_schema_extra=ui_meta("%"),
    )
    loss_lock_minutes: IntField = Field(
        60,
        title="Lock duration",
        description="Minimum duration of a lock. Resume releases it earlier.",
        ge=1,
        le=10_080,
        json_schema_extra=ui_meta("min"),
    )
    rate_limit_buffer_pct: DecimalField = Field(
        Decimal(30),
        title="Reserved API budget",
        description="Share of the request limit that entries may not use. Less than 30 counts as 30.",
        ge=0,
        le=90,
        json_schema_extra=ui_meta("%"),
    )
    batch_orders: BoolField = Field(
        False,
        title="Batch orders",
        description="Orders that are due at the same moment share a request. A stop loss is always sent alone, first.",
        json_schema_extra=ui_meta(),
    )
    hedge_mode: BoolField = Field(
        True,
        title="Hedge mode",
        description="Hold separate LONG and SHORT positions of a symbol.",
        json_schema_extra=ui_meta(),
    )
    adopt_foreign_positions: BoolField = Field(
        False,
        title="Adopt external positions",
        description="Protect and manage positions of configured symbols that were opened outside the bot.",
        json_schema_extra=ui_meta(),
    )
    multi_assets_mode: BoolField = Field(
        False,
        title="Multi-assets mode",
        description="Use every asset of the account as margin. The exchange allows it with CROSSED margin only.",
        json_schema_extra=ui_meta(),
    )
    set_leverage: BoolField = Field(
        True,
        title="Set leverage",
        description="Set each symbol's leverage at the exchange. If off, symbols that differ are skipped.",
        json_schema_extra=ui_meta(),
    )
    set_margin_type: BoolField = Field(
        True,
        title="Set margin type",
        description="Set each symbol's margin type at the exchange. If off, symbols that differ are skipped.",
        json_schema_extra=ui_meta(),
    )
    db_path: PathField = Field(
        "data/bot.db",
        title="Database file",
        description="Path of the database, relative to the home directory.",
        min_length=1,
        max_length=1000,
        json_schema_extra=ui_meta(applies="after restart"),
    )
    keep_liquidations_days: IntField = Field(
        30,
        title="Keep liquidations",
        description="Older liquidations and their verdicts are deleted. Orders, trades and results are kept for ever.",
        ge=2,
        le=3650,
        json_schema_extra=ui_meta("days"),
    )
    keep_journal_days: IntField = Field(
        30,
        title="Keep the log",
        description="Older entries of the log are deleted.",
        ge=2,
        le=3650,
        json_schema_extra=ui_meta("days"),
    )
    keep_equity_days: IntField = Field(
        1825,
        title="Keep the equity curve",
        description="Older points of the equity curve, one a minute, are deleted.",
        ge=31,
        le=3650,
        json_schema_extra=ui_meta("days"),
    )

    @property
    def entry_lifetime_ms(self) -> int:
        """Lifetime of an unfilled entry, ms: the shorter of the two settings for it."""
        lifetime = self.order_ttl_seconds * _MS_PER_SECOND
        if self.stale_limit_order_minutes is None:
            return lifetime
        return min(lifetime, int(self.stale_limit_order_minutes * _MS_PER_MINUTE))
