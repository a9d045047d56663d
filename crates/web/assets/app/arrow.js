/** Answers in Arrow: whole ones, and what is there of those that broke off. */
import { tableFromIPC } from "@uwdata/flechette";

/** Length of the messages of a stream that are complete, of `bytes` read so far.
 * @param {Uint8Array} bytes @returns {{length: number, isEnded: boolean}} */
export function completeLength(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (;;) {
    if (at + 8 > bytes.length || view.getUint32(at, true) !== 0xffffffff) return { length: at, isEnded: false };
    const size = view.getInt32(at + 4, true);
    if (size === 0) return { length: at + 8, isEnded: true };
    const message = at + 8;
    if (size < 8 || message + size > bytes.length) return { length: at, isEnded: false };
    const end = message + size + bodyLength(view, message, message + size);
    if (!(end <= bytes.length)) return { length: at, isEnded: false };
    at = end;
  }
}

/** The length of what follows a message's description: its fourth field. @param {DataView} view @param {number} at @param {number} end */
function bodyLength(view, at, end) {
  const table = at + view.getUint32(at, true);
  if (table + 4 > end) return NaN;
  const fields = table - view.getInt32(table, true);
  if (fields < at || fields + 12 > end || view.getUint16(fields, true) < 12) return 0;
  const offset = view.getUint16(fields + 10, true);
  if (!offset) return 0;
  return table + offset + 8 > end ? NaN : Number(view.getBigInt64(table + offset, true));
}

/** @typedef {{name: string, type: string, kind: "number" | "integer" | "time" | "text" | "flag" | "bytes" | "other", unit: string | null, role: string | null, isJsonb: boolean}} Field */
/** @typedef {{rows: number, names: string[], fields: Field[], get(name: string, row: number): any, at(column: number, row: number): any}} Rows */

/** Opens an answer. Whole numbers of 64 bits and times are BigInts: nothing is rounded.
 * @param {Uint8Array} bytes @returns {Rows} */
export function open(bytes) {
  const { length } = completeLength(bytes);
  if (length === 0) return { rows: 0, names: [], fields: [], get: () => null, at: () => null };
  const table = tableFromIPC(bytes.subarray(0, length), { useBigInt: true, useDate: false });
  const getters = table.schema.fields.map((_, index) => getter(table.getChildAt(index)));
  const names = table.schema.fields.map(({ name }) => name);
  // of several columns of one name, the last
  const byName = new Map(names.map((name, index) => [name, getters[index]]));
  return {
    rows: table.numRows, names, fields: table.schema.fields.map(field),
    get: (name, row) => byName.get(name)?.(row) ?? null,
    at: (column, row) => getters[column](row) ?? null,
  };
}

const TYPES = /** @type {Record<number, [string, Field["kind"]]>} */ ({
  1: ["Null", "other"], 2: ["Int", "integer"], 3: ["Float", "number"], 4: ["Binary", "bytes"], 5: ["Utf8", "text"], 6: ["Boolean", "flag"],
  7: ["Decimal", "number"], 8: ["Date", "other"], 9: ["Time", "other"], 10: ["Timestamp", "time"], 11: ["Interval", "other"],
  12: ["List", "other"], 13: ["Struct", "other"], 15: ["FixedSizeBinary", "bytes"], 17: ["Map", "other"], 18: ["Duration", "integer"],
  19: ["LargeBinary", "bytes"], 20: ["LargeUtf8", "text"],
});

/** @param {any} field @returns {Field} */
function field({ name, type, metadata }) {
  const inner = type.typeId === -1 ? type.dictionary : type;
  const [base, kind] = TYPES[inner.typeId] ?? ["?", "other"];
  const width = inner.typeId === 2 ? `${inner.signed ? "" : "U"}Int${inner.bitWidth}` : inner.typeId === 3 ? `Float${[16, 32, 64][inner.precision] ?? ""}` : base;
  const known = (/** @type {string} */ key) => metadata?.get(key) ?? null;
  return { name, type: width, kind, unit: known("belvedere.unit"), role: known("belvedere.role"), isJsonb: known("belvedere.jsonb") !== null };
}

/** @param {any} column @returns {(row: number) => any} */
function getter(column) {
  const TIMESTAMP = 10;
  if (column.type.typeId !== TIMESTAMP) return (row) => column.at(row);
  // as milliseconds they would be rounded to 244 ns: the values themselves are taken
  const factor = [1_000_000_000n, 1_000_000n, 1000n, 1n][column.type.unit] ?? 1n;
  let batch = 0;
  return (row) => {
    // most often it is the batch of the row before
    if (!(column.offsets[batch] <= row && row < column.offsets[batch + 1])) {
      let [low, high] = [0, column.data.length - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (column.offsets[middle + 1] <= row) low = middle + 1;
        else high = middle;
      }
      batch = low;
    }
    const { values, validity, nullCount } = column.data[batch];
    const index = row - column.offsets[batch];
    if (nullCount && !((validity[index >> 3] >> (index & 7)) & 1)) return null;
    return factor === 1n ? values[index] : values[index] * factor;
  };
}
