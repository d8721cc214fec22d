// The settings schema for the form: fields in groups, and the validation of their values.

import { plainNumber } from "../lib/format.js";

const GROUPS = {
  globals: [
    ["Trading", ["simulate_only"]],
    [
      "Signal",
      [
        "volume_window_sec",
        "use_usdt_volume",
        "volume_scope",
        "cooldown_sec",
        "max_event_age_ms",
        "max_price_deviation_pct",
      ],
    ],
    [
      "Entries",
      [
        "time_in_force",
        "max_slippage_pct",
        "order_ttl_seconds",
        "stale_limit_order_minutes",
        "order_cleanup_interval_seconds",
        "max_entries_per_minute",
        "batch_orders",
      ],
    ],
    [
      "Limits",
      [
        "max_total_exposure_usdt",
        "max_open_orders_per_symbol",
        "max_raise_factor",
        "on_liquidation_near",
        "rate_limit_buffer_pct",
      ],
    ],
    ["Loss limits", ["max_daily_loss_usdt", "max_consecutive_losses", "max_drawdown_pct", "loss_lock_minutes"]],
    [
      "Account",
      ["hedge_mode", "multi_assets_mode", "set_leverage", "set_margin_type", "adopt_foreign_positions", "db_path"],
    ],
    ["History", ["keep_liquidations_days", "keep_journal_days", "keep_equity_days"]],
  ],
  symbols: [
    ["Signal", ["volume_threshold", "volume_threshold_long", "volume_threshold_short", "trade_side"]],
    ["Size", ["trade_value_usdt", "leverage", "max_position_usdt", "margin_type", "price_offset_pct"]],
    [
      "Protection",
      ["take_profit_enabled", "take_profit_pct", "stop_loss_enabled", "stop_loss_pct", "working_type", "price_protect"],
    ],
  ],
};

// The server rejects this change from a page: a page must not choose which files the bot writes.
const FILE_ONLY_SETTING = "db_path";

/** The groups ({title, fields}) of "globals" or "symbols"; fields without a group come last. */
export function groupsOf(schema, part) {
  const fields = new Map(
    Object.entries(schema[part]).map(([name, field]) => [
      name,
      { ...field, name, isLocked: name === FILE_ONLY_SETTING },
    ]),
  );
  const groups = GROUPS[part].map(([title, names]) => ({ title, fields: names.flatMap((name) => take(fields, name)) }));
  return [...groups, { title: "More", fields: [...fields.values()] }].filter((group) => group.fields.length);
}

function take(fields, name) {
  const field = fields.get(name);
  fields.delete(name);
  return field ? [field] : [];
}

/** The error of a text in this field, or ""; the server checks it again. */
export function faultOf(field, text) {
  if (field.kind === "flag" || field.kind === "choice") return "";
  if (text === "") return field.optional ? "" : "needs a value";
  if (field.kind === "text") return "";
  if (field.kind === "whole number" && !/^-?\d+$/.test(text)) return "must be a whole number";
  if (!/^-?(\d+\.?\d*|\.\d+)$/.test(text)) return "must be a number";
  return isInRange(field, Number(text)) ? "" : `must be ${rangeOf(field)}`;
}

function isInRange({ min, max, excludes_min: isAbove, excludes_max: isBelow }, value) {
  const isHigh = min === null || (isAbove ? value > Number(min) : value >= Number(min));
  const isLow = max === null || (isBelow ? value < Number(max) : value <= Number(max));
  return isHigh && isLow;
}

/** "above 0 and at most 50", "between 1 and 125". */
export function rangeOf({ min, max, excludes_min: isAbove, excludes_max: isBelow }) {
  if (min !== null && max !== null && !isAbove && !isBelow) return `between ${plainNumber(min)} and ${plainNumber(max)}`;
  const parts = [
    min !== null && `${isAbove ? "above" : "at least"} ${plainNumber(min)}`,
    max !== null && `${isBelow ? "below" : "at most"} ${plainNumber(max)}`,
  ];
  return parts.filter(Boolean).join(" and ");
}
