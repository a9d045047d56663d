/** Values in JSONB, as columns of properties have them. */

const [ARRAY, OBJECT, LENGTH] = [0x8000_0000, 0x4000_0000, 0x0fff_ffff];
const text = new TextDecoder();

/** Reads one; whole numbers beyond 2⁵³ are BigInts. What is not JSONB becomes undefined. @param {Uint8Array} bytes @returns {any} */
export function readJsonb(bytes) {
  try {
    return container(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, 0);
  } catch {
    return undefined;
  }
}

/** @param {DataView} view @param {number} at @param {number} depth @returns {any} */
function container(view, at, depth) {
  if (depth > 64) throw new RangeError("too deep");
  const header = view.getUint32(at);
  const count = header & LENGTH;
  const isObject = (header & 0xe000_0000) >>> 0 === OBJECT;
  const isArray = (header & 0xe000_0000) >>> 0 === ARRAY;
  const entries = isObject ? 2 * count : isArray ? count : 1;
  if (4 * entries > view.byteLength) throw new RangeError("too many");
  let place = at + 4 + 4 * entries;
  const read = (/** @type {number} */ index) => {
    const entry = view.getUint32(at + 4 + 4 * index);
    const length = entry & LENGTH;
    const value = scalar(view, (entry >>> 28) & 7, place, length, depth);
    place += length;
    return value;
  };
  if (isArray) return Array.from({ length: count }, (_, index) => read(index));
  if (!isObject) return read(0);
  const keys = Array.from({ length: count }, (_, index) => read(index));
  return Object.fromEntries(keys.map((key, index) => [String(key), read(count + index)]));
}

/** @param {DataView} view @param {number} kind @param {number} at @param {number} length @param {number} depth @returns {any} */
function scalar(view, kind, at, length, depth) {
  if (kind === 0) return null;
  if (kind === 1) return text.decode(new Uint8Array(view.buffer, view.byteOffset + at, length));
  if (kind === 2) return number(view, at, length);
  if (kind === 3) return false;
  if (kind === 4) return true;
  if (kind === 5) return container(view, at, depth + 1);
  throw new RangeError("no such kind");
}

/** @param {DataView} view @param {number} at @param {number} length */
function number(view, at, length) {
  const kind = view.getUint8(at) & 0xf0;
  if (kind === 0) return 0;
  if (kind === 0x10) return NaN;
  if (kind === 0x20) return Infinity;
  if (kind === 0x30) return -Infinity;
  if (kind === 0x60) return view.getFloat64(at + 1);
  const signed = kind === 0x40;
  const whole = length === 9 ? (signed ? view.getBigInt64(at + 1) : view.getBigUint64(at + 1))
    : BigInt(length === 2 ? (signed ? view.getInt8(at + 1) : view.getUint8(at + 1))
      : length === 3 ? (signed ? view.getInt16(at + 1) : view.getUint16(at + 1)) : signed ? view.getInt32(at + 1) : view.getUint32(at + 1));
  return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
}
