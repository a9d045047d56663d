/** Questions to the server: all of them come by here, and are written down for the last line. */
import { signal } from "@preact/signals";
import { open } from "./arrow.js";
import { toRfc3339 } from "./time.js";

/** The address of the server: the modules are below it. */
export const root = new URL("../../../", import.meta.url);

/** @typedef {{begin?: bigint, end?: bigint}} Range */
/** @typedef {string | number | bigint | boolean | null} Value */
/** @typedef {{title: string, sql: string, parameters?: Value[], range?: Range, limit?: number, signal?: AbortSignal, isQuiet?: boolean}} Question */
/** @typedef {{id: number, title: string, sql: string, parameters: Value[], range: Range, rows: number, bytes: number, ms: number, state: "asked" | "answered" | "cut" | "failed", message?: string, reads?: string}} Asked */

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

/** Values as JSON; whole numbers of 64 bits with all digits. @param {Question} question */
export function body({ sql, parameters = [], range = {}, limit }) {
  const values = parameters.map((value) => (typeof value === "bigint" ? String(value) : JSON.stringify(value)));
  /** @type {string[]} */
  const fields = [`"sql":${JSON.stringify(sql)}`];
  if (values.length) fields.push(`"parameters":[${values.join(",")}]`);
  if (range.begin !== undefined) fields.push(`"begin":"${toRfc3339(range.begin)}"`);
  if (range.end !== undefined) fields.push(`"end":"${toRfc3339(range.end)}"`);
  if (limit !== undefined) fields.push(`"limit":${limit}`);
  return `{${fields.join(",")}}`;
}

/** Asks, and waits for all rows. A broken answer has `isCut`, with the rows that came.
 * @param {Question} question @returns {Promise<import("./arrow.js").Rows & {isCut: boolean, why?: string}>} */
export async function ask(question) {
  const began = performance.now();
  /** @type {Asked} */
  const entry = {
    id: ++numbers, title: question.title, sql: question.sql, parameters: question.parameters ?? [],
    range: question.range ?? {}, rows: 0, bytes: 0, ms: 0, state: "asked",
  };
  const write = () => {
    entry.ms = performance.now() - began;
    if (!question.isQuiet) note(entry);
  };
  write();
  try {
    const response = await send("api/query?format=arrow", question);
    const { bytes, why } = await read(response, question.signal);
    const rows = open(bytes);
    entry.rows = rows.rows;
    entry.bytes = bytes.length;
    entry.state = why ? "cut" : "answered";
    entry.message = why;
    write();
    return { ...rows, isCut: why !== undefined, why };
  } catch (error) {
    if (question.signal?.aborted) {
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

/** Adds to the record of a question what it reads. @param {string} sql @param {string} reads */
export function noteReads(sql, reads) {
  const entry = asked.peek().findLast((one) => one.sql === sql);
  if (entry) note({ ...entry, reads });
}

/** @param {string} address @param {Question} question */
async function send(address, question) {
  /** @type {Record<string, string>} */
  const headers = { "content-type": "application/json", "x-client-type": "web" };
  const secret = key();
  if (secret) headers.authorization = `Bearer ${secret}`;
  let response;
  try {
    response = await fetch(new URL(address, root), {
      method: "POST", headers, body: body(question), signal: question.signal, cache: "no-store", credentials: "omit",
    });
  } catch (error) {
    if (!question.signal?.aborted) lost();
    throw question.signal?.aborted ? error : new Refused(0, "gone", "the server does not answer");
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

/** @param {Response} response @param {AbortSignal | undefined} abort */
async function read(response, abort) {
  /** @type {Uint8Array[]} */
  const pieces = [];
  let length = 0;
  /** @type {string | undefined} */
  let why;
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      length += value.length;
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
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { bytes, why };
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

/** @typedef {{version: string, build: string, otlp_http_port: number | null}} Manifest */

/** @returns {Promise<Manifest>} */
export async function manifest() {
  const response = await fetch(new URL("ui/manifest.json", root), { cache: "no-store" });
  if (!response.ok) throw new Refused(response.status, "other", `the manifest can't be read: status ${response.status}`);
  return response.json();
}
