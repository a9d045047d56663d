/** What the page shows is in its address, so that a link shows the same. */
import { signal, computed } from "@preact/signals";
import { root } from "./api.js";

/** @typedef {{page: string, parameters: Record<string, string>}} Route */

const base = new URL("ui/", root).pathname;

/** @param {{pathname: string, search: string}} address @returns {Route} */
export function decode({ pathname, search }, prefix = base) {
  const rest = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : "";
  /** @type {string[]} */
  const parts = [];
  for (const part of rest.split("/")) {
    try {
      parts.push(decodeURIComponent(part));
    } catch {
      parts.push(part);
    }
  }
  return { page: parts.filter(Boolean).join("/"), parameters: Object.fromEntries(new URLSearchParams(search)) };
}

/** What is empty is left out. @param {Route} route */
export function encode({ page, parameters }, prefix = base) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== "");
  // in a query these need no escape, and times and searches are easier to read
  const query = new URLSearchParams(kept).toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%2C", ",");
  return prefix + page.split("/").map(encodeURIComponent).join("/") + (query ? `?${query}` : "");
}

/** Where we are. */
export const route = signal(decode(typeof location === "undefined" ? { pathname: "", search: "" } : location));
export const parameters = computed(() => route.value.parameters);

/** Goes to another page or state. `isTyping`: not each letter is a step back. @param {Partial<Route>} to @param {boolean} [isTyping] */
export function navigate(to, isTyping = false) {
  const next = { page: to.page ?? route.value.page, parameters: to.parameters ?? route.value.parameters };
  const address = encode(next);
  if (address === location.pathname + location.search) return;
  if (isTyping) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  route.value = decode(location);
}

/** Changes some parameters, and leaves the others. @param {Record<string, string>} changes @param {boolean} [isTyping] */
export const change = (changes, isTyping) => navigate({ parameters: { ...route.value.parameters, ...changes } }, isTyping);

if (typeof window !== "undefined") {
  window.addEventListener("popstate", () => {
    route.value = decode(location);
  });
}
