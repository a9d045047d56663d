/** The rows of the page of messages: the newest first, more on demand, and new ones while following. */
import { signal, batch } from "@preact/signals";
import { ask, beginAsking } from "../api.js";
import { loadFaults } from "../lastline.js";
import { SECOND } from "../time.js";
import { PAGE, bins, countSql, filter, histogramSql, newSql, newestSql, order, readRows, rowsSql } from "./query.js";

/** Rows that the page holds at most. */
export const MOST_ROWS = 200_000;
/** And while it follows. */
export const MOST_FOLLOWED = 50_000;
/** Rows of one poll. */
const MOST_NEW = 5000;
/** A poll looks back that far: what was received first may be seen later. */
const OVERLAP = 2n * SECOND;

/** @typedef {import("./query.js").Row} Row */
/** @typedef {{bins: import("./query.js").Bins, counts: Map<number, number[]>, total: number, most: number}} Histogram */
/** @typedef {{table: import("../catalog.js").Table, searched: import("../parts/search.js").Table, search: string, levels: Set<number>, begin: bigint, end: bigint, zone: string, binCount: number, extra: string[]}} Wanted */

export const rows = signal(/** @type {Row[]} */ ([]));
export const state = signal(/** @type {"asking" | "here" | "failed"} */ ("asking"));
export const fault = signal(/** @type {{kind: string, message: string, status: number} | null} */ (null));
export const isWhole = signal(false);
export const cut = signal(/** @type {string | null} */ (null));
export const histogram = signal(/** @type {Histogram | null} */ (null));
export const newest = signal(/** @type {bigint | null | undefined} */ (undefined));
export const without = signal(/** @type {{label: string, rows: number, search: string, levels: string}[]} */ ([]));
/** Rows that came while the reader was elsewhere. */
export const waiting = signal(/** @type {Row[]} */ ([]));
export const missed = signal(false);

let abort = new AbortController();
/** @type {Wanted | null} */
let wanted = null;
let isMore = false;
/** Blocks whose rows have come, with the time at which they were received. @type {Map<string, bigint>} */
let seen = new Map();

/** @param {Wanted} what */
const filterOf = (what) => filter(what.searched, what.search, what.levels);

/** @param {unknown} error */
function failed(error) {
  const { kind = "other", message = String(error), status = 0 } = /** @type {any} */ (error);
  return { kind, message, status };
}

/** Asks for the newest rows of a range, and then for what is beside them. @param {Wanted} what */
export async function show(what) {
  abort.abort();
  abort = new AbortController();
  const mine = abort.signal;
  const isSame = wanted !== null && wanted.search === what.search && String([...wanted.levels]) === String([...what.levels])
    && wanted.end - wanted.begin === what.end - what.begin && String(wanted.extra) === String(what.extra);
  wanted = what;
  isMore = false;
  beginAsking();
  batch(() => {
    state.value = "asking";
    fault.value = null;
    cut.value = null;
    newest.value = undefined;
    without.value = [];
    waiting.value = [];
    missed.value = false;
  });
  const made = filterOf(what);
  const sql = rowsSql(what.table, made, PAGE, what.extra);
  const range = { begin: what.begin, end: what.end };
  try {
    const answer = await ask({ title: "rows", sql, parameters: made.parameters, range, signal: mine });
    const read = readRows(answer);
    seen = new Map(read.map((row) => [row.block, row.inserted]));
    batch(() => {
      rows.value = read;
      isWhole.value = read.length < PAGE && !answer.isCut;
      cut.value = answer.isCut ? `${answer.why}: these rows are not all` : null;
      state.value = "here";
    });
  } catch (error) {
    if (mine.aborted) return;
    batch(() => {
      fault.value = failed(error);
      // what was there is still true while the server is away, and the last line says that it is
      if (fault.value.kind === "gone" && isSame && rows.peek().length) {
        state.value = "here";
        return;
      }
      state.value = "failed";
      histogram.value = null;
    });
    return;
  }
  await Promise.allSettled([count(what, mine), loadFaults()]);
  if (!mine.aborted && rows.peek().length === 0) await whyNone(what, mine);
}

/** The histogram; it never holds up the rows. @param {Wanted} what @param {AbortSignal} mine */
async function count(what, mine) {
  const made = filterOf(what);
  const wantedBins = bins(what, what.binCount, what.zone);
  const answer = await ask({
    title: "histogram", sql: histogramSql(what.table, made, wantedBins), parameters: made.parameters,
    range: { begin: what.begin, end: what.end }, signal: mine,
  });
  /** @type {Map<number, number[]>} */
  const counts = new Map();
  let total = 0;
  const sums = new Array(wantedBins.count).fill(0);
  for (let row = 0; row < answer.rows; row += 1) {
    const [bin, level, rows] = [Number(answer.get("bin", row)), Number(answer.get("level", row)), Number(answer.get("rows", row))];
    const ofLevel = counts.get(level) ?? new Array(wantedBins.count).fill(0);
    if (bin >= 0 && bin < wantedBins.count) {
      ofLevel[bin] += rows;
      sums[bin] += rows;
    }
    counts.set(level, ofLevel);
    total += rows;
  }
  if (!mine.aborted) histogram.value = { bins: wantedBins, counts, total, most: Math.max(0, ...sums) };
}

/** Says why there is nothing: how much there would be without each part of the filter, and where the newest row is.
 * @param {Wanted} what @param {AbortSignal} mine */
async function whyNone(what, mine) {
  const { parse, write, LEVELS } = await import("../parts/search.js");
  const { writeLevels } = await import("./query.js");
  const terms = parse(what.search).slice(0, 6);
  const all = new Set(LEVELS.map((_, index) => index + 1));
  const parts = terms.map((term, index) => ({
    label: write(term), search: terms.filter((_, other) => other !== index).map(write).join(" "), levels: what.levels,
  }));
  if (what.levels.size < LEVELS.length) parts.push({ label: "the choice of levels", search: what.search, levels: all });
  if (parts.length > 1) parts.push({ label: "any of these", search: "", levels: all });
  const range = { begin: what.begin, end: what.end };
  const counted = await Promise.all(parts.map(async ({ label, search, levels }) => {
    const made = filter(what.searched, search, levels);
    const answer = await ask({ title: `without ${label}`, sql: countSql(what.table, made), parameters: made.parameters, range, signal: mine });
    return { label, search, levels: writeLevels(levels), rows: Number(answer.get("rows", 0)) };
  }));
  if (mine.aborted) return;
  without.value = counted;
  if (counted.some(({ rows }) => rows > 0)) return;
  const answer = await ask({ title: "the newest row", sql: newestSql(what.table), signal: mine });
  if (!mine.aborted) newest.value = answer.get("newest", 0);
}

/** Asks for older rows. All rows of the oldest instant are asked for again, so that none is lost or shown twice where many
 * have the same time. */
export async function more() {
  const held = rows.peek();
  const what = wanted;
  if (!what || isMore || isWhole.peek() || state.peek() !== "here" || held.length === 0 || held.length >= MOST_ROWS) return;
  isMore = true;
  const mine = abort.signal;
  const made = filterOf(what);
  const last = held[held.length - 1].time;
  const kept = held.findLastIndex(({ time }) => time !== last) + 1;
  const again = held.length - kept;
  const limit = PAGE + again;
  try {
    const answer = await ask({
      title: "older rows", sql: rowsSql(what.table, made, limit, what.extra), parameters: made.parameters, range: { begin: what.begin, end: last }, signal: mine,
    });
    const older = readRows(answer);
    for (const { block, inserted } of older) seen.set(block, inserted);
    batch(() => {
      // rows may have come meanwhile: only the end is replaced
      const present = rows.peek();
      const until = present.findLastIndex(({ time }) => time !== last) + 1;
      rows.value = [...present.slice(0, until), ...older];
      isWhole.value = older.length < limit && !answer.isCut;
      if (answer.isCut) cut.value = `${answer.why}: these rows are not all`;
    });
  } catch (error) {
    if (!mine.aborted) cut.value = `older rows could not be read: ${failed(error).message}`;
  } finally {
    if (abort.signal === mine) isMore = false;
  }
}

/** Asks for what came since, in a loop until it is told to stop. `isAway` says that the reader looks at older rows.
 * @param {() => boolean} isAway */
export function follow(isAway) {
  let isOver = false;
  const controller = new AbortController();
  void (async () => {
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (isOver || state.peek() !== "here" || !wanted || document.hidden) continue;
      const what = wanted;
      const generation = abort.signal;
      const newestSeen = [...seen.values()].reduce((a, b) => (a > b ? a : b), 0n);
      const since = newestSeen ? newestSeen - OVERLAP : what.end - OVERLAP - 5n * SECOND;
      const made = filterOf(what);
      try {
        const answer = await ask({
          title: "new rows", sql: newSql(what.table, made, since, MOST_NEW, what.extra), parameters: made.parameters, range: { begin: what.begin }, signal: controller.signal, isQuiet: true,
        });
        if (generation.aborted || isOver) continue;
        take(readRows(answer), isAway());
        if (answer.rows >= MOST_NEW) missed.value = true;
      } catch {
        // a server that is gone is told elsewhere, and tried again
      }
    }
  })();
  return () => {
    isOver = true;
    controller.abort();
  };
}

/** Takes rows of blocks that were not seen. @param {Row[]} read @param {boolean} isAway */
function take(read, isAway) {
  const held = rows.peek();
  const oldest = held.length && !isWhole.peek() ? held[held.length - 1].time : null;
  const fresh = read.filter((row) => !seen.has(row.block) && (oldest === null || row.time > oldest));
  for (const { block, inserted } of read) seen.set(block, inserted);
  if (fresh.length === 0) return;
  if (isAway) waiting.value = [...waiting.peek(), ...fresh].slice(-MOST_FOLLOWED);
  else add(fresh);
}

/** @param {Row[]} fresh */
function add(fresh) {
  const held = rows.peek();
  const first = held[0];
  fresh.sort(order);
  // most often all of them are newer than what is here
  const isInOrder = !first || order(fresh[fresh.length - 1], first) <= 0;
  const all = isInOrder ? [...fresh, ...held] : [...fresh, ...held].sort(order);
  batch(() => {
    if (all.length > MOST_FOLLOWED) isWhole.value = false;
    rows.value = all.slice(0, MOST_FOLLOWED);
    const counted = histogram.peek();
    if (counted) histogram.value = withRows(counted, fresh);
  });
}

/** Shows what waits. */
export function showWaiting() {
  const fresh = waiting.peek();
  waiting.value = [];
  if (fresh.length) add(fresh);
}

/** Counts new rows into the histogram; one that ended before them grows. @param {Histogram} histogram @param {Row[]} fresh @returns {Histogram} */
export function withRows({ bins: old, counts, total }, fresh) {
  const latest = fresh.reduce((a, { time }) => (a > time ? a : time), old.begin);
  const count = Math.max(old.count, Number((latest - old.begin) / old.width) + 1);
  const grown = new Map([...counts].map(([level, values]) => [level, [...values, ...new Array(count - values.length).fill(0)]]));
  for (const { time, level } of fresh) {
    if (time < old.begin) continue;
    const values = grown.get(level) ?? new Array(count).fill(0);
    values[Number((time - old.begin) / old.width)] += 1;
    grown.set(level, values);
  }
  let most = 0;
  for (let bin = 0; bin < count; bin += 1) most = Math.max(most, [...grown.values()].reduce((sum, values) => sum + values[bin], 0));
  return { bins: { ...old, count }, counts: grown, total: total + fresh.length, most };
}
