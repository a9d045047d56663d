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

/** @typedef {{rows: number, names: string[], get(name: string, row: number): any}} Rows */

/** Opens an answer. Whole numbers of 64 bits and times are BigInts: nothing is rounded.
 * @param {Uint8Array} bytes @returns {Rows} */
export function open(bytes) {
  const { length } = completeLength(bytes);
  if (length === 0) return { rows: 0, names: [], get: () => null };
  const table = tableFromIPC(bytes.subarray(0, length), { useBigInt: true, useDate: false });
  /** @type {Map<string, (row: number) => any>} */
  const getters = new Map();
  table.schema.fields.forEach((field, index) => getters.set(field.name, getter(table.getChildAt(index))));
  return { rows: table.numRows, names: [...getters.keys()], get: (name, row) => getters.get(name)?.(row) ?? null };
}

/** @param {any} column @returns {(row: number) => any} */
function getter(column) {
  const TIMESTAMP = 10;
  if (column.type.typeId !== TIMESTAMP) return (row) => column.at(row);
  // as milliseconds they would be rounded to 244 ns: the values themselves are taken
  return (row) => {
    let batch = 0;
    while (column.offsets[batch + 1] <= row) batch += 1;
    const { values, validity, nullCount } = column.data[batch];
    const index = row - column.offsets[batch];
    if (nullCount && !((validity[index >> 3] >> (index & 7)) & 1)) return null;
    return values[index];
  };
}
