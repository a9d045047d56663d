/** What is shown of a table without anybody having made a page for it: by what its columns are. */
import { isNumber, isText, ofRole, timeOf } from "../catalog.js";
import { quoteName } from "../parts/search.js";
import { roundStep } from "../time.js";

/** @typedef {import("../catalog.js").Table} Table */
/** `rows`: how many there are along time. `values`: a value along time for each name. `spans`: what lasted, by depth or name. `gallery`: pictures. `traces`: spans that belong together.
 * @typedef {{kind: "rows" | "values" | "spans" | "gallery" | "traces", title: string, sql: string, bin?: bigint}} Panel */

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What stands after FROM for an instance; null if the id is none. @param {Table} table @param {string} instance */
export function source(table, instance) {
  if (instance === "global") return quoteName(table.name);
  // it can't be a parameter there
  return UUID.test(instance) ? `view_instance('${table.name.replaceAll("'", "''")}', '${instance}')` : null;
}

/** Nanoseconds of a bin. @param {{begin: bigint, end: bigint}} range @param {number} most */
const binOf = ({ begin, end }, most) => roundStep((end - begin) / BigInt(most) + 1n);

/** @param {string} column @param {bigint} width */
const bin = (column, width) => `date_bin(INTERVAL '${width} nanoseconds', ${quoteName(column)}, TIMESTAMP '1970-01-01T00:00:00')`;

/** @param {Table} table @param {string} from @param {{begin: bigint, end: bigint}} range @returns {Panel[]} */
export function panelsOf(table, from, range) {
  const time = timeOf(table);
  /** @type {Panel[]} */
  const panels = [];
  const name = ofRole(table, "name");
  const all = [...table.columns.values()];
  if (time?.isInstant) {
    const floats = all.filter(({ type }) => type === "Float64");
    if (name && floats.length === 1) {
      const group = ofRole(table, "unit");
      panels.push({
        kind: "values", title: `${floats[0].name} by ${name.name}`,
        sql: `SELECT ${bin(time.begin, binOf(range, 300))} AS time, ${quoteName(name.name)} AS name${group ? `, max(${quoteName(group.name)}) AS unit` : ""}, avg(${quoteName(floats[0].name)}) AS value, count(*) AS points\nFROM ${from}\nGROUP BY 1, 2\nORDER BY 1`,
      });
    }
    const severity = ofRole(table, "severity");
    const counted = all.filter(({ unit }) => unit === "count");
    const rows = all.length <= 8 && counted.length === 1 ? `sum(${quoteName(counted[0].name)})` : "count(*)";
    panels.push({
      kind: "rows", bin: binOf(range, 120), title: severity ? `rows by ${severity.name}` : "rows along time",
      sql: `SELECT ${bin(time.begin, binOf(range, 120))} AS time${severity ? `, ${quoteName(severity.name)}` : ""}, ${rows} AS rows\nFROM ${from}\nGROUP BY ${severity ? "1, 2" : "1"}\nORDER BY 1`,
    });
  } else if (time && !(ofRole(table, "process") && table.from === "catalog")) {
    const depth = ofRole(table, "depth");
    const names = ["trace_id", "span_id", "parent_span_id"].map((role) => ofRole(table, role));
    const lane = depth ? `CAST(${quoteName(depth.name)} AS BIGINT) AS depth` : `0 AS depth`;
    if (name) {
      panels.push({
        kind: "spans", title: depth ? "the longest spans, by depth" : "the longest spans, by name",
        sql: `SELECT ${quoteName(name.name)} AS name, ${lane}, ${quoteName(time.begin)} AS begin, ${quoteName(time.end)} AS end\nFROM ${from}\nORDER BY CAST(${quoteName(time.end)} AS BIGINT) - CAST(${quoteName(time.begin)} AS BIGINT) DESC\nLIMIT 5000`,
      });
    }
    if (names[0] && names[2]) {
      const trace = quoteName(names[0].name);
      panels.push({
        kind: "traces", title: "the longest traces",
        sql: `SELECT encode(${trace}, 'hex') AS trace, count(*) AS spans, min(${quoteName(time.begin)}) AS begin, (CAST(max(${quoteName(time.end)}) AS BIGINT) - CAST(min(${quoteName(time.begin)}) AS BIGINT)) / 1e6 AS milliseconds${name ? `, first_value(${quoteName(name.name)} ORDER BY ${quoteName(time.begin)}) AS first_span` : ""}\nFROM ${from}\nGROUP BY ${trace}\nORDER BY milliseconds DESC\nLIMIT 100`,
      });
    }
  }
  const [content, media] = [ofRole(table, "content"), ofRole(table, "media_type")];
  if (time && content && media) {
    panels.unshift({
      kind: "gallery", title: "the newest pictures",
      sql: `SELECT ${quoteName(time.begin)} AS time${name ? `, ${quoteName(name.name)} AS name` : ""}, ${quoteName(media.name)} AS media_type, ${quoteName(content.name)} AS content\nFROM ${from}\nORDER BY 1 DESC\nLIMIT 24`,
    });
  }
  return panels;
}

/** The newest rows, without what is too large for a list. @param {Table} table @param {string} from */
export function newestSql(table, from) {
  const time = timeOf(table);
  const wanted = [...table.columns.values()].filter(({ role, type }) => role !== "content" && !/^Binary/.test(type));
  // what differs between rows stands first
  const rank = (/** @type {import("../catalog.js").Column} */ column) => (column.time ? 0 : column.role && !["process", "stream", "block"].includes(column.role) ? 1 : isNumber(column) ? 2 : isText(column) && !column.role ? 3 : 4);
  const names = wanted.map((column, index) => ({ column, index })).sort((a, b) => rank(a.column) - rank(b.column) || a.index - b.index).map(({ column }) => quoteName(column.name));
  return `SELECT ${names.join(", ")}\nFROM ${from}${time ? `\nORDER BY ${quoteName(time.begin)} DESC` : ""}\nLIMIT 100`;
}

/** The most frequent values of a column. @param {string} from @param {import("../catalog.js").Column} column */
export const valuesSql = (from, column) =>
  `SELECT ${isText(column) ? `left(${quoteName(column.name)}, 200)` : quoteName(column.name)} AS value, count(*) AS rows\nFROM ${from}\nGROUP BY 1\nORDER BY 2 DESC\nLIMIT 20`;

/** Where columns can't be counted by their values. @param {import("../catalog.js").Column} column */
export const hasValues = (column) => isNumber(column) || isText(column) || column.type === "Boolean";
