/** The processes that sent something, and what one of them sent. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask, beginAsking } from "../api.js";
import { messages, objects, tables } from "../catalog.js";
import { Grid } from "../parts/grid.js";
import { Spans } from "../parts/spans.js";
import { Registered } from "../registered/page.js";
import { Copy, loadFaults } from "../lastline.js";
import { follow, kept, openSql } from "../open.js";
import { encode, navigate, route } from "../route.js";
import { present, range, setRange, zone } from "../range.js";
import { baseName, formatBytes, formatCount, plural, visible } from "../format.js";
import { now, formatDuration, formatTime, SECOND, toRfc3339 } from "../time.js";

/** A process that sent within that time is taken for alive. */
const ALIVE = 30n * SECOND;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const LIST = `WITH sent AS (
  SELECT process_id, count(*) AS blocks, sum(payload_size) AS bytes, sum(nb_objects) AS events, count(DISTINCT stream_id) AS streams
  FROM blocks GROUP BY process_id)
SELECT p.process_id, p.exe, p.computer, p.username, p.start_time, p.last_update_time, p.last_block_end_time, p.parent_process_id,
  coalesce(sent.blocks, 0) AS blocks, coalesce(sent.bytes, 0) AS bytes, coalesce(sent.events, 0) AS events, coalesce(sent.streams, 0) AS streams
FROM processes p LEFT JOIN sent ON p.process_id = sent.process_id
ORDER BY p.start_time DESC
LIMIT 5000`;

/** @param {{pages: import("../api.js").Page[]}} props pages that crates registered, of a process */
export function Processes({ pages }) {
  const [, id = "", tab = ""] = route.value.page.split("/");
  if (!id) return html`<${List} />`;
  const page = pages.find(({ name }) => name === tab);
  const isThere = UUID.test(id) && (!tab || page);
  return html`${UUID.test(id) && pages.length ? html`<${Tabs} id=${id} pages=${pages} tab=${tab} />` : null}
    ${page && isThere ? html`<${Registered} page=${page} subject=${{ kind: "process", id }} key=${`${id}/${tab}`} />`
      : isThere || !UUID.test(id) ? html`<${Process} id=${id} key=${id} />`
      : html`<div class="state"><h2>There is no such page of a process</h2><p>${visible(tab)}</p></div>`}`;
}

/** The pages of one process. @param {{id: string, pages: import("../api.js").Page[], tab: string}} props */
function Tabs({ id, pages, tab }) {
  const [exe, setExe] = useState("");
  useEffect(() => {
    ask({ title: "the process", sql: "SELECT exe FROM processes WHERE process_id = $1", parameters: [id], isQuiet: true }).then((rows) => setExe(rows.get("exe", 0) ?? ""), () => {});
  }, [id]);
  const link = (/** @type {string} */ name, /** @type {string} */ title, /** @type {string} */ about) => {
    const page = name ? `processes/${id}/${name}` : `processes/${id}`;
    return html`<a href=${encode({ page, parameters: kept() })} title=${about} aria-current=${name === tab ? "page" : undefined} onClick=${follow(page)}>${title}</a>`;
  };
  return html`<nav class="page-tabs" aria-label="Pages of this process"><span class="subject"><bdi title=${visible(exe)}>${visible(baseName(exe || id.slice(0, 8)))}</bdi></span>${link("", "Summary", "What it is, and what it sent")}${pages.map(({ name, title, about }) => link(name, title, about))}</nav>`;
}

function List() {
  const [all, setAll] = useState(/** @type {Record<string, any>[] | null} */ (null));
  const [fault, setFault] = useState("");
  const [text, setText] = useState("");
  const [selected, setSelected] = useState(-1);
  const { begin, end } = range.value;
  useEffect(() => {
    const controller = new AbortController();
    beginAsking();
    ask({ title: "processes", sql: LIST, range: { begin, end }, signal: controller.signal }).then((rows) => { setAll(objects(rows)); setFault(""); }, (error) => { if (!controller.signal.aborted) setFault(error.message); });
    void loadFaults();
    return () => controller.abort();
  }, [begin, end, present.value]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = useMemo(() => (all ?? []).filter((one) => words.every((word) => `${one.exe} ${one.computer} ${one.username} ${one.process_id}`.toLowerCase().includes(word))), [all, text]);
  const open = (/** @type {number} */ index) => {
    setSelected(index);
    navigate({ page: `processes/${shown[index].process_id}`, parameters: kept() });
  };
  const inZone = zone.value;
  const time = now();
  const columns = [
    { name: "exe", title: "program", width: "minmax(18ch, 2fr)", cell: (/** @type {any} */ one) => html`<a href=${encode({ page: `processes/${one.process_id}`, parameters: kept() })} onClick=${follow(`processes/${one.process_id}`)} title=${visible(one.exe ?? "")}>${visible(baseName(one.exe || "?"))}</a>` },
    { name: "computer", title: "machine", width: "minmax(10ch, 1fr)", cell: (/** @type {any} */ one) => visible(one.computer ?? "") },
    { name: "user", title: "user", width: "minmax(8ch, 12ch)", cell: (/** @type {any} */ one) => visible(one.username ?? "") },
    { name: "start", title: "began", width: "20ch", cell: (/** @type {any} */ one) => html`<time title=${toRfc3339(one.start_time)}>${formatTime(one.start_time, inZone).slice(0, 19)}</time>` },
    { name: "last", title: "last heard", width: "14ch", className: (/** @type {any} */ one) => (one.last_update_time && time - one.last_update_time < ALIVE ? "good" : ""), cell: (/** @type {any} */ one) => (one.last_update_time === null ? "–" : time - one.last_update_time < ALIVE ? "● now" : `${ago(time - one.last_update_time)} ago`) },
    ...[["streams", "streams"], ["blocks", "blocks"], ["events", "events"]].map(([name, title]) => ({ name, title, width: "11ch", isRight: true, cell: (/** @type {any} */ one) => formatCount(one[name]) })),
    { name: "bytes", title: "sent", width: "9ch", isRight: true, cell: (/** @type {any} */ one) => formatBytes(Number(one.bytes)) },
  ];
  return html`<div class="logs"><div class="search"><input id="search" type="search" aria-label="Find processes" placeholder="find: program, machine, user, id" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} /><button type="button" onClick=${() => openSql(LIST, true)}>= SQL</button></div>
    <div class="counts"><span>${all ? html`<b>${formatCount(shown.length)}</b> ${shown.length === 1 ? "process" : "processes"}${shown.length < all.length ? html`<span class="quiet"> of ${formatCount(all.length)}</span>` : null}${all.length === 5000 ? html` <span class="warn">⚠ the newest 5,000: narrow the range for others</span>` : null}` : "…"}</span></div>
    <div class="logs-main"><div class="list">${fault ? html`<div class="state" role="alert"><h2>That did not work</h2><p class="message-of-server">${visible(fault)}</p></div>` : all && !all.length ? html`<div class="state"><h2>No process was active in this range</h2><p>Choose a longer one.</p></div>` : html`<${Grid} label="Processes" rows=${shown} columns=${columns} selected=${selected} onMove=${setSelected} onOpen=${open} onSelect=${open} />`}</div></div></div>`;
}

/** How long ago, in the largest unit that says it. @param {bigint} duration */
function ago(duration) {
  const seconds = Number(duration / SECOND);
  const [size, unit] = seconds >= 172_800 ? [86_400, "d"] : seconds >= 7200 ? [3600, "h"] : seconds >= 120 ? [60, "min"] : [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** @param {{id: string}} props */
function Process({ id }) {
  const [about, setAbout] = useState(/** @type {Record<string, any> | null | undefined} */ (undefined));
  const [streams, setStreams] = useState(/** @type {Record<string, any>[]} */ ([]));
  const [blocks, setBlocks] = useState(/** @type {Record<string, any>[]} */ ([]));
  const [errors, setErrors] = useState(/** @type {Record<string, any>[] | null} */ (null));
  const [fault, setFault] = useState("");
  const isId = UUID.test(id);
  useEffect(() => {
    if (!isId) return;
    const controller = new AbortController();
    const question = (/** @type {string} */ title, /** @type {string} */ sql) => ask({ title, sql, parameters: [id], signal: controller.signal }).then(objects);
    const failed = (/** @type {any} */ error) => { if (!controller.signal.aborted) setFault(error.message); };
    beginAsking();
    question("the process", "SELECT * FROM processes WHERE process_id = $1").then((rows) => setAbout(rows[0] ?? null), failed);
    question("what it sent", "SELECT s.stream_id, array_to_string(s.tags, ', ') AS tags, property_get(s.properties, 'thread-name') AS thread, count(b.block_id) AS blocks, sum(b.payload_size) AS bytes, sum(b.nb_objects) AS events, min(b.begin_time) AS begin, max(b.end_time) AS end\nFROM streams s LEFT JOIN blocks b ON s.stream_id = b.stream_id\nWHERE s.process_id = $1\nGROUP BY 1, 2, 3\nORDER BY 2, 3").then(setStreams, failed);
    question("when it sent", "SELECT stream_id, begin_time AS begin, end_time AS end\nFROM blocks\nWHERE process_id = $1\nORDER BY begin_time DESC\nLIMIT 5000").then(setBlocks, failed);
    const said = messages(tables.value ?? []);
    if (said) question("errors by target", `SELECT target, level, count(*) AS rows, max(time) AS last, last_value(left(msg, 300) ORDER BY time) AS msg\nFROM "${said.name}"\nWHERE process_id = $1 AND level <= 3\nGROUP BY 1, 2\nORDER BY 2, 3 DESC\nLIMIT 20`).then(setErrors, failed);
    void loadFaults();
    return () => controller.abort();
  }, [id, present.value]);
  if (!isId || about === null) return html`<div class="state"><h2>There is no such process</h2><p>${visible(id)}</p><p><a href=${encode({ page: "processes", parameters: kept() })} onClick=${follow("processes")}>All processes</a></p></div>`;
  if (!about) return html`<p class="state quiet" role="status">${fault ? visible(fault) : "…"}</p>`;
  const inZone = zone.value;
  /** @type {bigint[]} */
  const [first, last] = [about.start_time, about.last_block_end_time ?? about.start_time];
  const whole = { from: toRfc3339(first), to: toRfc3339(last), tz: kept().tz };
  const all = tables.value ?? [];
  const said = messages(all);
  const lanes = streams.filter(({ blocks }) => Number(blocks) > 0).map((stream) => ({ id: stream.stream_id, name: [stream.thread, stream.tags].filter(Boolean).join(" · ") || stream.stream_id.slice(0, 8), label: stream.tags }));
  const spans = blocks.map(({ stream_id, begin, end }) => ({ lane: lanes.findIndex((lane) => lane.id === stream_id), begin, end })).filter(({ lane }) => lane >= 0).map((span) => ({ ...span, name: lanes[span.lane].name }));
  const facts = { program: about.exe, machine: about.computer, user: [about.username, about.realname].filter(Boolean).join(" – "), system: about.distro, processor: about.cpu_brand, began: formatTime(first, inZone), "last event": about.last_block_end_time === null ? "" : `${formatTime(last, inZone)} (after ${formatDuration(last - first)})`, "last heard": about.last_update_time === null ? "" : `${formatTime(about.last_update_time, inZone).slice(0, 19)} (${ago(now() - about.last_update_time)} ago)`, parent: about.parent_process_id };
  const properties = Object.entries(Object.fromEntries(list(about.properties)));
  return html`<div class="page-body is-wide"><header class="table-head"><p class="crumb"><a href=${encode({ page: "processes", parameters: kept() })} onClick=${follow("processes")}>Processes</a></p><h1><bdi>${visible(baseName(about.exe || "?"))}</bdi></h1><p class="quiet"><code>${id}</code> <${Copy} text=${id} label="Copy id" /></p>
      <p class="chips">${said ? html`<button type="button" class="primary" onClick=${() => navigate({ page: "logs", parameters: { ...whole, q: `process_id:"${id}"` } })}>Its messages</button>` : null}
        ${all.filter(({ instances, from }) => instances.includes("process") && !instances.includes("global") && from !== "catalog").map((table) => html`<button type="button" onClick=${() => navigate({ page: `tables/${table.name}`, parameters: { ...whole, of: id } })}>${table.name}</button>`)}
        <button type="button" onClick=${() => setRange(first, last)}>The range of its life</button></p></header>
    ${fault ? html`<p class="fault" role="alert">${visible(fault)}</p>` : null}
    <div class="columns-2"><section class="panel"><div class="panel-head"><h2>What it is</h2></div><dl class="values">${Object.entries(facts).filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd><bdi class="value-text">${visible(String(value))}</bdi></dd></div>`)}</dl></section>
      <section class="panel"><div class="panel-head"><h2>Properties</h2></div>${properties.length ? html`<dl class="values">${properties.map(([name, value]) => html`<div><dt>${visible(name)}</dt><dd><bdi class="value-text">${visible(String(value))}</bdi></dd></div>`)}</dl>` : html`<p class="quiet">none</p>`}</section></div>
    ${spans.length ? html`<section class="panel"><div class="panel-head"><h2>What it sent when</h2><span class="quiet">a box is a block, a line is a stream${blocks.length === 5000 ? "; the newest 5,000" : ""}</span></div><${Spans} spans=${spans} lanes=${lanes.map(({ name }) => name)} zone=${inZone} label="Blocks by stream along time" onRange=${setRange} /></section>` : null}
    ${errors?.length ? html`<section class="panel"><div class="panel-head"><h2>Errors and warnings</h2><span class="quiet">by target</span></div><table class="facts"><thead><tr><th>level</th><th>target</th><th class="right">messages</th><th>last</th><th>the last one</th></tr></thead><tbody>${errors.map((one) => html`<tr><td class=${`level l${one.level}`}>${["FATAL", "ERROR", "WARN"][one.level - 1]}</td><th scope="row"><bdi>${visible(one.target ?? "")}</bdi></th><td class="right number"><a href=${encode({ page: "logs", parameters: { ...whole, q: `process_id:"${id}" target:"${one.target}"`, level: String(one.level) } })} onClick=${follow("logs", { ...whole, q: `process_id:"${id}" target:"${one.target}"`, level: String(one.level) })}>${formatCount(one.rows)}</a></td><td class="quiet">${formatTime(one.last, inZone).slice(11, 23)}</td><td class="one-line"><bdi>${visible(one.msg ?? "")}</bdi></td></tr>`)}</tbody></table></section>` : null}
    <section class="panel"><div class="panel-head"><h2>Streams</h2><span class="quiet">${plural(streams.length, "stream")}</span></div><table class="facts"><thead><tr><th>kind</th><th>of</th><th class="right">blocks</th><th class="right">events</th><th class="right">bytes</th><th>id</th></tr></thead><tbody>${streams.map((stream) => html`<tr><th scope="row">${visible(stream.tags ?? "")}</th><td><bdi>${visible(stream.thread ?? "")}</bdi></td><td class="right number">${formatCount(stream.blocks)}</td><td class="right number">${formatCount(stream.events ?? 0)}</td><td class="right number">${formatBytes(Number(stream.bytes ?? 0))}</td><td>${all.filter(({ instances, tags }) => instances.includes("stream") && tags.some((tag) => String(stream.tags).split(", ").includes(tag))).map((table) => html`<a href=${encode({ page: `tables/${table.name}`, parameters: { ...whole, of: stream.stream_id } })} onClick=${follow(`tables/${table.name}`, { ...whole, of: stream.stream_id })}>${table.name}</a> `)}<code class="quiet">${stream.stream_id}</code></td></tr>`)}</tbody></table></section></div>`;
}

/** A list of keys and values, as Arrow has it. @param {any} value @returns {[string, any][]} */
function list(value) {
  if (!value) return [];
  return Array.from(value, (/** @type {any} */ one) => [String(one?.key ?? ""), one?.value]);
}
