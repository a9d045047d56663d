/** How an answer is drawn, by what its columns are. */

/** @typedef {import("../arrow.js").Rows} Rows */
/** @typedef {import("../arrow.js").Field} Field */
/** @typedef {{kind: "lines" | "bars", x: number, y: number, by: number | null}} Shape */

/** Lines that one chart has. */
const MOST_LINES = 8;
/** Bars that one chart has. */
const MOST_BARS = 50;

/** @param {Field} field */
const isNumber = ({ kind, role }) => (kind === "number" || kind === "integer") && !role?.startsWith("severity") && role !== "depth" && !role?.endsWith("_id");

/** The chart that fits; null if none does. @param {Field[]} fields @returns {Shape | null} */
export function shapeOf(fields) {
  const numbers = fields.map((field, index) => ({ field, index })).filter(({ field }) => isNumber(field));
  const y = numbers.find(({ field }) => field.unit) ?? numbers.at(-1);
  if (!y) return null;
  const x = fields.findIndex(({ kind }) => kind === "time");
  const texts = fields.map((field, index) => ({ field, index })).filter(({ field }) => field.kind === "text" || field.role?.startsWith("severity"));
  const by = texts.find(({ field }) => field.role === "name" || field.role?.startsWith("severity")) ?? texts.find(({ field }) => !field.role) ?? texts[0];
  if (x >= 0) return { kind: "lines", x, y: y.index, by: by?.index ?? null };
  return by ? { kind: "bars", x: by.index, y: y.index, by: null } : null;
}

/** The names of a severity, as its role has them. @param {Field} field @param {any} value */
export function nameOf(field, value) {
  const names = /^severity\((.*)\)$/.exec(field.role ?? "")?.[1].split(",");
  return names?.[Number(value) - 1] ?? (value === null || value === undefined ? "NULL" : String(value));
}

/** The lines of a chart: those with the most points, sorted by time. @param {Rows} rows @param {Shape} shape */
export function linesOf(rows, { x, y, by }) {
  /** @type {Map<string, {times: bigint[], values: number[]}>} */
  const found = new Map();
  let base = /** @type {bigint | null} */ (null);
  for (let row = 0; row < rows.rows; row += 1) {
    const time = rows.at(x, row);
    if (typeof time !== "bigint") continue;
    if (base === null || time < base) base = time;
    const name = by === null ? rows.fields[y].name : nameOf(rows.fields[by], rows.at(by, row));
    let line = found.get(name);
    if (!line) found.set(name, (line = { times: [], values: [] }));
    const value = rows.at(y, row);
    line.times.push(time);
    line.values.push(value === null ? NaN : Number(value));
  }
  const begin = base ?? 0n;
  const kept = [...found].sort(([, a], [, b]) => b.times.length - a.times.length).slice(0, MOST_LINES);
  const series = kept.map(([name, { times, values }]) => {
    const order = times.map((_, index) => index).sort((a, b) => (times[a] < times[b] ? -1 : times[a] > times[b] ? 1 : 0));
    return { name, x: Float64Array.from(order, (index) => Number(times[index] - begin)), y: Float64Array.from(order, (index) => values[index]) };
  });
  return { base: begin, series, others: found.size - kept.length };
}

/** @param {Rows} rows @param {Shape} shape */
export function barsOf(rows, { x, y }) {
  const count = Math.min(rows.rows, MOST_BARS);
  return Array.from({ length: count }, (_, row) => ({ name: nameOf(rows.fields[x], rows.at(x, row)), value: Number(rows.at(y, row) ?? NaN) }));
}

/** What a column holds: counted over the rows that are here. @param {Rows} rows @param {number} column */
export function describe(rows, column) {
  const counts = new Map();
  let [nulls, isCut] = [0, false];
  /** @type {any} */
  let min = null;
  /** @type {any} */
  let max = null;
  for (let row = 0; row < rows.rows; row += 1) {
    let value = rows.at(column, row);
    if (value === null) {
      nulls += 1;
      continue;
    }
    if (typeof value === "object") {
      isCut = true;
      continue;
    }
    if (typeof value !== "boolean" && value === value) {
      if (min === null || value < min) min = value;
      if (max === null || value > max) max = value;
    }
    if (counts.size < 20_000 || counts.has(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
    else isCut = true;
  }
  const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5);
  return { nulls, min, max, distinct: counts.size, isCut, top };
}
