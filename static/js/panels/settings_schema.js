// The settings' schema as the form needs it: one flat description a field, in groups that belong together.

import { exact } from "../lib/format.js";

const GROUPS = {
  globals: [
    ["Trading", ["simulate_only"]],
    ["Signal", ["volume_window_sec", "use_usdt_volume", "volume_scope", "cooldown_sec", "max_event_age_ms", "max_price_deviation_pct"]],
    ["Entries", ["time_in_force", "order_ttl_seconds", "stale_limit_order_minutes", "order_cleanup_interval_seconds"]],
    ["Limits", ["max_total_exposure_usdt", "max_open_orders_per_symbol", "max_stop_orders_per_symbol", "rate_limit_buffer_pct"]],
    ["Account", ["hedge_mode", "multi_assets_mode", "set_leverage", "set_margin_type", "db_path"]],
  ],
  symbol: [
    ["Signal", ["volume_threshold", "volume_threshold_long", "volume_threshold_short", "trade_side"]],
    ["Size", ["trade_value_usdt", "leverage", "max_position_usdt", "margin_type", "price_offset_pct"]],
    ["Protection", ["take_profit_enabled", "take_profit_pct", "stop_loss_enabled", "stop_loss_pct", "working_type", "price_protect"]],
  ],
};

// The server refuses to change it from a page: a page must not choose the files a bot writes.
const IN_THE_FILE_ONLY = "db_path";

/** @returns {{globals: Group[], symbol: Group[]}} a group is {title, fields}; what no group names goes to the last. */
export function readSchema(schema) {
  const parts = {
    globals: schema.globals ?? follow(schema, schema.properties.globals),
    symbol: schema.symbol ?? follow(schema, schema.properties.symbols.additionalProperties),
  };
  return { globals: groupsOf("globals", parts.globals, schema), symbol: groupsOf("symbol", parts.symbol, schema) };
}

function groupsOf(part, schema, root) {
  const fields = new Map(Object.entries(schema.properties).map(([name, property]) => [name, fieldOf(name, property, schema, root)]));
  const groups = GROUPS[part].map(([title, names]) => ({ title, fields: names.flatMap((name) => take(fields, name)) }));
  return [...groups, { title: "More", fields: [...fields.values()] }].filter((group) => group.fields.length);
}

function take(fields, name) {
  const field = fields.get(name);
  fields.delete(name);
  return field ? [field] : [];
}

function follow(root, node) {
  const name = node?.$ref?.split("/").at(-1);
  return name ? root.$defs[name] : node;
}

/** All of a property's alternatives in one: a number or its string, or nothing at all. */
function flatten(node, roots) {
  const target = node.$ref ? follow(roots.find((root) => root?.$defs?.[node.$ref.split("/").at(-1)]), node) : node;
  const { anyOf = [], ...own } = target;
  return [own, ...anyOf.flatMap((each) => flatten(each, roots))];
}

function fieldOf(name, property, schema, root) {
  const kinds = flatten(property, [schema, root]);
  const found = (key) => kinds.find((kind) => kind[key] !== undefined)?.[key];
  const types = kinds.map((kind) => kind.type).filter(Boolean);
  return {
    name,
    title: property.title ?? name,
    description: property.description ?? "",
    unit: property.unit ?? "",
    applies: property.applies ?? "now",
    fallback: property.default ?? null,
    isLocked: name === IN_THE_FILE_ONLY,
    isOptional: types.includes("null"),
    choices: found("enum") ?? null,
    type: ["boolean", "integer", "number"].find((type) => types.includes(type)) ?? "string",
    lowest: found("minimum") ?? found("ge") ?? found("exclusiveMinimum") ?? found("gt"),
    highest: found("maximum") ?? found("le") ?? found("exclusiveMaximum") ?? found("lt"),
    isAbove: found("exclusiveMinimum") !== undefined || found("gt") !== undefined,
    isBelow: found("exclusiveMaximum") !== undefined || found("lt") !== undefined,
  };
}

/** What is wrong with a text in this field, before the server is asked; "" where nothing is. */
export function faultOf(field, text) {
  if (field.type === "boolean" || field.choices) return "";
  if (text === "") return field.isOptional ? "" : "needs a value";
  if (field.type === "string") return "";
  if (field.type === "integer" && !/^-?\d+$/.test(text)) return "must be a whole number";
  if (!/^-?(\d+\.?\d*|\.\d+)$/.test(text)) return "must be a number";
  return isInRange(field, Number(text)) ? "" : `must be ${rangeOf(field)}`;
}

function isInRange({ lowest, highest, isAbove, isBelow }, value) {
  const isHigh = lowest === undefined || (isAbove ? value > Number(lowest) : value >= Number(lowest));
  const isLow = highest === undefined || (isBelow ? value < Number(highest) : value <= Number(highest));
  return isHigh && isLow;
}

/** "above 0 and at most 50", "between 1 and 125". */
export function rangeOf({ lowest, highest, isAbove, isBelow }) {
  if (lowest === undefined && highest === undefined) return "";
  if (!isAbove && !isBelow && lowest !== undefined && highest !== undefined) return `between ${exact(lowest)} and ${exact(highest)}`;
  const parts = [
    lowest !== undefined && `${isAbove ? "above" : "at least"} ${exact(lowest)}`,
    highest !== undefined && `${isBelow ? "below" : "at most"} ${exact(highest)}`,
  ];
  return parts.filter(Boolean).join(" and ");
}
