/** The time range and the zone: one of each for all pages. */
import { signal, computed, effect } from "@preact/signals";
import { parameters, change } from "./route.js";
import { now, parseTime, toRfc3339, MINUTE } from "./time.js";

export const DEFAULT = { from: "now-15m", to: "now" };
/** Ranges to choose from. */
export const PRESETS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"];

/** The zone of this browser. */
export const local = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const ZONE = "belvedere.zone";

/** @param {string} name */
export function isZone(name) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return name !== "";
  } catch {
    return false;
  }
}

const kept = signal((() => {
  try {
    return localStorage.getItem(ZONE) ?? "";
  } catch {
    return "";
  }
})());

export const zone = computed(() => [parameters.value.tz ?? "", kept.value, local].find(isZone) ?? "UTC");

/** @param {string} name */
export function setZone(name) {
  try {
    if (name === local) localStorage.removeItem(ZONE);
    else localStorage.setItem(ZONE, name);
  } catch {
    // it then holds for this address only
  }
  kept.value = name === local ? "" : name;
  change({ tz: name === local ? "" : name });
}

/** What "now" is: the time at which it was last asked. */
export const present = signal(now());
export const refresh = () => {
  present.value = now();
};

export const typed = computed(() => ({
  from: parameters.value.from || DEFAULT.from,
  to: parameters.value.to || DEFAULT.to,
}));
export const endsNow = computed(() => typed.value.to === "now");

/** @param {string} from @param {string} to @param {bigint} at @param {string} inZone @returns {{begin: bigint, end: bigint} | string} */
export function resolve(from, to, at, inZone) {
  const begin = parseTime(from, at, inZone);
  const end = parseTime(to, at, inZone);
  if (begin === null) return `“${from}” is no time`;
  if (end === null) return `“${to}” is no time`;
  if (begin > end) return "the range ends before it begins";
  return { begin, end };
}

/** The range; the usual one where an address has none that can be read. */
export const range = computed(() => {
  const { from, to } = typed.value;
  const read = resolve(from, to, present.value, zone.value);
  if (typeof read !== "string") return { ...read, fault: "" };
  return { begin: present.value - 15n * MINUTE, end: present.value, fault: read };
});

/** Ranges that were shown, and which of them is. */
export const past = signal(/** @type {{ranges: {from: string, to: string}[], at: number}} */ ({ ranges: [], at: -1 }));
const MOST_RANGES = 100;

effect(() => {
  const shown = typed.value;
  const { ranges, at } = past.peek();
  const here = ranges[at];
  if (here && here.from === shown.from && here.to === shown.to) return;
  const kept = [...ranges.slice(0, at + 1), shown].slice(-MOST_RANGES);
  past.value = { ranges: kept, at: kept.length - 1 };
});

/** @param {1 | -1} by */
function toPast(by) {
  const { ranges, at } = past.peek();
  const wanted = ranges[at + by];
  if (!wanted) return;
  past.value = { ranges, at: at + by };
  present.value = now();
  change({ from: wanted.from === DEFAULT.from && wanted.to === DEFAULT.to ? "" : wanted.from, to: wanted.from === DEFAULT.from && wanted.to === DEFAULT.to ? "" : wanted.to });
}
/** The range that was shown before. */
export const back = () => toPast(-1);
/** The one from which one went back. */
export const forward = () => toPast(1);

/** Shows another range: as typed, or as times. @param {string | bigint} from @param {string | bigint} to */
export function setRange(from, to) {
  const text = (/** @type {string | bigint} */ time, /** @type {string} */ usual) => {
    const typed = typeof time === "bigint" ? toRfc3339(time) : time;
    return typed === usual ? "" : typed;
  };
  const isUsual = from === DEFAULT.from && to === DEFAULT.to;
  present.value = now();
  change(isUsual ? { from: "", to: "" } : { from: text(from, ""), to: text(to, "now") });
}

/** Moves by halves of the range. @param {1n | -1n} direction */
export function shift(direction) {
  const { begin, end } = range.value;
  const by = ((end - begin) / 2n || 1n) * direction;
  setRange(begin + by, end + by);
}

/** Twice or half as much, around the middle; a range that ends now keeps its end. @param {boolean} isOut */
export function zoom(isOut) {
  const { begin, end } = range.value;
  const length = end - begin || 1n;
  if (endsNow.value) {
    setRange(isOut ? end - 2n * length : end - length / 2n, isOut || length > 1n ? "now" : end);
    return;
  }
  const by = isOut ? length / 2n || 1n : -(length / 4n);
  setRange(begin - by, end + by);
}
