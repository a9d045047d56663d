/** What the server can be asked for: its tables and their columns, as it lists them. No table is known here by name. */
import { signal } from "@preact/signals";
import { ask } from "./api.js";

/** @typedef {{name: string, type: string, about: string}} Column */
/** @typedef {{name: string, columns: Map<string, Column>}} Table */

/** @type {import("@preact/signals").Signal<Table[] | null>} */
export const tables = signal(null);

/** Asks for tables and columns. */
export async function load() {
  const rows = await ask({
    title: "tables and columns",
    sql: "SELECT view_set_name, column_name, data_type, description FROM list_columns()",
    isQuiet: true,
  });
  /** @type {Map<string, Table>} */
  const found = new Map();
  for (let row = 0; row < rows.rows; row += 1) {
    const [table, name, type, about] = rows.names.map((column) => String(rows.get(column, row)));
    const known = found.get(table) ?? { name: table, columns: new Map() };
    known.columns.set(name, { name, type, about });
    found.set(table, known);
  }
  tables.value = [...found.values()];
}

/** Columns of a table of messages, with the beginnings of their types. Roles of columns will take their place. */
const MESSAGES = /** @type {const} */ ({
  time: "Timestamp(", level: "Int", target: "Utf8", msg: "Utf8",
  process_id: "Utf8", stream_id: "Utf8", block_id: "Utf8", insert_time: "Timestamp(",
});

/** The table that has messages at instants with levels; undefined in a server without one. @param {Table[]} all */
export const messages = (all) =>
  all.find(({ columns }) => Object.entries(MESSAGES).every(([name, type]) => columns.get(name)?.type.startsWith(type)));

/** A table as the search box sees it. @param {Table} table @returns {import("./search.js").Table} */
export function searchable(table) {
  const columns = [...table.columns.values()].map(({ name, type }) => ({ name, kind: kind(name, type) }));
  const properties = columns.find(({ name, kind }) => kind === "properties" && name === "properties");
  return { columns, message: "msg", level: "level", properties: properties?.name ?? null };
}

/** @param {string} name @param {string} type @returns {import("./search.js").Column["kind"]} */
function kind(name, type) {
  if (type === "Utf8" || type.endsWith(", Utf8)")) return "text";
  if (/^U?Int\d+$/.test(type)) return "number";
  return type.includes("Binary") && name.endsWith("properties") ? "properties" : "other";
}
