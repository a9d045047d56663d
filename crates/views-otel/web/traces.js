/** Traces: a list of them, and one as a waterfall of its spans, across all processes that took part in it. */
import { h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import htm from "htm";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
const html = htm.bind(/** @type {any} */ (h));

/** @typedef {import("../../web/assets/app/registered/page.js").Given} Given */
/** @typedef {{id: string, root: string, exe: string, spans: number, errors: number, processes: number, begin: bigint, end: bigint}} Trace */
/** Times are nanoseconds after the trace's begin.
 * @typedef {{id: string, parent: string, name: string, exe: string, process: string, kind: string, status: string, message: string | null, begin: number, end: number, duration: bigint}} Span */
/** A line of the waterfall. @typedef {{span: Span, depth: number, parts: number, isOrphan: boolean}} Line */

const ROW = 22;
/** Lines that are drawn above and below what is in view. */
const MARGIN = 8;
const MOST_TRACES = 500;
const MOST_SPANS = 200_000;
const HOUR = 3_600_000_000_000n;
const ORDERS = /** @type {Record<string, [string, string]>} */ ({ newest: ["newest first", '"begin" DESC'], longest: ["longest first", '"end" - "begin" DESC'], errors: ["most errors first", 'errors DESC, "begin" DESC'], spans: ["most spans first", 'spans DESC, "begin" DESC'] });

/** @param {string} order @param {boolean} onlyErrors @param {boolean} isFiltered */
const listSql = (order, onlyErrors, isFiltered) => `SELECT trace_id, min(start_time) AS "begin", max(end_time) AS "end", count(*) AS spans,
  sum(CASE WHEN status = 'ERROR' THEN 1 ELSE 0 END) AS errors, count(DISTINCT process_id) AS processes,
  first_value(name ORDER BY parent_span_id IS NOT NULL, start_time) AS root,
  first_value(exe ORDER BY parent_span_id IS NOT NULL, start_time) AS exe
FROM otel_spans
GROUP BY trace_id
HAVING ${isFiltered ? "bool_or(strpos(lower(concat(name, ' ', exe)), lower($1)) > 0)" : "true"}${onlyErrors ? " AND sum(CASE WHEN status = 'ERROR' THEN 1 ELSE 0 END) > 0" : ""}
ORDER BY ${ORDERS[order][1]}
LIMIT ${MOST_TRACES}`;

/** @param {string} trace */
const spansSql = (trace) => `SELECT span_id, parent_span_id, name, exe, process_id, kind, status, status_message, start_time, end_time, duration
FROM otel_spans
WHERE trace_id = X'${trace}'
ORDER BY start_time
LIMIT ${MOST_SPANS}`;

/** @param {Uint8Array | null} bytes */
const hex = (bytes) => (bytes ? Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") : "");

/** Spans in the order of a waterfall: each behind what it is a part of, those of one parent in the order of their begin.
 * What has no parent here is outermost. A sender can make circles: each span is one line. @param {Span[]} spans
 * @param {Set<string>} folded @returns {Line[]} */
export function linesOf(spans, folded) {
  const byId = new Map(spans.map((span) => [span.id, span]));
  /** @type {Map<string, Span[]>} */
  const parts = new Map();
  const outermost = [];
  for (const span of spans) {
    if (span.parent && span.parent !== span.id && byId.has(span.parent)) {
      const beside = parts.get(span.parent);
      if (beside) beside.push(span);
      else parts.set(span.parent, [span]);
    } else outermost.push(span);
  }
  /** @type {Line[]} */
  const lines = [];
  const seen = new Set();
  const walk = (/** @type {Span[]} */ roots) => {
    // a trace may be as deep as it has spans
    const left = roots.map((span) => ({ span, depth: 0 })).reverse();
    for (let next = left.pop(); next; next = left.pop()) {
      const { span, depth } = next;
      if (seen.has(span)) continue;
      seen.add(span);
      const own = parts.get(span.id) ?? [];
      lines.push({ span, depth, parts: own.length, isOrphan: depth === 0 && span.parent !== "" });
      if (!folded.has(span.id)) for (let at = own.length - 1; at >= 0; at -= 1) left.push({ span: own[at], depth: depth + 1 });
      else hide(own);
    }
  };
  const hide = (/** @type {Span[]} */ some) => {
    const left = [...some];
    for (let span = left.pop(); span; span = left.pop()) {
      if (seen.has(span)) continue;
      seen.add(span);
      for (const part of parts.get(span.id) ?? []) left.push(part);
    }
  };
  walk(outermost);
  // of a circle, the first that came
  for (const span of spans) if (!seen.has(span)) walk([span]);
  return lines;
}

/** @param {{page: Given}} props */
function Traces({ page }) {
  const [parameters, setParameters] = useState(page.parameters.value);
  // at once: a step back may come before the next frame
  useLayoutEffect(() => page.parameters.subscribe(() => setParameters(page.parameters.value)), []);
  const trace = /^[0-9a-f]{32}$/.test(parameters.trace ?? "") ? parameters.trace : "";
  return trace ? html`<${One} page=${page} trace=${trace} key=${trace} />` : html`<${List} page=${page} parameters=${parameters} />`;
}

/** @param {{page: Given, parameters: Record<string, string>}} props */
function List({ page, parameters }) {
  const { format } = page;
  const [range, setRange] = useState(page.range.value);
  const [traces, setTraces] = useState(/** @type {Trace[] | null} */ (null));
  const [fault, setFault] = useState("");
  const [isAsking, setAsking] = useState(true);
  const { q: search = "", order: wanted = "newest", errors = "" } = parameters;
  const order = Object.hasOwn(ORDERS, wanted) ? wanted : "newest";
  const [text, setText] = useState(search);
  useLayoutEffect(() => setText(search), [search]);
  useLayoutEffect(() => page.range.subscribe(() => setRange(page.range.value)), []);
  const sql = listSql(order, errors === "1", search !== "");
  useEffect(() => {
    const controller = new AbortController();
    page.begin();
    setAsking(true);
    page.query(sql, { title: "traces", parameters: search ? [search] : [], signal: controller.signal, isHeavy: true, range }).then((rows) => {
      setTraces(Array.from({ length: rows.rows }, (_, row) => {
        const get = (/** @type {string} */ name) => rows.get(name, row);
        return { id: hex(get("trace_id")), root: get("root") ?? "", exe: get("exe") ?? "", spans: Number(get("spans")), errors: Number(get("errors")), processes: Number(get("processes")), begin: get("begin"), end: get("end") };
      }));
      setFault(rows.isCut ? `${rows.why}: these traces are not all` : "");
      setAsking(false);
    }, (error) => {
      if (controller.signal.aborted) return;
      setFault(error.message);
      setAsking(false);
    });
    return () => controller.abort();
  }, [sql, search, range]);
  const most = (traces ?? []).reduce((most, { begin, end }) => Math.max(most, Number(end - begin)), 1);
  const shown = sql.replace("$1", `'${search.replaceAll("'", "''")}'`);
  return html`<div class="drawn-page"><form class="search" role="search" onSubmit=${(/** @type {any} */ e) => { e.preventDefault(); page.parameters.set({ q: e.currentTarget.elements.namedItem("q").value.trim() }); }}>
      <input name="q" type="search" aria-label="Find traces" placeholder="find traces: a part of a span's name or program" spellcheck=${false} value=${text} onInput=${(/** @type {any} */ e) => { setText(e.target.value); if (e.target.value === "" && search) page.parameters.set({ q: "" }); }} />
      <button type="submit">Search</button>
      <label class="quiet">order <select value=${order} onChange=${(/** @type {any} */ e) => page.parameters.set({ order: e.target.value === "newest" ? "" : e.target.value })}>${Object.entries(ORDERS).map(([name, [title]]) => html`<option value=${name}>${title}</option>`)}</select></label>
      <button type="button" aria-pressed=${errors === "1"} onClick=${() => page.parameters.set({ errors: errors === "1" ? "" : "1" })}>With errors</button>
      <button type="button" title="SQL of what is shown" onClick=${() => page.open.sql(shown, true)}>= SQL</button></form>
    <div class="counts"><span role="status">${traces ? html`<b>${format.count(traces.length)}</b> ${traces.length === 1 ? "trace" : "traces"}${traces.length === MOST_TRACES ? html` <span class="warn">⚠ the first ${MOST_TRACES}: narrow the range or the search for others</span>` : null}` : "…"}${isAsking ? html`<span class="quiet"> · asking …</span>` : null}</span><span class="quiet">spans that overlap the range</span></div>
    ${fault ? html`<p class="notice is-warn" role="alert">${format.visible(fault)}</p>` : null}
    ${traces && !traces.length && !isAsking ? html`<div class="state"><h2>No traces ${search || errors ? "that match" : "in this range"}</h2><p>${search || errors ? html`<button type="button" class="primary" onClick=${() => page.parameters.set({ q: "", errors: "" })}>Show all of the range</button>` : "Choose a longer one."}</p></div>` : null}
    ${traces?.length ? html`<section class="listed"><table class="facts"><thead><tr><th>began</th><th>outermost span</th><th>program</th><th class="right">spans</th><th class="right">errors</th><th class="right">processes</th><th class="right">duration</th><th></th></tr></thead><tbody>${traces.map((trace) => html`<tr><td class="number"><time title=${format.rfc3339(trace.begin)}>${format.time(trace.begin).slice(0, 23)}</time></td><th scope="row"><button type="button" class="link" onClick=${() => page.parameters.set({ trace: trace.id })}><bdi>${format.visible(trace.root.slice(0, 200)) || "(no name)"}</bdi></button></th><td><bdi>${format.visible(trace.exe)}</bdi></td><td class="right number">${format.count(trace.spans)}</td><td class=${trace.errors ? "right number bad" : "right number quiet"}>${format.count(trace.errors)}</td><td class="right number">${format.count(trace.processes)}</td><td class="right number">${format.duration(trace.end - trace.begin)}</td><td class="bar-cell"><span class="bar-fill" style=${`width: ${(100 * Number(trace.end - trace.begin)) / most}%`}></span></td></tr>`)}</tbody></table></section>` : null}</div>`;
}

/** @param {{page: Given, trace: string}} props */
function One({ page, trace }) {
  const { format } = page;
  const [spans, setSpans] = useState(/** @type {Span[] | null} */ (null));
  const [begin, setBegin] = useState(0n);
  const [fault, setFault] = useState("");
  const [isAsking, setAsking] = useState(true);
  const [folded, setFolded] = useState(/** @type {Set<string>} */ (new Set()));
  const [chosen, setChosen] = useState("");
  const [find, setFind] = useState("");
  const [view, setView] = useState(/** @type {[number, number] | null} */ (null));
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const [seen, setSeen] = useState({ top: 0, height: 800 });
  const sql = spansSql(trace);
  useEffect(() => {
    const controller = new AbortController();
    const { begin, end } = page.range.value;
    page.begin();
    // what belongs to it may lie outside of the range
    page.query(sql, { title: "spans of the trace", signal: controller.signal, isHeavy: true, range: { begin: begin - HOUR, end: end + HOUR } }).then((rows) => {
      const from = rows.rows ? rows.get("start_time", 0) : 0n;
      setBegin(from);
      setSpans(Array.from({ length: rows.rows }, (_, row) => {
        const get = (/** @type {string} */ name) => rows.get(name, row);
        return { id: hex(get("span_id")), parent: hex(get("parent_span_id")), name: get("name") ?? "", exe: get("exe") ?? "", process: get("process_id") ?? "", kind: get("kind") ?? "", status: get("status") ?? "", message: get("status_message"), begin: Number(get("start_time") - from), end: Number(get("end_time") - from), duration: get("duration") };
      }));
      setFault(rows.isCut ? `${rows.why}: these spans are not all` : rows.rows === MOST_SPANS ? `The first ${format.count(MOST_SPANS)} spans: there may be more` : "");
      setAsking(false);
    }, (error) => {
      if (controller.signal.aborted) return;
      setFault(error.message);
      setAsking(false);
    });
    return () => controller.abort();
  }, [trace]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = () => setSeen({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [spans !== null]);
  const lines = useMemo(() => linesOf(spans ?? [], folded), [spans, folded]);
  const last = useMemo(() => (spans ?? []).reduce((most, { end }) => Math.max(most, end), 1), [spans]);
  const [from, to] = view ?? [0, last];
  const words = find.trim().toLowerCase();
  const isFound = (/** @type {Span} */ span) => words === "" || `${span.name} ${span.exe} ${span.status} ${span.message ?? ""}`.toLowerCase().includes(words);
  const found = words && spans ? spans.filter(isFound).length : 0;
  const at = lines.findIndex(({ span }) => span.id === chosen);
  const one = lines[at]?.span;
  const select = (/** @type {number} */ index) => {
    const line = lines[Math.max(0, Math.min(lines.length - 1, index))];
    if (!line) return;
    setChosen(line.span.id);
    const [top, element] = [lines.indexOf(line) * ROW, scroller.current];
    if (element && top < element.scrollTop) element.scrollTop = top;
    else if (element && top + ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW - element.clientHeight;
  };
  const fold = (/** @type {string} */ id) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  const fit = (/** @type {Span} */ span) => {
    const margin = Math.max(50, (span.end - span.begin) * 0.05);
    setView([span.begin - margin, span.end + margin]);
  };
  const back = () => page.parameters.set({ trace: "" });
  useLayoutEffect(() => page.keys([
    { keys: "j", about: "the span below", run: () => select(at + 1) },
    { keys: "ArrowDown", about: "the span below", run: () => select(at + 1) },
    { keys: "k", about: "the span above", run: () => select(at - 1) },
    { keys: "ArrowUp", about: "the span above", run: () => select(at - 1) },
    { keys: "ArrowLeft", about: "fold the span", run: () => { if (one && !folded.has(one.id)) fold(one.id); } },
    { keys: "ArrowRight", about: "unfold the span", run: () => { if (one && folded.has(one.id)) fold(one.id); } },
    { keys: "f", about: "fit the span", run: () => { if (one) fit(one); } },
    { keys: "/", about: "find spans", run: () => document.getElementById("find-in-trace")?.focus() },
    { keys: "Escape", about: "the whole trace, then all traces", run: () => { if (chosen) setChosen(""); else if (view) setView(null); else back(); } },
  ]));
  const first = Math.max(0, Math.floor(seen.top / ROW) - MARGIN);
  const shown = lines.slice(first, Math.ceil((seen.top + seen.height) / ROW) + MARGIN);
  const services = useMemo(() => {
    /** @type {Map<string, {spans: number, errors: number}>} */
    const all = new Map();
    for (const span of spans ?? []) {
      const of = all.get(span.exe) ?? { spans: 0, errors: 0 };
      of.spans += 1;
      if (span.status === "ERROR") of.errors += 1;
      all.set(span.exe, of);
    }
    return [...all].sort((a, b) => b[1].spans - a[1].spans);
  }, [spans]);
  const place = (/** @type {number} */ time) => (100 * (time - from)) / Math.max(1, to - from);
  return html`<div class="drawn-page is-full"><form class="search" role="search" onSubmit=${(/** @type {Event} */ e) => e.preventDefault()}>
      <button type="button" title="All traces (Esc)" onClick=${back}>‹ Traces</button>
      <input id="find-in-trace" type="search" aria-label="Find spans of this trace" placeholder="find spans: name, program, status" spellcheck=${false} value=${find} onInput=${(/** @type {any} */ e) => setFind(e.target.value)} />
      ${words ? html`<span class="quiet" role="status">${format.count(found)} found</span>` : null}
      ${view ? html`<button type="button" title="The whole trace (Esc)" onClick=${() => setView(null)}>The whole</button>` : null}
      <button type="button" onClick=${() => page.open.page("logs", { from: format.rfc3339(begin - 1_000_000_000n), to: format.rfc3339(begin + BigInt(Math.round(last)) + 1_000_000_000n), q: `otel.trace_id:"${trace}"` })}>Its messages</button>
      <button type="button" title="SQL of what is shown" onClick=${() => page.open.sql(sql, true)}>= SQL</button></form>
    <div class="counts"><span role="status">${spans ? html`<b>${format.count(spans.length)}</b> ${spans.length === 1 ? "span" : "spans"} in ${format.duration(BigInt(Math.round(last)))}${spans.length ? html`<span class="quiet"> · from ${format.time(begin)}</span>` : null}` : "…"}${isAsking ? html`<span class="quiet"> · asking …</span>` : null} <code class="quiet">${trace}</code></span>
      <span class="legend">${services.slice(0, 8).map(([exe, { spans, errors }]) => html`<button type="button" class="plain" title="Find its spans" onClick=${() => setFind(exe)}><span class="swatch" style=${`background: var(--span-${format.colorOf(exe)})`}></span><bdi>${format.visible(exe)}</bdi> <span class="number">${format.count(spans)}</span>${errors ? html` <span class="bad number">${format.count(errors)} ✕</span>` : null}</button>`)}</span></div>
    ${fault ? html`<p class="notice is-warn" role="alert">${format.visible(fault)}</p>` : null}
    ${spans && !spans.length && !isAsking ? html`<div class="state"><h2>No span of this trace is near this range</h2><p>It may lie elsewhere: choose a longer range.</p></div>` : null}
    ${lines.length ? html`<div class=${one ? "waterfall has-drawer" : "waterfall"}><div class="waterfall-lines" ref=${scroller} tabindex="0" role="treegrid" aria-label="Spans of the trace" aria-rowcount=${lines.length}><div style=${`height: ${lines.length * ROW}px; position: relative`}>${shown.map(({ span, depth, parts, isOrphan }, index) => {
      const [left, right] = [Math.max(0, place(span.begin)), Math.min(100, place(span.end))];
      return html`<div key=${span.id} role="row" aria-level=${depth + 1} aria-rowindex=${first + index + 1} aria-selected=${span.id === chosen} aria-expanded=${parts ? !folded.has(span.id) : undefined} class=${`waterfall-line${isFound(span) ? "" : " is-dim"}${span.status === "ERROR" ? " is-error" : ""}`} style=${`top: ${(first + index) * ROW}px`} onClick=${() => setChosen(span.id)} onDblClick=${() => fit(span)}>
        <span role="gridcell" class="waterfall-name" style=${`padding-left: ${6 + Math.min(depth, 24) * 12}px`} title=${format.visible(span.name)}>${parts ? html`<button type="button" class="plain fold" tabindex="-1" aria-label=${folded.has(span.id) ? "Unfold" : "Fold"} onClick=${(/** @type {Event} */ e) => { e.stopPropagation(); fold(span.id); }}>${folded.has(span.id) ? "▸" : "▾"}</button>` : html`<span class="fold"></span>`}${span.status === "ERROR" ? html`<span class="bad" aria-label="error">✕ </span>` : null}<bdi>${format.visible(span.name.slice(0, 200)) || "(no name)"}</bdi>${isOrphan ? html` <span class="quiet" title="The span that it is a part of is not here">⋯</span>` : null}</span>
        <span role="gridcell" class="waterfall-bar">${right >= 0 && left <= 100 ? html`<span class="waterfall-fill" style=${`left: ${left}%; width: max(2px, ${right - left}%); background: var(--span-${format.colorOf(span.exe)})`}></span><span class="waterfall-time" style=${left > 60 ? `right: ${100 - left}%` : right > 80 ? "right: 0" : `left: ${right}%`}>${format.duration(span.duration)}</span>` : null}</span></div>`;
    })}</div></div>
      ${one ? html`<${Drawer} page=${page} trace=${trace} span=${one} begin=${begin} fit=${() => fit(one)} close=${() => setChosen("")} />` : null}</div>` : null}</div>`;
}

/** A span in full. @param {{page: Given, trace: string, span: Span, begin: bigint, fit: () => void, close: () => void}} props */
function Drawer({ page, trace, span, begin, fit, close }) {
  const { format } = page;
  const [more, setMore] = useState(/** @type {Record<string, any> | null} */ (null));
  const [fault, setFault] = useState("");
  const starts = begin + BigInt(span.begin);
  useEffect(() => {
    const controller = new AbortController();
    setMore(null);
    page.query(`SELECT jsonb_format_json(properties) AS properties, jsonb_format_json(events) AS events, jsonb_format_json(links) AS links, jsonb_format_json(resource) AS resource, scope_name, trace_state\nFROM otel_spans\nWHERE trace_id = X'${trace}' AND span_id = X'${span.id}'\nLIMIT 1`, { title: "the span", signal: controller.signal, range: { begin: starts - 1n, end: begin + BigInt(span.end) + 1n } }).then((rows) => {
      setMore(Object.fromEntries(rows.names.map((name) => [name, rows.rows ? rows.get(name, 0) : null])));
    }, (error) => { if (!controller.signal.aborted) setFault(error.message); });
    return () => controller.abort();
  }, [span.id]);
  const facts = { program: span.exe, kind: span.kind.toLowerCase(), status: [span.status, span.message].filter(Boolean).join(": "), duration: `${format.duration(span.duration)} (${format.count(span.duration)} ns)`, began: format.time(starts), "after the begin": format.duration(BigInt(span.begin)), span: span.id, parent: span.parent, library: more?.scope_name, state: more?.trace_state };
  const own = (/** @type {string} */ name) => entries(more?.[name]);
  const section = (/** @type {string} */ title, /** @type {[string, string][]} */ values) => (values.length ? html`<h3>${title}</h3><dl class="values">${values.map(([name, value]) => html`<div><dt>${format.visible(name)}</dt><dd><bdi class="value-text">${format.visible(value)}</bdi></dd></div>`)}</dl>` : null);
  return html`<aside class="drawer" aria-label="The span"><div class="dialog-head"><h2><bdi>${format.visible(span.name)}</bdi></h2><button type="button" aria-label="Close" onClick=${close}>✕</button></div>
    <p class="chips"><button type="button" class="small" onClick=${fit}>Zoom to it (f)</button><button type="button" class="small" onClick=${() => page.open.page(`processes/${span.process}`)}>Its process</button><button type="button" class="small" onClick=${() => page.open.page("logs", { from: format.rfc3339(starts - 1_000_000_000n), to: format.rfc3339(begin + BigInt(span.end) + 1_000_000_000n), q: `otel.span_id:"${span.id}"` })}>Its messages</button></p>
    ${section("What it is", Object.entries(facts).filter(([, value]) => value).map(([name, value]) => [name, String(value)]))}
    ${fault ? html`<p class="fault" role="alert">${format.visible(fault)}</p>` : more ? null : html`<p class="quiet" role="status">…</p>`}
    ${section("Attributes", own("properties"))}${section("Events", own("events"))}${section("Links", own("links"))}${section("Resource", own("resource"))}</aside>`;
}

/** Names and values of a JSON text: numbers keep all digits, since they stay texts. @param {string | null | undefined} text @returns {[string, string][]} */
export function entries(text) {
  if (!text) return [];
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}/g, (part) => (part.startsWith('"') ? part : JSON.stringify(part)));
  const value = JSON.parse(exact);
  const shown = (/** @type {any} */ one) => (typeof one === "string" ? one : JSON.stringify(one));
  return Array.isArray(value) ? value.map((one, index) => [one?.name ?? String(index + 1), shown(one)]) : Object.entries(value).map(([name, one]) => [name, shown(one)]);
}

/** @param {Given} page */
export default (page) => {
  /** @type {HTMLElement | null} */
  let host = null;
  return {
    mount(/** @type {HTMLElement} */ element) {
      host = element;
      render(html`<${Traces} page=${page} />`, element);
    },
    dispose() {
      if (host) render(null, host);
    },
  };
};
