/** The page of messages. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { Grid } from "../parts/grid.js";
import { bind } from "../keys.js";
import { parameters, change, encode, route } from "../route.js";
import { Menu } from "../picker.js";
import { endsNow, present, range, refresh, setRange, typed, zone } from "../range.js";
import { searchable } from "../catalog.js";
import { LEVELS, highlight, parse, withTerm } from "../parts/search.js";
import { baseName, formatCount, plural, visible } from "../format.js";
import { DAY, formatDuration, formatTime, inZone, toRfc3339 } from "../time.js";
import { theme, toast } from "../state.js";
import { copy } from "../lastline.js";
import { Drawer } from "./drawer.js";
import { Facets } from "./facets.js";
import { Histogram } from "./histogram.js";
import { extraColumns, filter, readColumns, readLevels, rowsSql, writeColumns, writeLevels, PAGE } from "./query.js";
import * as model from "./model.js";

/** @typedef {import("./query.js").Row} Row */

/** A row's name in an address. @param {Row} row */
const nameOf = (row) => `${row.time}.${row.block}`;

/** @param {{table: import("../catalog.js").Table}} props */
export function Logs({ table }) {
  const searched = useMemo(() => searchable(table), [table]);
  const { q: search = "", level = "", at = "", cols = "" } = parameters.value;
  const chosen = useMemo(() => readColumns(cols, table), [cols, table]);
  const extra = String(extraColumns(chosen));
  const levels = useMemo(() => readLevels(level), [level]);
  const [text, setText] = useState(search);
  const [isSql, setSql] = useState(false);
  const [hasFacets, setFacets] = useState(() => matchMedia("(min-width: 1000px)").matches);
  const [selected, setSelected] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const isFollowing = parameters.value.follow === "1" && endsNow.value;
  const [isPaused, setPaused] = useState(false);
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const away = useRef(false);
  const { begin, end } = range.value;
  const rows = model.rows.value;
  const made = useMemo(() => filter(searched, search, levels), [searched, search, levels]);

  // before anybody can type again: an effect that comes after the next frame would take those letters away
  useLayoutEffect(() => setText(search), [search]);
  useEffect(() => {
    setSelected(-1);
    if (scroller.current) scroller.current.scrollTop = 0;
    const binCount = Math.max(40, Math.min(240, Math.floor((scroller.current?.clientWidth ?? 1000) / 7)));
    void model.show({ table, searched, search, levels, begin, end, zone: zone.value, binCount, extra: extra ? extra.split(",") : [] });
  }, [table, search, level, begin, end, extra, present.value]);
  useEffect(() => {
    if (!isFollowing) return;
    setPaused(false);
    away.current = false;
    return model.follow(() => away.current);
  }, [isFollowing, search, level, begin]);
  // a link to a row opens it
  useEffect(() => {
    if (!at || isOpen || model.state.value !== "here") return;
    const found = rows.findIndex((row) => nameOf(row) === at);
    if (found >= 0) {
      setSelected(found);
      setOpen(true);
    }
  }, [at, model.state.value]);

  const row = selected >= 0 ? rows[selected] : undefined;
  // rows that come in above must not move what is looked at
  const held = useRef(/** @type {Row | undefined} */ (undefined));
  useEffect(() => {
    if (selected >= 0 && held.current && rows[selected] !== held.current) {
      const found = rows.indexOf(held.current);
      if (found !== selected) setSelected(found);
    }
  }, [rows]);
  useEffect(() => {
    held.current = row;
  }, [selected]);

  const apply = (/** @type {string} */ next) => {
    setText(next);
    if (next === search) refresh();
    else change({ q: next, at: "" });
  };
  const add = (/** @type {string} */ column, /** @type {string} */ value, /** @type {boolean} */ not) =>
    apply(withTerm(search, { not, column, kind: "exact", text: value }));
  const toggle = (/** @type {number} */ one) => {
    const next = new Set(levels);
    if (levels.size === LEVELS.length) {
      // of all, the first click chooses one and what is worse
      next.clear();
      for (let worse = 1; worse <= one; worse += 1) next.add(worse);
    } else if (!next.delete(one)) next.add(one);
    change({ level: writeLevels(next), at: "" });
  };
  const select = (/** @type {number} */ index) => {
    const bound = Math.max(0, Math.min(rows.length - 1, index));
    if (!rows[bound]) return;
    setSelected(bound);
    if (isOpen) change({ at: nameOf(rows[bound]) }, true);
  };
  const open = (/** @type {number} */ index) => {
    setSelected(index);
    setOpen(true);
    if (rows[index]) change({ at: nameOf(rows[index]) }, true);
  };
  const close = () => {
    setOpen(false);
    change({ at: "" }, true);
    scroller.current?.focus();
  };
  const follow = () => {
    if (isFollowing) change({ follow: "" });
    else {
      if (!endsNow.value) setRange(typed.value.from.startsWith("now") ? typed.value.from : "now-15m", "now");
      change({ follow: "1" });
      refresh();
    }
  };
  const toTop = () => {
    if (scroller.current) scroller.current.scrollTop = 0;
    away.current = false;
    setPaused(false);
    model.showWaiting();
  };
  const link = (/** @type {Row} */ one) => {
    const shared = { ...route.value.parameters, from: toRfc3339(begin), to: toRfc3339(end), follow: "", at: nameOf(one), tz: zone.value };
    return new URL(encode({ page: "logs", parameters: shared }), location.href).href;
  };
  useLayoutEffect(() => bind([
    { keys: "/", about: "search", run: () => document.getElementById("search")?.focus() },
    { keys: "j", about: "the row below", run: () => select(selected + 1) },
    { keys: "ArrowDown", about: "the row below", run: () => select(selected + 1) },
    { keys: "k", about: "the row above", run: () => select(selected - 1) },
    { keys: "ArrowUp", about: "the row above", run: () => select(selected - 1) },
    { keys: "Enter", about: "open the row", run: () => { if (selected >= 0) open(selected); } },
    { keys: "Escape", about: "close the row", run: close },
    { keys: "f", about: "only this row's target", run: () => { if (row) add("target", row.target, false); } },
    { keys: "x", about: "without this row's target", run: () => { if (row) add("target", row.target, true); } },
    { keys: "c", about: "copy the row", run: async () => { if (row && await copy(`${toRfc3339(row.time)} ${LEVELS[row.level - 1]} ${row.target} ${row.msg}`)) toast("The row is copied"); } },
    { keys: "y", about: "copy a link to the row", run: async () => { if (row && await copy(link(row))) toast("The link is copied"); } },
    { keys: "Space", about: "follow, or stop", run: follow },
    { keys: "G", about: isFollowing ? "go on following" : "the oldest row here", run: () => (isFollowing ? toTop() : select(rows.length - 1)) },
    { keys: "g g", about: "the newest row", run: () => { toTop(); select(0); } },
  ]));

  const mark = useMemo(() => highlight(parse(search)), [search]);
  // beside a row in full, messages need the room
  const isNarrow = (isOpen && row !== undefined) || innerWidth < 900;
  const hasDate = end - begin > DAY / 2n;
  const columns = useMemo(() => [
    { name: "time", title: "time", width: hasDate ? "21.5ch" : "15.5ch", about: `in ${zone.value}`, cell: (/** @type {Row} */ one) => html`<${Time} time=${one.time} hasDate=${hasDate} />` },
    { name: "level", title: "level", width: "5ch", className: (/** @type {Row} */ one) => `level l${one.level}`, cell: (/** @type {Row} */ one) => SHORT[one.level - 1] ?? one.level },
    { name: "target", title: "target", width: isNarrow ? "minmax(6ch, 16ch)" : "minmax(8ch, 28ch)", cell: (/** @type {Row} */ one) => visible(one.target) },
    { name: "exe", title: "exe", width: "minmax(6ch, 14ch)", cell: (/** @type {Row} */ one) => visible(baseName(one.exe)) },
    { name: "msg", title: "message", width: "minmax(20ch, 1fr)", cell: (/** @type {Row} */ one) => html`<${Message} text=${one.msg} mark=${mark} />` },
  ], [mark, zone.value, isNarrow, hasDate]);
  const shown = useMemo(() => chosen.map((name) => columns.find((column) => column.name === name) ?? otherColumn(name, table)).filter(({ name }) => name !== "exe" || !isNarrow || cols), [columns, chosen, cols]);
  const total = model.histogram.value?.total;
  const waiting = model.waiting.value.length;
  const place = row ? rows.slice(0, selected).filter((other) => other.time === row.time && other.block === row.block && other.msg === row.msg && other.target === row.target && other.level === row.level).length : 0;
  return html`<div class="logs">
    <form class="search" role="search" onSubmit=${(/** @type {any} */ e) => { e.preventDefault(); apply(e.currentTarget.elements.search.value.trim()); }}>
      <span class="levels" role="group" aria-label="Levels">${LEVELS.map((name, index) => html`<button type="button" class=${`level-button l${index + 1}`} aria-pressed=${levels.has(index + 1)} title=${`${name}: click to choose`} onClick=${() => toggle(index + 1)}>${name[0].toUpperCase()}<span class="rest">${name.slice(1)}</span></button>`)}</span>
      <input id="search" type="search" aria-label="Search" spellcheck=${false} autocomplete="off" placeholder='timeout  -healthcheck  "exact words"  target:net  /regex/' value=${text}
        onInput=${(/** @type {any} */ e) => { setText(e.target.value); if (e.target.value === "" && search) apply(""); }} />
      <button type="submit">Search</button>
      <button type="button" aria-pressed=${isSql} title="The SQL of this search" onClick=${() => setSql(!isSql)}>= SQL</button>
      <button type="button" aria-pressed=${hasFacets} title="The most frequent values" onClick=${() => setFacets(!hasFacets)}>Values</button>
      <${Choice} table=${table} chosen=${chosen} />
      <button type="button" class="follow" aria-pressed=${isFollowing} title="Show new rows as they come (Space)" onClick=${follow}>${isFollowing ? "❚❚ Following" : "▶ Follow"}</button>
    </form>
    ${made.faults.length ? html`<p class="notice is-warn" role="alert">${made.faults.join("; ")}: left out of the search</p>` : null}
    ${isSql ? html`<pre class="sql">${rowsSql(table, made, PAGE, extra ? extra.split(",") : [])}${made.parameters.map((value, index) => html`<span class="quiet">${`\n-- $${index + 1} = ${typeof value === "string" ? `'${value}'` : value}`}</span>`)}</pre>` : null}
    <${Histogram} theme=${theme.value} />
    <div class="counts"><span>${total === undefined ? "…" : html`<b>${formatCount(total)}</b> ${total === 1 ? "row" : "rows"}`}${rows.length && total !== undefined && total > rows.length ? html`<span class="quiet"> · the newest ${formatCount(rows.length)} are here</span>` : null}</span>
      <${Legend} levels=${levels} toggle=${toggle} /></div>
    ${model.cut.value ? html`<p class="notice is-warn" role="alert">⚠ ${model.cut.value}</p>` : null}
    ${model.missed.value ? html`<p class="notice is-warn" role="alert">⚠ More came at once than is shown: <button type="button" class="link" onClick=${refresh}>ask again</button></p>` : null}
    <div class=${`logs-main${hasFacets ? " has-facets" : ""}${isOpen && row ? " has-drawer" : ""}`}>
      ${hasFacets ? html`<${Facets} table=${table} filter=${made} begin=${begin} end=${end} isWaiting=${model.state.value === "asking"} add=${add} />` : null}
      <div class="list" aria-busy=${model.state.value === "asking"}>
        ${isFollowing && (isPaused || waiting) ? html`<div class="paused" role="status">paused · <b>${formatCount(waiting)}</b> new <button type="button" class="link" onClick=${toTop}>follow (G)</button></div>` : null}
        ${model.state.value === "failed" ? html`<${Failed} />`
          : rows.length === 0 && model.state.value === "here" ? html`<${Nothing} clear=${(/** @type {string} */ q, /** @type {string} */ l) => change({ q, level: l })} />`
          : html`<${Grid} label="Messages, the newest first" rows=${rows} total=${total} columns=${shown} selected=${selected} scroller=${scroller} onSelect=${open} onEnd=${model.more}
              rowClass=${(/** @type {Row} */ one) => `r${one.level}`} foot=${foot(rows.length)}
              onScroll=${(/** @type {number} */ top) => { away.current = top > 4; if (away.current !== isPaused) { setPaused(away.current); if (!away.current) model.showWaiting(); } }} />`}
      </div>
      ${isOpen && row ? html`<${Drawer} table=${table} row=${row} place=${place} add=${add} close=${close} link=${link(row)} move=${(/** @type {number} */ by) => select(selected + by)} />` : null}
    </div>
  </div>`;
}

/** A column that the list does not begin with. @param {string} name @param {import("../catalog.js").Table} table */
function otherColumn(name, table) {
  const own = /** @type {Record<string, keyof Row>} */ ({ process_id: "process", stream_id: "stream", block_id: "block", insert_time: "inserted" });
  const value = (/** @type {Row} */ one) => (own[name] ? one[own[name]] : one.more[name]);
  const isTime = table.columns.get(name)?.type.startsWith("Timestamp");
  const isRight = table.columns.get(name)?.unit !== null;
  return {
    name, title: name, about: table.columns.get(name)?.about, isRight, width: name.endsWith("_id") ? "minmax(8ch, 36ch)" : isTime ? "30ch" : "minmax(8ch, 24ch)",
    cell: (/** @type {Row} */ one) => {
      const found = value(one);
      return found === null || found === undefined ? "" : isTime ? formatTime(found, zone.value) : visible(String(found).slice(0, 400));
    },
  };
}

/** Which columns the list has, in which order. @param {{table: import("../catalog.js").Table, chosen: string[]}} props */
function Choice({ table, chosen }) {
  const [isOpen, setOpen] = useState(false);
  const set = (/** @type {string[]} */ next) => change({ cols: next.length ? writeColumns(next, table) : "" });
  const move = (/** @type {string} */ name, /** @type {number} */ by) => {
    const at = chosen.indexOf(name);
    const next = chosen.filter((one) => one !== name);
    next.splice(Math.max(0, at + by), 0, name);
    set(next);
    // the buttons move along, and the next press is meant for the same column
    setTimeout(() => document.getElementById(`column-${name}-${by}`)?.focus());
  };
  const others = [...table.columns.keys()].filter((name) => !chosen.includes(name));
  return html`<${Menu} id="columns-button" className="choice" title="Which columns the list has" label="Columns" isOpen=${isOpen} setOpen=${setOpen}>
    <ul class="choice-list">${chosen.map((name, index) => html`<li key=${name}><label class="check"><input type="checkbox" checked onChange=${() => set(chosen.filter((one) => one !== name))} /> ${name}</label>
        <button type="button" class="small" id=${`column-${name}--1`} aria-label=${`${name} further left`} disabled=${index === 0} onClick=${() => move(name, -1)}>▴</button><button type="button" class="small" id=${`column-${name}-1`} aria-label=${`${name} further right`} disabled=${index === chosen.length - 1} onClick=${() => move(name, 1)}>▾</button></li>`)}
      ${others.map((name) => html`<li key=${name}><label class="check" title=${table.columns.get(name)?.about}><input type="checkbox" checked=${false} onChange=${() => set([...chosen, name])} /> ${name}</label></li>`)}</ul>
    <button type="button" class="small" onClick=${() => set([])}>as at first</button><//>`;
}

const SHORT = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/** @param {number} count */
function foot(count) {
  if (model.isWhole.value) return "these are all rows of the range";
  if (count >= model.MOST_ROWS) return `a page holds ${formatCount(model.MOST_ROWS)} rows: narrow the range or the search for older ones`;
  return count ? "older rows are being read …" : "";
}

/** @param {{time: bigint, hasDate: boolean}} props */
function Time({ time, hasDate }) {
  const { date, clock, ms, us } = inZone(time, zone.value);
  return html`<time title=${`${toRfc3339(time)}\n${formatTime(time, zone.value)} ${zone.value}`}>${hasDate ? html`<span class="quiet">${date.slice(5)} </span>` : null}${clock}<span class="quiet">.${ms}${us}</span></time>`;
}

/** What is marked is a part of the text: elements around it, never markup in it. @param {{text: string, mark: RegExp | null}} props */
function Message({ text, mark }) {
  const shown = visible(text.slice(0, 1000));
  if (!mark) return shown;
  const parts = [];
  let at = 0;
  for (const found of shown.matchAll(mark)) {
    if (!found[0] || parts.length > 40) continue;
    parts.push(shown.slice(at, found.index), html`<mark>${found[0]}</mark>`);
    at = found.index + found[0].length;
  }
  return html`${parts}${shown.slice(at)}`;
}

/** @param {{levels: Set<number>, toggle: (level: number) => void}} props */
function Legend({ levels, toggle }) {
  const counts = model.histogram.value?.counts;
  if (!counts) return null;
  return html`<span class="legend">${LEVELS.map((name, index) => {
    const count = (counts.get(index + 1) ?? []).reduce((sum, rows) => sum + rows, 0);
    if (!count) return null;
    return html`<button type="button" class="plain" aria-pressed=${levels.size < 6 && levels.has(index + 1)} title=${`Only ${name}`} onClick=${() => (levels.size === 1 ? toggle(index + 1) : change({ level: String(index + 1), at: "" }))}><span class=${`swatch f${index + 1}`}></span>${name} <span class="number">${formatCount(count)}</span></button>`;
  })}</span>`;
}

function Failed() {
  const fault = model.fault.value;
  const { begin, end } = range.value;
  const heavy = fault?.kind === "resources" || fault?.kind === "too_long";
  const titles = /** @type {Record<string, string>} */ ({ sql: "The server does not understand this search", gone: "The server does not answer", rights: "This key may not read", denied: "A rule of this lake refuses this query", resources: "That takes more memory than a query may have", too_long: "That takes longer than a query may" });
  return html`<div class="state" role="alert"><h2>${titles[fault?.kind ?? ""] ?? "That did not work"}</h2><p class="message-of-server">${visible(fault?.message ?? "")}</p>
    <p>${heavy ? html`<button type="button" class="primary" onClick=${() => setRange(end - (end - begin) / 2n, end)}>The newer half of the range</button> ` : null}<button type="button" onClick=${refresh}>Ask again</button></p></div>`;
}

/** @param {{clear: (search: string, levels: string) => void}} props */
function Nothing({ clear }) {
  const { begin, end } = range.value;
  const newest = model.newest.value;
  const helpful = model.without.value.filter(({ rows }) => rows > 0);
  return html`<div class="state"><h2>${helpful.length ? "The search leaves nothing" : "Nothing in this range"}</h2>
    ${helpful.length ? html`<p>In this range there are</p><ul class="plain-list">${helpful.map(({ label, rows, search, levels }) => html`<li><button type="button" onClick=${() => clear(search, levels)}>${plural(rows, "row")}</button> without <code><bdi>${visible(label)}</bdi></code></li>`)}</ul>` : html`
    <p>Nothing between ${formatTime(begin, zone.value)} and ${formatTime(end, zone.value)}.</p>
    ${newest === undefined ? html`<p class="quiet">looking for the newest row …</p>` : newest === null ? html`<p>There is no message in the lake yet.</p>` : html`
      <p>The newest row is ${newest < begin ? `${formatDuration(begin - newest)} earlier` : newest > end ? `${formatDuration(newest - end)} later` : "in this range, of other levels"}, at ${formatTime(newest, zone.value)}.</p>
      <p><button type="button" class="primary" onClick=${() => setRange(newest - (end - begin), newest)}>Go there</button></p>`}`}</div>`;
}
