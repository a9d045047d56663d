/** The search box: a small grammar, and the SQL that it stands for.
 *
 *   timeout              the message contains it, in any case
 *   "connection reset"   the same, with spaces
 *   /time(d )?out/       the message matches a regular expression, in any case
 *   target:net           a column contains it
 *   target:"net::tcp"    a column is exactly that
 *   level:1-3 level:error  a number or a range of them; levels by name
 *   wood:oak             what is no column is a property
 *   -…                   not that
 *
 * All that people type goes into parameters, never into the SQL. */

/** @typedef {{not: boolean, column: string | null, kind: "word" | "exact" | "regex", text: string}} Term */
/** @typedef {{name: string, kind: "text" | "number" | "properties" | "other"}} Column */
/** @typedef {{columns: Column[], message: string, properties: string | null, level: string | null}} Table */
/** @typedef {{conditions: string[], parameters: (string | number)[], faults: string[]}} Condition */

export const LEVELS = ["fatal", "error", "warning", "info", "debug", "trace"];

/** Never fails: whatever people type means something. @param {string} text @returns {Term[]} */
export function parse(text) {
  /** @type {Term[]} */
  const terms = [];
  let at = 0;
  const isSpace = () => /\s/.test(text[at]);
  /** Reads up to the closing mark; without one, to the end. @param {string} mark */
  const quoted = (mark) => {
    let read = "";
    at += 1;
    while (at < text.length && text[at] !== mark) {
      if (text[at] === "\\" && at + 1 < text.length) {
        // before the mark it is only an escape; all else is for the regular expression
        const isEscape = text[at + 1] === mark || (mark === '"' && text[at + 1] === "\\");
        read += isEscape ? text[at + 1] : text.slice(at, at + 2);
        at += 2;
        continue;
      }
      read += text[at];
      at += 1;
    }
    at += 1;
    return read;
  };
  /** @returns {[Term["kind"], string]} */
  const value = () => {
    if (text[at] === '"') return ["exact", quoted('"')];
    // a path begins with a slash too: a regular expression ends with one
    if (text[at] === "/" && /^\/(\\.|[^\\/])+\/(\s|$)/.test(text.slice(at))) return ["regex", quoted("/")];
    let read = "";
    while (at < text.length && !isSpace()) {
      read += text[at];
      at += 1;
    }
    return ["word", read];
  };
  while (at < text.length) {
    if (isSpace()) {
      at += 1;
      continue;
    }
    const not = text[at] === "-" && at + 1 < text.length && !/\s/.test(text[at + 1]);
    if (not) at += 1;
    const named = /^([\p{L}_][\p{L}\p{N}_.-]*):(?=[^\s:])/u.exec(text.slice(at));
    if (named) at += named[0].length;
    const [kind, read] = value();
    if (read !== "") terms.push({ not, column: named ? named[1] : null, kind, text: read });
  }
  return terms;
}

/** Writes a term so that `parse` reads it. @param {Term} term */
export function write({ not, column, kind, text }) {
  const head = (not ? "-" : "") + (column ? `${column}:` : "");
  if (kind === "regex") return `${head}/${text.replace(/\\.|\//gs, (part) => (part === "/" ? "\\/" : part))}/`;
  if (kind === "exact") return `${head}"${text.replace(/[\\"]/g, "\\$&")}"`;
  return head + text;
}

/** Adds a term to a search, and takes its opposite out. @param {string} search @param {Term} term */
export function withTerm(search, term) {
  const same = (/** @type {Term} */ other) => write({ ...other, not: false }) === write({ ...term, not: false });
  const others = parse(search).filter((other) => !same(other));
  return [...others, term].map(write).join(" ");
}

/** A pattern that matches a text wherever it stands. @param {string} text */
const like = (text) => `%${text.replace(/[\\%_]/g, "\\$&")}%`;

/** @param {string} name */
export const quoteName = (name) => `"${name.replaceAll('"', '""')}"`;

/** The condition that terms stand for; they all hold. @param {Term[]} terms @param {Table} table @param {number} [first] number of the first parameter @returns {Condition} */
export function toSql(terms, table, first = 1) {
  /** @type {Condition} */
  const made = { conditions: [], parameters: [], faults: [] };
  /** @param {string | number} value */
  const parameter = (value) => `$${first - 1 + made.parameters.push(value)}`;
  for (const term of terms) {
    const condition = one(term, table, parameter, made.faults);
    // what has no such property does not have that value either
    if (condition) made.conditions.push(term.not ? `(${condition}) IS NOT TRUE` : condition);
  }
  return made;
}

/** @param {Term} term @param {Table} table @param {(value: string | number) => string} parameter @param {string[]} faults */
function one({ column, kind, text }, table, parameter, faults) {
  const known = column === null ? table.columns.find(({ name }) => name === table.message) : table.columns.find(({ name }) => name === column);
  if (known?.kind === "number") {
    const range = numbers(text, column === table.level);
    if (!range) {
      faults.push(`${column}:${text} is no number`);
      return null;
    }
    const name = quoteName(known.name);
    const [low, high] = range;
    return low === high ? `${name} = ${parameter(low)}` : `${name} BETWEEN ${parameter(low)} AND ${parameter(high)}`;
  }
  if (known && known.kind !== "text") {
    faults.push(`${column} can't be searched here: use SQL`);
    return null;
  }
  if (!known && !table.properties) {
    faults.push(`there is no column ${column}`);
    return null;
  }
  if (kind === "regex") {
    try {
      new RegExp(text);
    } catch {
      faults.push(`/${text}/ is no regular expression`);
      return null;
    }
  }
  // from here on there is a condition: a parameter without one would be refused
  const value = known ? quoteName(known.name) : `property_get(${quoteName(table.properties ?? "")}, ${parameter(column ?? "")})`;
  if (kind === "regex") return `${value} ~* ${parameter(text)}`;
  // of the message, quotes hold words together; elsewhere they say that it is all of the value
  if (kind === "exact" && column !== null) return `${value} = ${parameter(text)}`;
  return `${value} ILIKE ${parameter(like(text))}`;
}

/** `3`, `1-3`, `error`. @param {string} text @param {boolean} isLevel @returns {[number, number] | null} */
function numbers(text, isLevel) {
  const level = isLevel ? LEVELS.findIndex((name) => text !== "" && name.startsWith(text.toLowerCase())) + 1 : 0;
  if (level) return [level, level];
  const range = /^(-?\d{1,15})(?:-(-?\d{1,15}))?$/.exec(text);
  if (!range) return null;
  const low = Number(range[1]);
  return [low, range[2] === undefined ? low : Number(range[2])];
}

/** What to mark in messages; null if there is nothing. @param {Term[]} terms @returns {RegExp | null} */
export function highlight(terms) {
  const parts = terms.filter(({ not, column }) => !not && column === null).map(({ kind, text }) => {
    if (kind !== "regex") return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    try {
      new RegExp(text);
      return `(?:${text})`;
    } catch {
      return "";
    }
  });
  const kept = parts.filter(Boolean);
  return kept.length ? new RegExp(kept.join("|"), "gi") : null;
}
