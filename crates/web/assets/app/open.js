/** Ways from one page to another. */
import { signal } from "@preact/signals";
import { navigate, route } from "./route.js";

/** A statement that the page of SQL is to show when it opens. @type {import("@preact/signals").Signal<{sql: string, isRun: boolean} | null>} */
export const handedSql = signal(null);

/** What goes along to another page: the time range. */
export function kept() {
  const { from = "", to = "", tz = "" } = route.value.parameters;
  return { from, to, tz };
}

/** @param {string} sql @param {boolean} [isRun] */
export function openSql(sql, isRun = false) {
  handedSql.value = { sql, isRun };
  navigate({ page: "sql", parameters: kept() });
}

/** A link that goes by itself, but opens in a new tab as every link does. @param {string} page @param {Record<string, string>} [parameters] */
export const follow = (page, parameters = kept()) => (/** @type {MouseEvent} */ event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  navigate({ page, parameters });
};
