/** SQL: an editor with what the server knows, what a statement would read, and its answer. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask, beginAsking, download, planOf, recordOf, Refused } from "../api.js";
import { copy, loadFaults, readsText, summary } from "../lastline.js";
import { handedSql } from "../open.js";
import { parameters, change } from "../route.js";
import { range, setRange } from "../range.js";
import { tables } from "../catalog.js";
import { formatBytes, formatCount, plural, visible, visibleLines } from "../format.js";
import { toast } from "../state.js";
import { ResultChart, ResultColumns, ResultTable } from "./result.js";
import { shapeOf } from "./shape.js";
import { parameterNames, place, statementAt, valueOf } from "./statements.js";
import { decodeText, encodeText } from "./share.js";

/** @typedef {import("../arrow.js").Rows} Rows */
/** @typedef {{sql: string, at: number, rows: Rows | null, isRunning: boolean, ms: number, bytes: number, cut: string | null, limit: number, missing: number, isStopped: boolean, fault: {kind: string, message: string} | null}} Answer */

const TEXT = "belvedere.sql";
const HISTORY = "belvedere.sql.history";
const LIMITS = [1000, 10_000, 100_000, 1_000_000];
/** Bytes of what is read that are much for one look. */
const MUCH = 2_000_000_000;

/** @param {string} name @param {string} otherwise */
function stored(name, otherwise) {
  try {
    return localStorage.getItem(name) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {string} value */
function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it then is there until the page is closed
  }
}

/** The statements that ran last, the latest first. @returns {string[]} */
function past() {
  try {
    const read = JSON.parse(stored(HISTORY, "[]"));
    return Array.isArray(read) ? read.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

export function Sql() {
  const host = useRef(/** @type {HTMLElement | null} */ (null));
  const editor = useRef(/** @type {import("./editor.js").Editor | null} */ (null));
  const controller = useRef(/** @type {AbortController | null} */ (null));
  const [isReady, setReady] = useState(false);
  const [answer, setAnswer] = useState(/** @type {Answer | null} */ (null));
  const [plan, setPlan] = useState(/** @type {import("../api.js").Plan | null} */ (null));
  const [tab, setTab] = useState("result");
  const [names, setNames] = useState(/** @type {string[]} */ ([]));
  const [values, setValues] = useState(/** @type {Record<string, string>} */ ({}));
  const [version, setVersion] = useState(0);
  const [isPast, setPast] = useState(false);
  const { limit: asked = "10000", range: scope = "" } = parameters.value;
  const limit = LIMITS.includes(Number(asked)) ? Number(asked) : 10_000;
  const usesRange = scope !== "all";
  const { begin, end } = range.value;
  const latest = useRef({ run: (/** @type {boolean} */ _all) => {} });

  const statement = () => {
    const text = editor.current?.text() ?? "";
    const selected = editor.current?.selection() ?? "";
    if (selected.trim()) return { sql: selected, from: text.indexOf(selected) };
    const span = statementAt(text, editor.current?.cursor() ?? 0);
    return span ? { sql: text.slice(span.from, span.to), from: span.from } : null;
  };
  const bound = (/** @type {string} */ sql) => {
    /** @type {Record<string, import("../api.js").Value>} */
    const found = {};
    for (const name of parameterNames(sql)) {
      const type = plan?.parameters.find((one) => one.name === `$${name}`)?.type ?? "Utf8";
      found[name] = valueOf(values[name] ?? "", type);
    }
    const numbered = Object.keys(found).length > 0 && Object.keys(found).every((name) => /^\d+$/.test(name));
    return numbered ? Object.keys(found).sort((a, b) => Number(a) - Number(b)).map((name) => found[name]) : found;
  };
  const question = (/** @type {string} */ sql) => ({ title: "SQL", sql, parameters: bound(sql), range: usesRange ? { begin, end } : {} });

  const run = async () => {
    const wanted = statement();
    if (!wanted) return;
    const { sql, from } = wanted;
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    editor.current?.unmark();
    beginAsking();
    const began = performance.now();
    /** @type {Answer} */
    let state = { sql, at: from, rows: null, isRunning: true, ms: 0, bytes: 0, cut: null, limit, missing: 0, isStopped: false, fault: null };
    const tell = (/** @type {Partial<Answer>} */ more) => {
      state = { ...state, ms: performance.now() - began, ...more };
      if (controller.current === mine) setAnswer(state);
    };
    tell({});
    const isExplain = /^\s*explain\b/i.test(sql);
    store(HISTORY, JSON.stringify([sql, ...past().filter((one) => one !== sql)].slice(0, 100)));
    void encodeText(editor.current?.text() ?? "").then((coded) => history.replaceState(null, "", `${location.pathname}${location.search}${coded.length < 6000 ? `#s=${coded}` : ""}`), () => {});
    try {
      const read = await ask({ ...question(sql), limit: isExplain ? undefined : limit, signal: mine.signal, isHeavy: true, onRows: (rows) => tell({ rows }) });
      tell({ rows: read, isRunning: false, bytes: read.bytes, cut: read.why ?? null });
      setTab((before) => (before === "plan" || (before === "chart" && !shapeOf(read.fields)) ? "result" : before));
      const record = await recordOf(read.queryId).catch(() => null);
      if (record?.missing_blocks) {
        tell({ missing: record.missing_blocks, ms: state.ms });
        void loadFaults();
      }
    } catch (error) {
      if (mine.signal.aborted) {
        tell({ isRunning: false, isStopped: true });
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      tell({ isRunning: false, fault: { kind: error instanceof Refused ? error.kind : "other", message } });
      const found = place(message, sql);
      if (found) editor.current?.mark(from + found.from, from + found.to, message);
    }
  };
  latest.current.run = run;
  const stop = () => controller.current?.abort();

  useEffect(() => {
    let isOver = false;
    void (async () => {
      const shared = new URLSearchParams(location.hash.slice(1)).get("s");
      const text = handedSql.value?.sql ?? (shared ? await decodeText(shared).catch(() => "") : "") ?? "";
      const { makeEditor } = await import("./editor.js");
      if (isOver || !host.current) return;
      editor.current = makeEditor(host.current, text || stored(TEXT, "") || first(), {
        run: () => latest.current.run(false),
        changed: () => { store(TEXT, editor.current?.text() ?? ""); setVersion((n) => n + 1); },
      });
      setReady(true);
      editor.current.focus();
      if (handedSql.value?.isRun) latest.current.run(false);
      handedSql.value = null;
    })();
    return () => {
      isOver = true;
      controller.current?.abort();
      editor.current?.destroy();
      editor.current = null;
    };
  }, []);
  // what it would read, while one types
  useEffect(() => {
    if (!isReady) return;
    const wanted = statement();
    setNames(wanted ? parameterNames(wanted.sql) : []);
    if (!wanted) {
      setPlan(null);
      return;
    }
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      const needs = parameterNames(wanted.sql);
      const isFilled = needs.every((name) => (values[name] ?? "") !== "");
      const asked = question(wanted.sql.replace(/^\s*explain\s+(analyze\s+|verbose\s+)*/i, ""));
      try {
        const made = await planOf({ ...asked, parameters: isFilled ? asked.parameters : undefined, signal: controller.signal });
        setPlan(made);
      } catch {
        if (!controller.signal.aborted) setPlan(null);
      }
    }, 400);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [isReady, version, usesRange, begin, end, JSON.stringify(values)]);

  const cost = plan?.reads ? summary(plan.reads) : null;
  const isMuch = cost !== null && cost.fileBytes + cost.blockBytes > MUCH;
  const rows = answer?.rows ?? null;
  const save = async (/** @type {string} */ format) => {
    if (!answer) return;
    toast(`asking for all rows as ${format} …`);
    try {
      const response = await download(format, question(answer.sql));
      const url = URL.createObjectURL(await response.blob());
      const link = document.createElement("a");
      link.href = url;
      link.download = `belvedere-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}Z.${format}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      toast(`The download failed: ${error instanceof Error ? error.message : error}`);
    }
  };
  const isCutByLimit = answer && rows && !answer.isRunning && rows.rows === answer.limit;
  const TABS = [["result", "Result"], ["chart", "Chart"], ["columns", "Columns"], ["plan", "Plan"]];
  return html`<div class="sql-page">
    <${Schema} insert=${(/** @type {string} */ text) => editor.current?.insert(text)} show=${(/** @type {string} */ text) => { const before = editor.current?.text().trim(); editor.current?.setText(before ? `${before.replace(/;?$/, ";")}\n\n${text}` : text); editor.current?.focus(); }} />
    <div class="sql-main">
      <div class="sql-bar">
        ${answer?.isRunning ? html`<button type="button" class="primary stop" onClick=${stop}>■ Stop</button>` : html`<button type="button" class="primary" title="Run the statement at the cursor (Ctrl+Enter)" disabled=${!isReady} onClick=${run}>▶ Run</button>`}
        <span class=${isMuch ? "cost warn" : "cost quiet"} role="status">${cost ? html`${isMuch ? "⚠ " : ""}reads ${plural(cost.partitions, "partition")} (${formatBytes(cost.fileBytes)}), decodes ${plural(cost.blocks, "block")} (${formatBytes(cost.blockBytes)})` : plan?.parameters.length ? "give the parameters their values" : ""}</span>
        <span class="grow"></span>
        <label class="check"><input type="checkbox" checked=${usesRange} onChange=${(/** @type {any} */ e) => change({ range: e.target.checked ? "" : "all" })} /> only the time range above</label>
        <label>at most <select value=${limit} onChange=${(/** @type {any} */ e) => change({ limit: e.target.value === "10000" ? "" : e.target.value })}>${LIMITS.map((one) => html`<option value=${one} selected=${one === limit}>${formatCount(one)}</option>`)}</select> rows</label>
        <button type="button" aria-pressed=${isPast} onClick=${() => setPast(!isPast)}>History</button>
        <button type="button" title="Copy a link to this SQL" onClick=${async () => { const coded = await encodeText(editor.current?.text() ?? ""); toast(coded.length > 6000 ? "This SQL is too long for a link" : (await copy(`${location.origin}${location.pathname}${location.search}#s=${coded}`)) ? "The link is copied" : "This browser does not let pages copy"); }}>Copy link</button>
      </div>
      ${isPast ? html`<ol class="past">${past().slice(0, 30).map((one) => html`<li><button type="button" class="plain" onClick=${() => { editor.current?.setText(one); setPast(false); editor.current?.focus(); }}><code>${visible(one.slice(0, 300))}</code></button></li>`)}${past().length ? null : html`<li class="quiet">nothing ran yet</li>`}</ol>` : null}
      <div class="editor" ref=${host}></div>
      ${names.length ? html`<div class="sql-parameters">${names.map((name) => html`<label>$${name} <input value=${values[name] ?? ""} placeholder=${plan?.parameters.find((one) => one.name === `$${name}`)?.type ?? ""} onInput=${(/** @type {any} */ e) => setValues({ ...values, [name]: e.target.value })} /></label>`)}</div>` : null}
      <div class="sql-answer">
        <div class="answer-bar"><div class="tabs" role="tablist">${TABS.map(([name, title]) => html`<button type="button" role="tab" aria-selected=${tab === name} onClick=${() => setTab(name)}>${title}</button>`)}</div>
          <span class="quiet number">${answer && rows ? html`<b>${formatCount(rows.rows)}</b> ${rows.rows === 1 ? "row" : "rows"} · ${formatBytes(answer.bytes)} · ${answer.ms < 1000 ? `${Math.round(answer.ms)} ms` : `${(answer.ms / 1000).toFixed(1)} s`}` : null}${answer?.isRunning ? " · asking …" : ""}</span>
          <span class="grow"></span>
          ${answer && rows && !answer.fault ? html`<span class="buttons">${["csv", "ndjson", "arrow", "parquet"].map((format) => html`<button type="button" class="small" title=${`Download all rows as ${format}, without the limit`} onClick=${() => save(format)}>⤓ ${format}</button>`)}</span>` : null}</div>
        ${isCutByLimit ? html`<p class="notice is-warn" role="alert">⚠ Cut at ${plural(rows.rows, "row")}: there may be more. A download has all of them.</p>` : null}
        ${answer?.cut ? html`<p class="notice is-warn" role="alert">⚠ ${answer.cut}: these rows are not all</p>` : null}
        ${answer?.missing ? html`<p class="notice is-warn" role="alert">⚠ ${plural(answer.missing, "block")} could not be read: their rows are missing from this answer. The last line says which.</p>` : null}
        ${answer?.isStopped ? html`<p class="notice is-warn" role="status">Stopped${rows ? `: the first ${plural(rows.rows, "row")} are here` : ", here and on the server"}.</p>` : null}
        ${answer?.fault ? html`<${Fault} fault=${answer.fault} half=${() => { setRange(end - (end - begin) / 2n, end); }} />`
          : tab === "plan" ? html`<${PlanView} plan=${plan} />`
          : rows ? (tab === "chart" ? html`<${ResultChart} rows=${rows} key=${answer?.sql} />` : tab === "columns" ? html`<${ResultColumns} rows=${rows} />` : html`<${ResultTable} rows=${rows} label="Result" key=${rows.names.join()} />`)
          : answer?.isRunning ? html`<p class="state quiet" role="status">asking …</p>`
          : html`<div class="state quiet is-wide"><p><kbd>Ctrl</kbd> <kbd>Enter</kbd> runs the statement at the cursor. To begin with:</p>
            <ol class="examples">${(tables.value ?? []).filter(({ instances }) => instances.includes("global")).map(({ name, example }) => html`<li><button type="button" class="plain" onClick=${() => { editor.current?.setText(example); latest.current.run(false); }}><b>${name}</b><code>${example.replace(/\s+/g, " ")}</code></button></li>`)}</ol></div>`}
      </div>
    </div>
  </div>`;
}

/** What a new page begins with: an example of some table. */
const first = () => (tables.value ?? []).find(({ instances, from }) => instances.includes("global") && from === "blocks")?.example ?? "SELECT * FROM list_view_sets()";

/** @param {{fault: {kind: string, message: string}, half: () => void}} props */
function Fault({ fault, half }) {
  const heavy = fault.kind === "resources" || fault.kind === "too_long";
  const titles = /** @type {Record<string, string>} */ ({ sql: "The server does not understand this", gone: "The server does not answer", rights: "This needs a right that you lack", denied: "A rule of this lake refuses this query", resources: "That takes more memory than a query may have", too_long: "That takes longer than a query may", cancelled: "The query was cancelled" });
  return html`<div class="sql-fault" role="alert"><h2>${titles[fault.kind] ?? "That did not work"}</h2><pre class="message-of-server">${visibleLines(fault.message)}</pre>${heavy ? html`<p><button type="button" onClick=${half}>The newer half of the range</button></p>` : null}</div>`;
}

/** @param {{plan: import("../api.js").Plan | null}} props */
function PlanView({ plan }) {
  if (!plan?.plan) return html`<p class="state quiet">There is no plan: the statement is not one yet, or its parameters have no values.</p>`;
  return html`<div class="plain-page"><h3>Reads</h3>${plan.reads?.length ? plan.reads.map((reads) => html`<p>${readsText(reads)}</p>`) : html`<p class="quiet">nothing of the lake</p>`}
    ${plan.plan.map(({ kind, text }) => html`<h3>${kind.replaceAll("_", " ")}</h3><pre class="plan" tabindex="0" role="group" aria-label=${kind}>${text}</pre>`)}</div>`;
}

/** @param {{insert: (text: string) => void, show: (text: string) => void}} props */
function Schema({ insert, show }) {
  const [text, setText] = useState("");
  const [isOpen, setOpen] = useState(/** @type {string | null} */ (null));
  const wanted = text.trim().toLowerCase();
  const all = useMemo(() => (tables.value ?? []).filter(({ name, columns }) => !wanted || name.includes(wanted) || [...columns.keys()].some((column) => column.toLowerCase().includes(wanted))), [wanted, tables.value]);
  return html`<aside class="schema" aria-label="Tables"><input type="search" aria-label="Find tables and columns" placeholder="tables, columns" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} />
    <ul>${all.map((table) => html`<li><div class="schema-head"><button type="button" class="facet-head" aria-expanded=${isOpen === table.name} title=${table.about} onClick=${() => setOpen(isOpen === table.name ? null : table.name)}><span class="caret" aria-hidden="true">${isOpen === table.name ? "▾" : "▸"}</span>${table.name}</button>
        <button type="button" class="small" title="Add its example to the editor" aria-label=${`Example of ${table.name}`} onClick=${() => show(table.example)}>example</button></div>
      ${isOpen === table.name ? html`<ul class="schema-columns">${[...table.columns.values()].map((column) => html`<li><button type="button" class="plain" title=${`${column.about}\n${column.type}`} onClick=${() => insert(/^[a-z_][a-z0-9_]*$/.test(column.name) ? column.name : `"${column.name}"`)}>${column.name}</button> <span class="quiet">${shortType(column.type)}</span></li>`)}</ul>` : null}</li>`)}</ul></aside>`;
}

/** @param {string} type */
const shortType = (type) => type.replace(/Timestamp\(.*/, "time").replace(/Dictionary\(Int32, (\w+)\)/, "$1").replace("Utf8", "text").toLowerCase();
