/** What of a text is a statement, and which place of it an error means. */

/** @typedef {{from: number, to: number}} Span */

/** Parts of SQL that are no words: texts, quoted names and comments. */
const OPAQUE = /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\$([A-Za-z_]*)\$[\s\S]*?(?:\$\1\$|$)/g;

/** Blanks out texts and comments, so that what is left has the same places. @param {string} text */
export const bare = (text) => text.replace(OPAQUE, (part) => " ".repeat(part.length));

/** The statements of a text, without the space around them. @param {string} text @returns {Span[]} */
export function statements(text) {
  const found = [];
  const words = bare(text);
  let from = 0;
  for (let at = 0; at <= words.length; at += 1) {
    if (at < words.length && words[at] !== ";") continue;
    const begin = from + (text.slice(from, at).length - text.slice(from, at).trimStart().length);
    const end = begin + text.slice(begin, at).trimEnd().length;
    // comments alone are no statement
    if (words.slice(begin, end).trim() || /['"]/.test(text.slice(begin, end).replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ""))) found.push({ from: begin, to: end });
    from = at + 1;
  }
  return found;
}

/** The statement that a place is in, or the one before it. @param {string} text @param {number} at @returns {Span | null} */
export function statementAt(text, at) {
  const all = statements(text);
  return all.find(({ to }) => at <= to + 1) ?? all.at(-1) ?? null;
}

/** Names of parameters, in the order in which they first stand. @param {string} sql */
export const parameterNames = (sql) => [...new Set(Array.from(bare(sql).matchAll(/\$([A-Za-z_]\w*|\d+)/g), ([, name]) => name))];

/** The part of a statement that a message of the server is about; null if it says nothing of that. @param {string} message @param {string} sql @returns {Span | null} */
export function place(message, sql) {
  const at = /\bLine: (\d+), Column:? (\d+)/.exec(message);
  if (at) {
    const lines = sql.split("\n");
    const line = Math.min(lines.length, Number(at[1])) - 1;
    const from = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0) + Math.max(0, Number(at[2]) - 1);
    const start = Math.min(from, sql.length);
    const word = /^\s*(\w+|\S)/.exec(sql.slice(start));
    return word ? { from: start, to: start + word[0].length } : { from: Math.max(0, sql.length - 1), to: sql.length };
  }
  // most often a name is between quotes, or after the word for what it is
  const names = Array.from(message.matchAll(/'([^']{1,200})'|"([^"]{1,200})"|named ([\w."]+)|function:? '?(\w+)/g), (found) => (found.slice(1).find(Boolean) ?? "").replace(/\.$/, ""));
  const words = bare(sql).toLowerCase();
  for (const name of names) {
    for (const wanted of [name, name.split(".").at(-1) ?? ""]) {
      const plain = wanted.replaceAll('"', "").toLowerCase();
      if (!plain) continue;
      for (let found = words.indexOf(plain); found >= 0; found = words.indexOf(plain, found + 1)) {
        const isWord = !/\w/.test(words[found - 1] ?? "") && !/\w/.test(words[found + plain.length] ?? "");
        if (isWord) return { from: found, to: found + plain.length };
      }
    }
  }
  return null;
}

/** What a field holds, as the value of a parameter of that type. @param {string} text @param {string} type @returns {import("../api.js").Value} */
export function valueOf(text, type) {
  if (/^(U?Int\d+)$/.test(type) && /^-?\d+$/.test(text)) return BigInt(text);
  if (/^Float/.test(type) && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  if (type === "Boolean" && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return text;
}
