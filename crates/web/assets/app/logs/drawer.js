/** One row in full, beside the list. */
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask } from "../api.js";
import { Copy } from "../lastline.js";
import { formatBytes, formatCount, parseJson, visible, visibleLines } from "../format.js";
import { LEVELS } from "../parts/search.js";
import { formatTime, inZone, toRfc3339 } from "../time.js";
import { zone } from "../range.js";
import { aroundSql, fullSql, readRows } from "./query.js";

/** Characters that are shown before somebody asks for more. */
const FOLDED = 4096;

/** @typedef {{msg: string, length: number, username?: string, computer?: string, properties: Record<string, any> | null, ofProcess: Record<string, any> | null}} Full */
/** @typedef {{table: import("../catalog.js").Table, row: import("./query.js").Row, place: number, add: (column: string, value: string, not: boolean) => void, close: () => void, link: string, move: (by: number) => void}} Props */

/** @param {Props} props */
export function Drawer(props) {
  const { table, row, place, add, close, link, move } = props;
  const [full, setFull] = useState(/** @type {Full | null} */ (null));
  const [fault, setFault] = useState("");
  const [isAll, setAll] = useState(false);
  useEffect(() => {
    setFull(null);
    setFault("");
    setAll(false);
    const controller = new AbortController();
    ask({
      title: "the row in full", sql: fullSql(table), parameters: [row.block, row.target, row.level, row.msg],
      range: { begin: row.time, end: row.time }, signal: controller.signal,
    }).then((answer) => {
      // rows that are equal so far are told apart by their place
      const at = Math.min(place, answer.rows - 1);
      if (at < 0) {
        setFault("this row is no longer in the lake");
        return;
      }
      const json = (/** @type {string} */ name) => {
        const text = answer.get(name, at);
        return typeof text === "string" ? parseJson(text) : null;
      };
      setFull({ msg: answer.get("msg", at) ?? "", length: Number(answer.get("length", at)), username: answer.get("username", at), computer: answer.get("computer", at), properties: json("properties"), ofProcess: json("process_properties") });
    }, (error) => { if (!controller.signal.aborted) setFault(error.message); });
    return () => controller.abort();
  }, [row]);
  const text = full ? full.msg : row.msg;
  const isFolded = !isAll && text.length > FOLDED;
  const level = LEVELS[row.level - 1] ?? String(row.level);
  return html`<aside class="drawer" aria-label="The row in full">
    <div class="drawer-head"><span class=${`level l${row.level}`}>${level}</span>
      <span class="grow"></span>
      <button type="button" title="The row above (k)" aria-label="The row above" onClick=${() => move(-1)}>▴</button>
      <button type="button" title="The row below (j)" aria-label="The row below" onClick=${() => move(1)}>▾</button>
      <button type="button" title="Close (Esc)" aria-label="Close" onClick=${close}>✕</button></div>
    <div class="drawer-body">
      <${Time} time=${row.time} />
      <pre class="message" dir="ltr">${visibleLines(isFolded ? text.slice(0, FOLDED) : text)}</pre>
      ${isFolded ? html`<p><button type="button" class="small" onClick=${() => setAll(true)}>Show all ${formatBytes(full?.length ?? text.length)}</button></p>` : null}
      ${!full && row.isCut ? html`<p class="quiet">reading the rest …</p>` : null}
      ${fault ? html`<p class="fault" role="alert">${fault}</p>` : null}
      <p><${Copy} text=${text} label="Copy message" /> <${Copy} text=${link} label="Copy link" /></p>
      ${full?.properties && Object.keys(full.properties).length ? html`<h3>Properties</h3><${Values} values=${full.properties} add=${add} />` : null}
      <h3>From</h3>
      <${Values} add=${add} values=${Object.fromEntries(Object.entries({ target: row.target, exe: row.exe, computer: full?.computer, username: full?.username, process_id: row.process, stream_id: row.stream, block_id: row.block }).filter(([, value]) => value))} isExact=${true} />
      ${full?.ofProcess && Object.keys(full.ofProcess).length ? html`<details><summary>Properties of the process</summary><${Values} values=${full.ofProcess} /></details>` : null}
      <p class="quiet">received ${formatTime(row.inserted, zone.value)}</p>
      <${Around} table=${table} row=${row} key=${`${row.block} ${row.time}`} />
    </div></aside>`;
}

/** With all nine digits. @param {{time: bigint}} props */
function Time({ time }) {
  const { date, clock, ms, us, ns } = inZone(time, zone.value);
  return html`<p class="full-time" title=${toRfc3339(time)}><time datetime=${toRfc3339(time)}>${date} <b>${clock}</b>.${ms}<span class="thin"> </span>${us}<span class="thin"> </span>${ns}</time> <${Copy} text=${toRfc3339(time)} label="Copy" /></p>`;
}

/** @param {{values: Record<string, any>, add?: (column: string, value: string, not: boolean) => void, isExact?: boolean}} props */
function Values({ values, add }) {
  return html`<dl class="values">${Object.entries(values).map(([name, value]) => {
    const text = typeof value === "string" ? value : typeof value === "object" && value !== null ? JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v), 1) : String(value);
    const canAdd = add && /^[\p{L}_][\p{L}\p{N}_.-]*$/u.test(name) && typeof value !== "object";
    return html`<div><dt>${visible(name)}</dt><dd><bdi class="value-text">${visibleLines(text)}</bdi>
      ${canAdd ? html`<span class="actions"><button type="button" title="Only these (f)" aria-label=${`Only ${visible(name)} ${visible(text)}`} onClick=${() => add(name, text, false)}>⊕</button><button type="button" title="Without these (x)" aria-label=${`Without ${visible(name)} ${visible(text)}`} onClick=${() => add(name, text, true)}>⊖</button></span>` : null}</dd></div>`;
  })}</dl>`;
}

/** What the same process said before and after, whatever the filter is. @param {{table: import("../catalog.js").Table, row: import("./query.js").Row}} props */
function Around({ table, row }) {
  const [rows, setRows] = useState(/** @type {import("./query.js").Row[] | null} */ (null));
  const [fault, setFault] = useState("");
  const load = async () => {
    try {
      const [before, after] = await Promise.all([
        ask({ title: "around the row: before", sql: aroundSql(table, true), parameters: [row.process], range: { end: row.time } }),
        ask({ title: "around the row: after", sql: aroundSql(table, false), parameters: [row.process], range: { begin: row.time + 1n } }),
      ]);
      setRows([...readRows(before).reverse(), ...readRows(after)].slice(-80));
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
  };
  if (!rows) return html`<p><button type="button" class="small" onClick=${load}>Around it, without the filter</button>${fault ? html` <span class="fault">${fault}</span>` : null}</p>`;
  const isIt = (/** @type {import("./query.js").Row} */ other) => other.time === row.time && other.block === row.block && other.msg === row.msg;
  return html`<h3>Around it <span class="quiet">${formatCount(rows.length)} rows of this process</span></h3><ol class="around">${rows.map((other) => {
    const { clock, ms } = inZone(other.time, zone.value);
    return html`<li class=${isIt(other) ? "is-it" : ""} title=${toRfc3339(other.time)}><span class="quiet">${clock}.${ms}</span> <span class=${`level l${other.level}`}>${(LEVELS[other.level - 1] ?? "?")[0].toUpperCase()}</span> <bdi>${visible(other.msg.slice(0, 300))}</bdi></li>`;
  })}</ol>`;
}
