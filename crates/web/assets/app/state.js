/** What all parts share, and none owns. */
import { signal } from "@preact/signals";

const THEME = "belvedere.theme";
/** `light`, `dark`, or empty for the system's. */
export const theme = signal(typeof document === "undefined" ? "" : document.documentElement.dataset.theme ?? "");

export function nextTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const order = isDark ? ["", "light", "dark"] : ["", "dark", "light"];
  const next = order[(order.indexOf(theme.value) + 1) % order.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    if (next) localStorage.setItem(THEME, next);
    else localStorage.removeItem(THEME);
  } catch {
    // it then holds for this page only
  }
  theme.value = next;
}

/** A short message that goes by itself. */
export const said = signal("");
let last = 0;
/** @param {string} text */
export function toast(text) {
  said.value = text;
  const mine = ++last;
  setTimeout(() => {
    if (mine === last) said.value = "";
  }, 2000);
}
