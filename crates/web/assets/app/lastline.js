/** The last line: what was asked, what that read, how long it took, and what is missing. */
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { html } from "./html.js";
import { asked, ask, body, connection, root } from "./api.js";
import { openSql } from "./open.js";
import { formatBytes, formatCount, plural, visible } from "./format.js";

/** Blocks that the lake could not read, with the reasons. */
export const faults = signal(/** @type {{block: string, viewSet: string, why: string}[]} */ ([]));

/** Asks which blocks could not be read. */
export async function loadFaults() {
  try {
    const rows = await ask({ title: "blocks that could not be read", sql: "SELECT * FROM block_faults()", limit: 1000, isQuiet: true });
    const text = (/** @type {string} */ name, /** @type {number} */ row) => String(rows.get(name, row) ?? "");
    faults.value = Array.from({ length: rows.rows }, (_, row) => (
      { block: text("block_id", row), viewSet: text("view_set_name", row), why: text("reason", row) }));
  } catch {
    // what was known stays; a server that is gone is told elsewhere
  }
}

/** What questions read, in sum. @param {import("./api.js").Reads[]} reads */
export function summary(reads) {
  const sum = { partitions: 0, fileBytes: 0, blocks: 0, blockBytes: 0 };
  for (const one of reads) {
    sum.partitions += one.partitions;
    sum.fileBytes += one.partition_bytes;
    sum.blocks += one.blocks;
    sum.blockBytes += one.block_bytes;
  }
  return sum;
}

export function LastLine() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const all = asked.value;
  const running = all.filter(({ state }) => state === "asked").length;
  const broken = all.filter(({ state }) => state === "cut");
  const failed = all.filter(({ state }) => state === "failed").length;
  const rows = all.reduce((sum, one) => sum + one.rows, 0);
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  const missing = Math.max(0, ...all.map((one) => one.missing ?? 0));
  const ms = Math.max(0, ...all.map((one) => one.ms));
  const read = summary(all.flatMap(({ reads }) => reads ?? []));
  const parts = [plural(all.length, "query", "queries"), `${plural(rows, "row")} (${formatBytes(bytes)})`];
  if (all.some(({ reads }) => reads)) {
    parts.push(`read ${plural(read.partitions, "partition")} (${formatBytes(read.fileBytes)})`);
    parts.push(`decoded ${plural(read.blocks, "block")} (${formatBytes(read.blockBytes)})`);
  }
  if (ms) parts.push(ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
  return html`<footer class=${connection.value.isGone ? "last-line is-gone" : "last-line"}>
    ${connection.value.isGone ? html`<span role="status">The server does not answer. What is here stays; it is tried again until the server is back.</span>`
      : html`<button type="button" class="plain" onClick=${() => dialog.current?.showModal()}>${parts.join(" · ")}${running ? " · asking …" : ""}<span aria-hidden="true"> ▸</span></button>`}
    <span class="grow"></span>
    ${broken.length ? html`<span class="warn">⚠ ${plural(broken.length, "answer")} broke off: what is shown is not all</span>` : null}
    ${failed ? html`<span class="bad">${plural(failed, "query", "queries")} failed</span>` : null}
    ${missing ? html`<span class="warn" title="Blocks whose rows these answers lack">⚠ rows of ${plural(missing, "block")} are missing</span>` : null}
    ${faults.value.length ? html`<button type="button" class="plain warn" onClick=${() => dialog.current?.showModal()}>⚠ ${plural(faults.value.length, "block")} could not be read</button>` : null}
    <dialog ref=${dialog} aria-labelledby="asked-title" onClick=${(/** @type {MouseEvent} */ e) => { if (e.target === dialog.current) dialog.current?.close(); }}>
      <div class="dialog-head"><h2 id="asked-title">What this page asked</h2><button type="button" aria-label="Close" onClick=${() => dialog.current?.close()}>✕</button></div>
      ${faults.value.length ? html`<section class="faults"><h3>Blocks that could not be read</h3><p>Their rows are missing here and in every other answer.</p>
        ${faults.value.slice(0, 50).map((fault) => html`<p><code>${fault.block}</code> ${fault.viewSet}: ${visible(fault.why)}</p>`)}</section>` : null}
      ${all.map((one) => html`<${One} key=${one.id} one=${one} close=${() => dialog.current?.close()} />`)}
      ${all.length ? null : html`<p class="quiet">Nothing yet.</p>`}
    </dialog>
  </footer>`;
}

/** @param {string} text */
const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {import("./api.js").Reads} reads */
export const readsText = (reads) =>
  `${reads.table}: ${formatCount(reads.partitions)} of ${plural(reads.known_partitions, "partition")} (${formatBytes(reads.partition_bytes)}), ${plural(reads.blocks, "block")} to decode (${formatBytes(reads.block_bytes)})`;

/** @param {{one: import("./api.js").Asked, close: () => void}} props */
function One({ one, close }) {
  const values = Array.isArray(one.parameters) ? one.parameters.map((value, index) => /** @type {[string, any]} */ ([String(index + 1), value])) : Object.entries(one.parameters);
  const question = body(one);
  const curl = `curl ${root.origin}${root.pathname}api/query -H 'Content-Type: application/json' --data-binary ${shellQuoted(question)}`;
  const state = { asked: "asking …", answered: "", cut: "broke off: not all rows are here", failed: "failed" }[one.state];
  return html`<details class="asked"><summary><b>${one.title}</b> <span class="quiet">${formatCount(one.rows)} rows · ${formatBytes(one.bytes)} · ${Math.round(one.ms)} ms</span>${state ? html` <span class="bad">${state}</span>` : null}</summary>
    ${one.message ? html`<p class="bad">${visible(one.message)}</p>` : null}
    <pre>${one.sql}</pre>
    ${values.length ? html`<p class="quiet">${values.map(([name, value]) => html`<code>$${name} = ${visible(JSON.stringify(String(value)))}</code> `)}</p>` : null}
    ${one.reads?.map((reads) => html`<p class="quiet">${readsText(reads)}</p>`)}
    <p><button type="button" class="small" onClick=${() => { close(); openSql(one.sql); }}>Open in SQL</button> <${Copy} text=${one.sql} label="Copy SQL" /> <${Copy} text=${curl} label="Copy as curl" /></p></details>`;
}

/** @param {{text: string, label: string}} props */
export function Copy({ text, label }) {
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  return html`<button type="button" class="small" ref=${button} onClick=${async () => {
    const isDone = await copy(text);
    if (!button.current) return;
    button.current.textContent = isDone ? "Copied" : "Can't copy: mark it";
    setTimeout(() => { if (button.current) button.current.textContent = label; }, 1500);
  }}>${label}</button>`;
}

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // pages without TLS that are not of this machine have no clipboard
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}
