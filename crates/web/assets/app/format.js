/** Numbers and texts as people read them. */

const GROUPS = /\B(?=(\d{3})+(?!\d))/g;

/** Exact, with groups of three. @param {number | bigint} count */
export const formatCount = (count) => String(count).replace(GROUPS, ",");

/** @param {number} bytes */
export function formatBytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 999.5 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit && bytes < 9.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

/** `1 row`, `2 rows`. @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${formatCount(count)} ${count === 1 ? one : many}`;

/** Marks that change how the text around them reads, and controls. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Shows characters that have no picture, or would change the order of others. @param {string} text */
export const visible = (text) => text.replace(HIDDEN, (mark) => {
  if (mark === "\n") return "↵";
  if (mark === "\t") return "⇥";
  return `⟨${mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
});

/** The same for texts of several lines. @param {string} text */
export const visibleLines = (text) => text.split(/\r?\n/).map((line) => line.split("\t").map(visible).join("\t")).join("\n");

/** Makes a file's path short: its last part. @param {string} path */
export const baseName = (path) => path.split(/[/\\]/).filter(Boolean).pop() ?? path;

/** JSON with whole numbers beyond 2⁵³ as BigInts: nothing is rounded. @param {string} text @returns {any} */
export function parseJson(text) {
  const mark = "\u0000whole:";
  const kept = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (part) =>
    /^-?\d+$/.test(part) && !Number.isSafeInteger(Number(part)) ? JSON.stringify(mark + part) : part);
  return JSON.parse(kept, (_, value) =>
    (typeof value === "string" && value.startsWith(mark) && /^-?\d+$/.test(value.slice(mark.length)) ? BigInt(value.slice(mark.length)) : value));
}
