/** How values of any answer are shown: exact, and with the unit that their column has. */
import { formatBytes, formatCount, visible } from "../format.js";
import { inZone, toRfc3339 } from "../time.js";
import { readJsonb } from "./jsonb.js";

/** @typedef {import("../arrow.js").Field} Field */

/** Characters of a cell: a browser lays out all of them. */
const CELL = 400;

/** @param {Uint8Array} bytes @param {number} most */
export function hex(bytes, most) {
  const shown = Array.from(bytes.subarray(0, most), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return bytes.length > most ? `${shown}… ${formatBytes(bytes.length)}` : shown;
}

/** JSON with whole numbers as they are, however many digits they have. @param {any} value @param {number} [indent] */
export function json(value, indent) {
  const mark = "\u0000whole:";
  const text = JSON.stringify(value, (_, one) => {
    if (typeof one === "bigint") return mark + one;
    if (one instanceof Uint8Array) return hex(one, 1 << 16);
    if (one instanceof Map) return Object.fromEntries(one);
    if (ArrayBuffer.isView(one) && !(one instanceof DataView)) return Array.from(/** @type {any} */ (one));
    return one;
  }, indent) ?? "";
  return text.replace(/"\\u0000whole:(-?\d+)"/g, "$1");
}

/** The whole value as text, for a drawer and for copying. @param {Field} field @param {any} value */
export function whole(field, value) {
  if (value === null || value === undefined) return "NULL";
  if (field.kind === "time" && typeof value === "bigint") return toRfc3339(value);
  if (value instanceof Uint8Array) {
    const read = field.isJsonb ? readJsonb(value) : undefined;
    return read === undefined ? hex(value, 1 << 16) : json(read, 1);
  }
  return typeof value === "object" ? json(value, 1) : String(value);
}

/** What a cell shows. @param {Field} field @param {any} value @param {string} zone */
export function cell(field, value, zone) {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "string") return visible(value.slice(0, CELL));
  if (field.kind === "time" && typeof value === "bigint") {
    const { date, clock, ms, us, ns } = inZone(value, zone);
    return `${date} ${clock}.${ms}${us === "000" && ns === "000" ? "" : us}${ns === "000" ? "" : ns}`;
  }
  if (typeof value === "bigint" || (typeof value === "number" && field.kind === "integer")) return formatCount(value);
  if (typeof value === "number") return Number.isInteger(value) ? formatCount(value) : String(value);
  if (typeof value === "boolean") return String(value);
  if (value instanceof Uint8Array && !field.isJsonb) return hex(value, 24);
  return visible(whole(field, value).replace(/\n\s*/g, " ").slice(0, CELL));
}

/** A number with its unit, short enough for an axis. @param {number} value @param {string | null} unit */
export function withUnit(value, unit) {
  if (!Number.isFinite(value)) return String(value);
  const short = (/** @type {number} */ n) => (n === 0 ? "0" : Math.abs(n) >= 1e15 || Math.abs(n) < 1e-4 ? n.toExponential(1) : String(Number(n.toPrecision(4))));
  if (unit === "bytes") return value < 0 ? `-${formatBytes(-value)}` : formatBytes(value);
  const seconds = unit === "ns" ? value / 1e9 : unit === "ms" ? value / 1e3 : null;
  if (seconds !== null) {
    const size = Math.abs(seconds);
    const [factor, name] = size >= 1 || size === 0 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : size >= 1e-6 ? [1e6, "µs"] : [1e9, "ns"];
    return `${short(seconds * factor)} ${name}`;
  }
  if (unit === "percent") return `${short(value)} %`;
  if (Math.abs(value) >= 1e13) return value.toExponential(1);
  const [factor, name] = Math.abs(value) >= 1e9 ? [1e9, "G"] : Math.abs(value) >= 1e6 ? [1e6, "M"] : Math.abs(value) >= 1e4 ? [1e3, "k"] : [1, ""];
  return `${short(value / factor)}${name}${unit === "bits" ? " bit" : unit === "hertz" ? " Hz" : ""}`;
}
