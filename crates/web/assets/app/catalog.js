/** What the server can be asked for: its tables and their columns, as it lists them. No table is known here by name. */
import { signal } from "@preact/signals";
import { ask } from "./api.js";

/** @typedef {{name: string, type: string, about: string, isNullable: boolean, time: string | null, unit: string | null, role: string | null}} Column */
/** @typedef {{name: string, columns: Map<string, Column>, about: string, instances: string[], crate: string, version: string, from: string, reads: string[], example: string, tags: string[]}} Table */
/** @typedef {{name: string, kind: string, signature: string, about: string, needs: string, crate: string}} SqlFunction */

/** @type {import("@preact/signals").Signal<Table[] | null>} */
export const tables = signal(null);
/** @type {import("@preact/signals").Signal<SqlFunction[]>} */
export const functions = signal([]);

/** Rows as objects. @param {import("./arrow.js").Rows} rows @returns {Record<string, any>[]} */
export const objects = (rows) => Array.from({ length: rows.rows }, (_, row) => Object.fromEntries(rows.names.map((name) => [name, rows.get(name, row)])));

/** Asks for tables, columns and functions. */
export async function load() {
  const question = (/** @type {string} */ title, /** @type {string} */ sql) => ask({ title, sql, isQuiet: true });
  const [sets, columns, made] = await Promise.all([
    question("tables", "SELECT * FROM list_view_sets()"),
    question("columns", "SELECT * FROM list_columns()"),
    question("functions", "SELECT * FROM list_functions()"),
  ]);
  /** @type {Map<string, Table>} */
  const found = new Map();
  const list = (/** @type {string} */ text) => text.split(", ").filter(Boolean);
  for (const set of objects(sets)) {
    found.set(set.view_set_name, {
      name: set.view_set_name, columns: new Map(), about: set.description, instances: list(set.instances), crate: set.crate_name,
      version: set.crate_version, from: set.made_from, reads: list(set.depends_on), example: set.example, tags: list(set.block_tags),
    });
  }
  for (const column of objects(columns)) {
    found.get(column.view_set_name)?.columns.set(column.column_name, {
      name: column.column_name, type: column.data_type, about: column.description, isNullable: column.is_nullable,
      time: column.event_time, unit: column.unit, role: column.role,
    });
  }
  tables.value = [...found.values()];
  functions.value = objects(made).map((one) => ({
    name: one.function_name, kind: one.kind, signature: one.signature, about: one.description, needs: one.needs, crate: one.crate_name }));
}

/** The first column of a role. @param {Table} table @param {string} role */
export const ofRole = (table, role) => [...table.columns.values()].find((column) => column.role === role || column.role?.startsWith(`${role}(`));
/** The columns that say when a row's event was: the same one twice for an instant. @param {Table} table */
export function timeOf(table) {
  const all = [...table.columns.values()];
  const instant = all.find(({ time }) => time === "instant");
  const [begin, end] = [instant ?? all.find(({ time }) => time === "begin"), instant ?? all.find(({ time }) => time === "end")];
  return begin && end ? { begin: begin.name, end: end.name, isInstant: instant !== undefined } : null;
}
/** @param {Column} column */
export const isNumber = ({ type }) => /^(U?Int|Float)\d+$/.test(type);
/** @param {Column} column */
export const isText = ({ type }) => type === "Utf8" || type.endsWith(", Utf8)");

/** Columns of a table of messages, with the beginnings of their types. */
const MESSAGES = /** @type {const} */ ({
  time: "Timestamp(", level: "Int", target: "Utf8", msg: "Utf8",
  process_id: "Utf8", stream_id: "Utf8", block_id: "Utf8", insert_time: "Timestamp(",
});

/** The table that has messages at instants with levels; undefined in a server without one. @param {Table[]} all */
export const messages = (all) =>
  all.find((table) => ofRole(table, "message") && ofRole(table, "severity") && timeOf(table)?.isInstant
    && Object.entries(MESSAGES).every(([name, type]) => table.columns.get(name)?.type.startsWith(type)));

/** A table as the search box sees it. @param {Table} table @returns {import("./parts/search.js").Table} */
export function searchable(table) {
  const columns = [...table.columns.values()].map((column) => ({ name: column.name, kind: kind(column) }));
  const properties = columns.find(({ name, kind }) => kind === "properties" && name === "properties");
  return { columns, message: "msg", level: "level", properties: properties?.name ?? null };
}

/** @param {Column} column @returns {import("./parts/search.js").Column["kind"]} */
function kind(column) {
  if (isText(column)) return "text";
  if (/^U?Int\d+$/.test(column.type)) return "number";
  return column.type.includes("Binary") && column.name.endsWith("properties") ? "properties" : "other";
}
