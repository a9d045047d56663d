/** The SQL of the page of messages. Names of tables and columns come from the server, values go into parameters. */
import { LEVELS, parse, quoteName, toSql } from "../parts/search.js";
import { floorDiv, toRfc3339, offsetAt, roundStep, HOUR } from "../time.js";

/** @typedef {{begin: bigint, end: bigint}} Range */
/** @typedef {{time: bigint, level: number, target: string, exe: string, msg: string, isCut: boolean, process: string, stream: string, block: string, inserted: bigint, more: Record<string, any>}} Row */
/** @typedef {{where: string, parameters: (string | number)[], faults: string[]}} Filter */

/** Characters of a message in the list; the drawer has all of them. */
export const MESSAGE = 4096;
/** Rows that are asked for at once. */
export const PAGE = 1000;

/** `1-3,5`: the levels of an address; all if it has none. @param {string} text @returns {Set<number>} */
export function readLevels(text) {
  const found = new Set();
  for (const part of text.split(",")) {
    const range = /^([1-6])(?:-([1-6]))?$/.exec(part.trim());
    if (!range) continue;
    for (let level = Number(range[1]); level <= Number(range[2] ?? range[1]); level += 1) found.add(level);
  }
  return found.size ? found : new Set(LEVELS.map((_, index) => index + 1));
}

/** The shortest text that `readLevels` reads as these. @param {Set<number>} levels */
export function writeLevels(levels) {
  if (levels.size === LEVELS.length || levels.size === 0) return "";
  /** @type {string[]} */
  const parts = [];
  for (let level = 1; level <= LEVELS.length; level += 1) {
    if (!levels.has(level)) continue;
    const first = level;
    while (levels.has(level + 1)) level += 1;
    parts.push(first === level ? `${first}` : `${first}-${level}`);
  }
  return parts.join(",");
}

/** What holds for the rows. @param {import("../parts/search.js").Table} searched @param {string} search @param {Set<number>} levels @returns {Filter} */
export function filter(searched, search, levels) {
  const { conditions, parameters, faults } = toSql(parse(search), searched);
  if (levels.size < LEVELS.length) conditions.unshift(`level IN (${[...levels].sort().join(", ")})`);
  return { where: conditions.length ? `\nWHERE ${conditions.join("\n  AND ")}` : "", parameters, faults };
}

/** @param {Filter} filter @param {string} condition */
const and = ({ where }, condition) => (where ? `${where}\n  AND ${condition}` : `\nWHERE ${condition}`);

/** Columns that a list begins with. */
export const USUAL = ["time", "level", "target", "exe", "msg"];

/** The columns of an address that the table has; the usual ones if it names none. @param {string} text @param {import("../catalog.js").Table} table */
export function readColumns(text, table) {
  const named = [...new Set(text.split(",").filter((name) => table.columns.has(name)))];
  return named.length ? named : USUAL.filter((name) => table.columns.has(name));
}

/** @param {string[]} columns @param {import("../catalog.js").Table} table */
export const writeColumns = (columns, table) => (columns.join() === readColumns("", table).join() ? "" : columns.join());

/** Columns that rows have besides those that all have. @param {string[]} columns */
export const extraColumns = (columns) => columns.filter((name) => ![...USUAL, "process_id", "stream_id", "block_id", "insert_time"].includes(name));

/** @param {import("../catalog.js").Table} table @param {string[]} [extra] */
function columns(table, extra = []) {
  const exe = table.columns.has("exe") ? "exe" : "'' AS exe";
  const more = extra.map((name) => `, ${table.columns.get(name)?.type.includes("Binary") ? `left(jsonb_format_json(${quoteName(name)}), 400)` : quoteName(name)} AS ${quoteName(`more.${name}`)}`).join("");
  return `time, level, target, ${exe}, left(msg, ${MESSAGE}) AS msg, character_length(msg) > ${MESSAGE} AS is_cut, process_id, stream_id, block_id, insert_time${more}`;
}

/** The newest rows. @param {import("../catalog.js").Table} table @param {Filter} filter @param {number} limit @param {string[]} [extra] */
export const rowsSql = (table, filter, limit, extra) =>
  `SELECT ${columns(table, extra)}\nFROM ${quoteName(table.name)}${filter.where}\nORDER BY time DESC, stream_id, block_id\nLIMIT ${limit}`;

/** What the server received after that. @param {import("../catalog.js").Table} table @param {Filter} filter @param {bigint} since @param {number} limit @param {string[]} [extra] */
export const newSql = (table, filter, since, limit, extra) =>
  `SELECT ${columns(table, extra)}\nFROM ${quoteName(table.name)}${and(filter, `insert_time > TIMESTAMP '${toRfc3339(since)}'`)}\nORDER BY time DESC, stream_id, block_id\nLIMIT ${limit}`;

/** How many rows of each level there are in each bin. @param {import("../catalog.js").Table} table @param {Filter} filter @param {Bins} bins */
export const histogramSql = (table, filter, { begin, width }) =>
  `SELECT (CAST(time AS BIGINT) - ${begin}) / ${width} AS bin, level, count(*) AS rows\nFROM ${quoteName(table.name)}${filter.where}\nGROUP BY 1, 2`;

/** The values of a column that most rows have. @param {import("../catalog.js").Table} table @param {Filter} filter @param {string} column */
export const facetSql = (table, filter, column) =>
  `SELECT left(${quoteName(column)}, 400) AS value, count(*) AS rows\nFROM ${quoteName(table.name)}${filter.where}\nGROUP BY 1\nORDER BY 2 DESC, 1\nLIMIT 20`;

/** @param {import("../catalog.js").Table} table @param {Filter} filter */
export const countSql = (table, filter) => `SELECT count(*) AS rows\nFROM ${quoteName(table.name)}${filter.where}`;

/** @param {import("../catalog.js").Table} table */
export const newestSql = (table) => `SELECT max(time) AS newest\nFROM ${quoteName(table.name)}`;

/** One row in full, among those of its time and block. @param {import("../catalog.js").Table} table */
export const fullSql = (table) => {
  const properties = ["properties", "process_properties"].filter((name) => table.columns.has(name));
  const texts = properties.map((name) => `, jsonb_format_json(${name}) AS ${name}`).join("");
  const others = ["username", "computer"].filter((name) => table.columns.has(name)).map((name) => `, ${name}`).join("");
  return `SELECT msg, character_length(msg) AS length${others}${texts}\nFROM ${quoteName(table.name)}\nWHERE block_id = $1 AND target = $2 AND level = $3 AND left(msg, ${MESSAGE}) = $4`;
};

/** Rows of the same process before or after, without a filter. @param {import("../catalog.js").Table} table @param {boolean} isBefore */
export const aroundSql = (table, isBefore) =>
  `SELECT ${columns(table)}\nFROM ${quoteName(table.name)}\nWHERE process_id = $1\nORDER BY time ${isBefore ? "DESC" : "ASC"}, stream_id, block_id\nLIMIT 40`;

/** @param {import("../arrow.js").Rows} rows @returns {Row[]} */
export const readRows = (rows) => Array.from({ length: rows.rows }, (_, row) => ({
  time: rows.get("time", row), level: Number(rows.get("level", row)), target: rows.get("target", row) ?? "",
  exe: rows.get("exe", row) ?? "", msg: rows.get("msg", row) ?? "", isCut: rows.get("is_cut", row) === true,
  process: rows.get("process_id", row) ?? "", stream: rows.get("stream_id", row) ?? "", block: rows.get("block_id", row) ?? "",
  inserted: rows.get("insert_time", row) ?? 0n,
  more: Object.fromEntries(rows.names.filter((name) => name.startsWith("more.")).map((name) => [name.slice(5), rows.get(name, row)])),
}));

/** @typedef {{begin: bigint, width: bigint, count: number}} Bins */

/** Bins of a round width, at most so many and one; hours and days begin as those of the zone do.
 * @param {Range} range @param {number} most @param {string} zone @returns {Bins} */
export function bins({ begin, end }, most, zone) {
  const width = roundStep((end - begin) / BigInt(most) + 1n);
  const offset = width >= HOUR ? offsetAt(zone, begin) : 0n;
  const first = floorDiv(begin + offset, width) * width - offset;
  return { begin: first, width, count: Number((end - first) / width) + 1 };
}

/** Whether a row stands before another: newest first, then by stream and block. @param {Row} a @param {Row} b */
export function order(a, b) {
  if (a.time !== b.time) return a.time > b.time ? -1 : 1;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.block < b.block ? -1 : a.block > b.block ? 1 : 0;
}
