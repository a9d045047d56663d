/** Questions to the server: all of them come by here, and are written down for the last line. */
import { signal } from "@preact/signals";
import { open } from "./arrow.js";
import { toRfc3339 } from "./time.js";

/** The address of the server: the modules are below it. */
export const root = new URL("../../../", import.meta.url);

/** @typedef {{begin?: bigint, end?: bigint}} Range */
/** @typedef {string | number | bigint | boolean | null} Value */
/** @typedef {Value[] | Record<string, Value>} Values */
/** @typedef {{title: string, sql: string, parameters?: Values, range?: Range, limit?: number, signal?: AbortSignal, isQuiet?: boolean, isHeavy?: boolean, onRows?: (rows: import("./arrow.js").Rows) => void}} Question */
/** What a query reads of one table. @typedef {{table: string, known_partitions: number, partitions: number, partition_bytes: number, blocks: number, block_bytes: number}} Reads */
/** What the server says that a query did. @typedef {{state: string, rows: number, missing_blocks: number, unreadable_blocks: {view_set: string, block_id: string, reason: string}[], reads: Reads[]}} Record_ */
/** @typedef {{id: number, queryId: string, title: string, sql: string, parameters: Values, range: Range, rows: number, bytes: number, ms: number, state: "asked" | "answered" | "cut" | "failed", message?: string, reads?: Reads[], missing?: number}} Asked */

/** An answer that is no rows. */
export class Refused extends Error {
  /** @param {number} status @param {string} kind @param {string} message */
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

/** What was asked since the page was opened or asked anew. @type {import("@preact/signals").Signal<Asked[]>} */
export const asked = signal([]);
/** Whether the server answers; if not, when it is tried again. @type {import("@preact/signals").Signal<{isGone: boolean, since: number}>} */
export const connection = signal({ isGone: false, since: 0 });
/** Whether a key is needed: the server said so. */
export const needsKey = signal(/** @type {string | null} */ (null));

const KEY = "belvedere.key";
/** Bytes that a tab takes of one answer. */
const MOST_BYTES = 512 * 2 ** 20;

/** @returns {string | null} */
export function key() {
  try {
    return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Keeps a key for this tab, or on this machine; without one, forgets it. @param {string | null} value @param {boolean} isKept */
export function setKey(value, isKept) {
  for (const storage of [sessionStorage, localStorage]) storage.removeItem(KEY);
  if (value) (isKept ? localStorage : sessionStorage).setItem(KEY, value);
  needsKey.value = null;
}

let numbers = 0;
/** @param {Asked} entry */
function note(entry) {
  const others = asked.peek().filter(({ id }) => id !== entry.id);
  asked.value = [...others, { ...entry }].slice(-60);
}

/** Forgets what was asked: a page asks anew. */
export const beginAsking = () => {
  asked.value = [];
};

/** Values as JSON; whole numbers of 64 bits with all digits. @param {Pick<Question, "sql" | "parameters" | "range" | "limit">} question */
export function body({ sql, parameters = [], range = {}, limit }) {
  const json = (/** @type {Value} */ value) => (typeof value === "bigint" ? String(value) : JSON.stringify(value));
  /** @type {string[]} */
  const fields = [`"sql":${JSON.stringify(sql)}`];
  if (Array.isArray(parameters)) {
    if (parameters.length) fields.push(`"parameters":[${parameters.map(json).join(",")}]`);
  } else if (Object.keys(parameters).length) {
    fields.push(`"parameters":{${Object.entries(parameters).map(([name, value]) => `${JSON.stringify(name)}:${json(value)}`).join(",")}}`);
  }
  if (range.begin !== undefined) fields.push(`"begin":"${toRfc3339(range.begin)}"`);
  if (range.end !== undefined) fields.push(`"end":"${toRfc3339(range.end)}"`);
  if (limit !== undefined) fields.push(`"limit":${limit}`);
  return `{${fields.join(",")}}`;
}

/** A name for a query. Pages without TLS have no `randomUUID`. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Asks, and waits for all rows. A broken answer has `isCut`, with the rows that came.
 * @param {Question} question @returns {Promise<import("./arrow.js").Rows & {isCut: boolean, why?: string, queryId: string, bytes: number}>} */
export async function ask(question) {
  const began = performance.now();
  const queryId = newId();
  /** @type {Asked} */
  const entry = {
    id: ++numbers, queryId, title: question.title, sql: question.sql, parameters: question.parameters ?? [],
    range: question.range ?? {}, rows: 0, bytes: 0, ms: 0, state: "asked",
  };
  const write = () => {
    entry.ms = performance.now() - began;
    if (!question.isQuiet) note(entry);
  };
  write();
  try {
    const response = await send("api/query?format=arrow", question, queryId);
    const { bytes, why } = await read(response, question.signal, question.onRows);
    const rows = open(bytes);
    entry.rows = rows.rows;
    entry.bytes = bytes.length;
    entry.state = why ? "cut" : "answered";
    entry.message = why;
    write();
    if (!question.isQuiet) void noteRecord(entry);
    return { ...rows, isCut: why !== undefined, why, queryId, bytes: bytes.length };
  } catch (error) {
    if (question.signal?.aborted) {
      // the server ends a query whose reader has gone, but a proxy may hide that; a short one ends by itself
      if (question.isHeavy && performance.now() - began > 1000) void get(`api/query/${queryId}`, "DELETE").catch(() => {});
      // nobody waits for it any more
      asked.value = asked.peek().filter(({ id }) => id !== entry.id);
    } else {
      entry.state = "failed";
      entry.message = error instanceof Error ? error.message : String(error);
      write();
    }
    throw error;
  }
}

/** Adds to what was asked what the server says that it read, and what is missing. @param {Asked} entry */
async function noteRecord(entry) {
  const record = await recordOf(entry.queryId).catch(() => null);
  // another page may have begun meanwhile
  if (record && asked.peek().some(({ id }) => id === entry.id)) note({ ...entry, reads: record.reads, missing: record.missing_blocks });
}

/** What a query did. @param {string} queryId @returns {Promise<Record_>} */
export const recordOf = async (queryId) => (await get(`api/query/${queryId}`)).json();

/** @typedef {{name: string, type: string, unit: string | null, role: string | null}} PlannedColumn */
/** What a statement would read and answer. @typedef {{columns: PlannedColumn[], parameters: PlannedColumn[], plan: {kind: string, text: string}[] | null, reads: Reads[] | null}} Plan */
/** @param {Question} question @returns {Promise<Plan>} */
export const planOf = async (question) => (await send("api/plan", question)).json();

/** Who asks. @typedef {{name: string, rights: string[], authenticated_by: string | null, version: string}} Me */
/** @returns {Promise<Me>} */
export const me = async () => (await get("api/me")).json();

/** Ends a query on the server. @param {string} queryId */
export const cancel = (queryId) => get(`api/query/${queryId}`, "DELETE");

/** The rows in another format, as they come. @param {string} format @param {Question} question */
export const download = (format, question) => send(`api/query?format=${format}`, question);

/** @param {string} address @param {"GET" | "DELETE"} [method] */
const get = (address, method = "GET") => exchange(address, { method });

/** @param {string} address @param {Question} question @param {string} [queryId] */
const send = (address, question, queryId) => exchange(address, { method: "POST", body: body(question), signal: question.signal }, queryId);

/** @param {string} address @param {RequestInit} request @param {string} [queryId] */
async function exchange(address, request, queryId) {
  /** @type {Record<string, string>} */
  const headers = { "x-client-type": "web" };
  if (request.body) headers["content-type"] = "application/json";
  if (queryId) headers["x-query-id"] = queryId;
  const secret = key();
  if (secret) headers.authorization = `Bearer ${secret}`;
  let response;
  try {
    response = await fetch(new URL(address, root), { ...request, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (!request.signal?.aborted) lost();
    throw request.signal?.aborted ? error : new Refused(0, "gone", "the server does not answer");
  }
  if (response.ok) {
    if (connection.peek().isGone) connection.value = { isGone: false, since: 0 };
    return response;
  }
  const text = await response.text().catch(() => "");
  let said;
  try {
    said = JSON.parse(text).error;
  } catch {
    said = null;
  }
  const refused = new Refused(response.status, said?.kind ?? "other", said?.message ?? (text.trim() || `status ${response.status}`));
  if (response.status === 401) needsKey.value = secret ? "The server does not know this key, or it has expired." : "This server asks for a key.";
  if (response.status === 503) lost();
  throw refused;
}

/** Bytes after which the first rows are shown; after that, each time as many more have come as are here. */
const FIRST_BYTES = 1 << 16;

/** @param {Response} response @param {AbortSignal | undefined} abort @param {((rows: import("./arrow.js").Rows) => void) | undefined} onRows */
async function read(response, abort, onRows) {
  /** @type {Uint8Array[]} */
  const pieces = [];
  let length = 0;
  let next = FIRST_BYTES;
  /** @type {string | undefined} */
  let why;
  const together = () => {
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  };
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      length += value.length;
      if (onRows && length >= next) {
        const sofar = open(together());
        if (sofar.rows) onRows(sofar);
        next = length * 4;
      }
      if (length > MOST_BYTES) {
        why = "it is larger than a tab should hold";
        await reader.cancel();
        break;
      }
    }
  } catch (error) {
    if (abort?.aborted) throw error;
    why = "the answer broke off";
  }
  return { bytes: together(), why };
}

/** Tries again after 1, 2, 5, 10 seconds, until the server answers. */
const WAITS = [1, 2, 5, 10];
function lost() {
  if (connection.peek().isGone) return;
  connection.value = { isGone: true, since: Date.now() };
  void (async () => {
    for (let attempt = 0; connection.peek().isGone; attempt += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * WAITS[Math.min(attempt, WAITS.length - 1)]));
      const isReady = await fetch(new URL("ready", root), { cache: "no-store" }).then((r) => r.ok, () => false);
      if (isReady) connection.value = { isGone: false, since: 0 };
    }
  })();
}

/** A page that a crate registered. @typedef {{name: string, title: string, about: string, subject: "lake" | "process", crate: string, module: string}} Page */
/** @typedef {{version: string, build: string, otlp_http_port: number | null, pages: Page[]}} Manifest */

/** @returns {Promise<Manifest>} */
export async function manifest() {
  const response = await fetch(new URL("ui/manifest.json", root), { cache: "no-store" });
  if (!response.ok) throw new Refused(response.status, "other", `the manifest can't be read: status ${response.status}`);
  return response.json();
}
