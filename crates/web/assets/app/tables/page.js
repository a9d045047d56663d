/** A page for every table, made of what its crate says of it. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask, beginAsking, planOf } from "../api.js";
import { objects, tables } from "../catalog.js";
import { Lines } from "../parts/chart.js";
import { Spans } from "../parts/spans.js";
import { loadFaults, summary } from "../lastline.js";
import { follow, openSql } from "../open.js";
import { change, encode, parameters, route } from "../route.js";
import { present, range, setRange, zone } from "../range.js";
import { baseName, formatBytes, formatCount, plural, visible } from "../format.js";
import { formatTime, toRfc3339 } from "../time.js";
import { cell } from "../parts/values.js";
import { ResultTable } from "../sql/result.js";
import { linesOf, nameOf } from "../sql/shape.js";
import { hasValues, newestSql, panelsOf, source, valuesSql } from "./panels.js";

/** @typedef {import("../catalog.js").Table} Table */
/** @typedef {import("../arrow.js").Rows} Rows */
/** Bytes that are read for a picture of a table without being asked again. */
const MUCH = 200_000_000;

export function Tables() {
  const [text, setText] = useState("");
  const all = tables.value ?? [];
  const name = route.value.page.split("/")[1] ?? "";
  const table = all.find((one) => one.name === name);
  const wanted = text.trim().toLowerCase();
  const shown = all.filter((one) => !wanted || `${one.name} ${one.about} ${[...one.columns.keys()].join(" ")}`.toLowerCase().includes(wanted));
  const crates = [...new Set(shown.map(({ crate }) => crate))];
  return html`<div class="tables-page"><nav class="side" aria-label="Tables"><input type="search" aria-label="Find a table" placeholder="find a table or column" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} />
      ${crates.map((crate) => html`<section key=${crate}><h3>${crate.replace(/^belvedere-/, "")}</h3>${shown.filter((one) => one.crate === crate).map((one) => html`<${Link} table=${one} isHere=${one === table} />`)}</section>`)}
      ${shown.length ? null : html`<p class="quiet">none has this</p>`}</nav>
    <div class="page-body">${table ? html`<${One} table=${table} key=${table.name} />` : name ? html`<div class="state"><h2>There is no table ${visible(name)}</h2><p>The crate that has it is not linked into this server.</p></div>` : html`<${Overview} all=${shown} />`}</div></div>`;
}

/** @param {{table: Table, isHere?: boolean}} props */
const Link = ({ table, isHere = false }) => html`<a class="side-link" aria-current=${isHere ? "page" : undefined} href=${encode({ page: `tables/${table.name}`, parameters: {} })} onClick=${follow(`tables/${table.name}`)}>${table.name}</a>`;

/** @param {{all: Table[]}} props */
function Overview({ all }) {
  return html`<h1>Tables</h1><p class="quiet">Everything that this server can be asked for: what the crates that are linked into it register.</p>
    <table class="facts"><thead><tr><th>table</th><th>a row is</th><th>tables for</th><th>made from</th><th class="right">columns</th></tr></thead><tbody>${all.map((table) => html`<tr><th scope="row"><${Link} table=${table} /></th><td>${table.about}</td><td class="quiet">${instancesText(table)}</td><td class="quiet">${madeFrom(table)}</td><td class="right number">${table.columns.size}</td></tr>`)}</tbody></table>`;
}

/** @param {Table} table */
const instancesText = ({ instances }) => instances.map((one) => (one === "global" ? "everything" : `each ${one}`)).join(", ");
/** @param {Table} table */
const madeFrom = ({ from, tags, reads }) => (from === "blocks" ? `blocks${tags.length ? ` (${tags.join(", ")})` : ""}` : from === "catalog" ? "the catalog" : reads.join(", "));

/** @param {{table: Table}} props */
function One({ table }) {
  const { of: chosen = "" } = parameters.value;
  const isGlobal = table.instances.includes("global");
  const kind = table.instances.includes("stream") ? "stream" : "process";
  const { begin, end } = range.value;
  const [fault, setFault] = useState("");
  const [choices, setChoices] = useState(/** @type {{id: string, label: string}[] | null} */ (null));
  useEffect(() => {
    if (isGlobal) return;
    // what is made from others has the rows of their blocks
    const tags = [...new Set([table, ...(tables.value ?? []).filter(({ name }) => table.reads.includes(name))].flatMap(({ tags }) => tags))];
    const isOfThese = tags.map((_, index) => `array_has("streams.tags", $${index + 1})`).join(" OR ");
    const sql = `SELECT ${kind}_id AS id, max("processes.exe") AS exe, max("processes.computer") AS computer, min(begin_time) AS start,${kind === "stream" ? " max(property_get(\"streams.properties\", 'thread-name')) AS thread," : ""} sum(nb_objects) AS events\nFROM blocks${isOfThese ? `\nWHERE ${isOfThese}` : ""}\nGROUP BY 1\nORDER BY events DESC\nLIMIT 100`;
    ask({ title: `${kind === "stream" ? "streams" : "processes"} that have rows`, sql, parameters: tags, range: { begin, end }, isQuiet: true }).then((rows) => {
      setChoices(objects(rows).map(({ id, exe, computer, start, thread, events }) => ({ id, label: [baseName(exe ?? ""), thread, computer, start ? formatTime(start, zone.value).slice(0, 19) : "", plural(Number(events ?? 0), "event")].filter(Boolean).join(" · ") })));
      setFault("");
    }, (error) => { setChoices([]); setFault(error.message); });
  }, [table, begin, end]);
  const instance = isGlobal ? "global" : chosen || choices?.[0]?.id || "";
  const from = instance ? source(table, instance) : null;
  useEffect(() => beginAsking(), [table, instance, begin, end]);
  useEffect(() => void loadFaults(), [present.value]);
  const panels = useMemo(() => (from ? panelsOf(table, from, { begin, end }) : []), [table, from, begin, end]);
  const readBy = (tables.value ?? []).filter(({ reads }) => reads.includes(table.name));
  const isOfCatalog = table.from === "catalog";
  return html`<header class="table-head"><h1>${table.name}</h1><p>${table.about}.</p>
      <p class="chips"><span class="chip">tables for ${instancesText(table)}</span><span class="chip">from ${madeFrom(table)}</span><span class="chip">${table.crate} ${table.version}</span></p>
      ${fault ? html`<p class="fault" role="alert">${visible(fault)}</p>` : null}${isGlobal ? null : choices?.length === 0 && !chosen ? html`<p class="quiet">No ${kind} has rows in this range.</p>` : html`<p><label>${kind} <select value=${instance} onChange=${(/** @type {any} */ e) => change({ of: e.target.value })}>${(choices ?? []).concat(chosen && choices && !choices.some(({ id }) => id === chosen) ? [{ id: chosen, label: chosen }] : []).map(({ id, label }) => html`<option value=${id} selected=${id === instance}>${visible(label)}</option>`)}</select></label></p>`}</header>
    ${from ? html`${panels.map((panel) => html`<${Panel} key=${`${table.name} ${instance} ${panel.kind}`} panel=${panel} />`)}
      <${Newest} table=${table} from=${from} key=${`newest ${instance}`} />` : null}
    <section class="panel"><div class="panel-head"><h2>Columns</h2><span class="quiet">${plural(table.columns.size, "column")}</span></div>
      <table class="facts columns"><thead><tr><th>column</th><th>type</th><th>unit</th><th>role</th><th>what it is</th><th></th></tr></thead><tbody>${[...table.columns.values()].map((column) => html`<${ColumnRow} key=${column.name} column=${column} from=${from} />`)}</tbody></table></section>
    <section class="panel"><div class="panel-head"><h2>Example</h2><span class="grow"></span><button type="button" onClick=${() => openSql(table.example.replace(/<(process|stream) id>/g, instance && instance !== "global" ? instance : "$&"), isGlobal || Boolean(instance && instance !== "global"))}>Run in SQL</button></div><pre class="code">${table.example}</pre></section>
    ${isOfCatalog ? null : html`<${Kept} table=${table} />`}
    <section class="panel"><div class="panel-head"><h2>What it is made from</h2></div><div class="graph">${table.reads.length ? table.reads.map((name) => html`<${Named} name=${name} />`) : html`<span class="quiet">nothing else</span>`}<span class="arrow" aria-hidden="true">→</span><b class="node is-here">${table.name}</b>${readBy.length ? html`<span class="arrow" aria-hidden="true">→</span>${readBy.map(({ name }) => html`<${Named} name=${name} />`)}` : null}</div></section>`;
}

/** @param {{name: string}} props */
const Named = ({ name }) => html`<a class="node" href=${encode({ page: `tables/${name}`, parameters: {} })} onClick=${follow(`tables/${name}`)}>${name}</a>`;

/** Asks, when what that reads is not much, or when somebody says so. @param {string} title @param {string} sql */
function useRows(title, sql) {
  const [state, setState] = useState(/** @type {{rows: Rows | null, fault: string, cost: string}} */ ({ rows: null, fault: "", cost: "" }));
  const [isWanted, setWanted] = useState(false);
  const { begin, end } = range.value;
  useEffect(() => {
    const controller = new AbortController();
    const question = { title, sql, range: { begin, end }, signal: controller.signal };
    void (async () => {
      try {
        if (!isWanted) {
          const { fileBytes, blockBytes } = summary((await planOf(question)).reads ?? []);
          if (fileBytes + blockBytes > MUCH) {
            setState({ rows: null, fault: "", cost: formatBytes(fileBytes + blockBytes) });
            return;
          }
        }
        const rows = await ask(question);
        setState({ rows, fault: rows.why ?? "", cost: "" });
      } catch (error) {
        if (!controller.signal.aborted) setState({ rows: null, fault: error instanceof Error ? error.message : String(error), cost: "" });
      }
    })();
    return () => controller.abort();
  }, [sql, begin, end, isWanted, present.value]);
  return { ...state, want: () => setWanted(true) };
}

/** @param {{panel: import("./panels.js").Panel}} props */
function Panel({ panel }) {
  const { rows, fault, cost, want } = useRows(panel.title, panel.sql);
  return html`<section class="panel"><div class="panel-head"><h2>${panel.title}</h2>${rows ? html`<span class="quiet">${summaryOf(panel, rows)}</span>` : null}<span class="grow"></span><button type="button" class="small" onClick=${() => openSql(panel.sql, true)}>= SQL</button></div>
    ${fault ? html`<p class="fault" role="alert">${visible(fault)}</p>` : null}
    ${cost ? html`<p>This reads ${cost}. <button type="button" onClick=${want}>Read it</button></p>` : null}
    ${rows ? rows.rows ? html`<${Drawn} panel=${panel} rows=${rows} />` : html`<p class="quiet">nothing in this range</p>` : fault || cost ? null : html`<p class="quiet" role="status">asking …</p>`}</section>`;
}

/** @param {import("./panels.js").Panel} panel @param {Rows} rows */
function summaryOf({ kind }, rows) {
  if (kind === "rows") {
    const at = rows.names.indexOf("rows");
    let sum = 0;
    for (let row = 0; row < rows.rows; row += 1) sum += Number(rows.at(at, row));
    return plural(sum, "row");
  }
  return kind === "spans" ? `${plural(rows.rows, "span")}${rows.rows === 5000 ? ": the others are shorter" : ""}` : "";
}

/** A table of few rows is no higher than they are. @param {Rows} rows */
const heightOf = (rows) => `height: ${Math.min(280, rows.rows * 22 + 84)}px`;

/** @param {{panel: import("./panels.js").Panel, rows: Rows}} props */
function Drawn({ panel, rows }) {
  const at = (/** @type {string} */ name) => rows.names.indexOf(name);
  if (panel.kind === "rows") {
    const by = rows.fields.findIndex(({ role }) => role?.startsWith("severity"));
    const { base, series } = linesOf(rows, { kind: "lines", x: 0, y: at("rows"), by: by >= 0 ? by : null });
    // the gravest stand at the bottom, as they do in the page of messages
    const names = by >= 0 ? /\((.*)\)/.exec(rows.fields[by].role ?? "")?.[1].split(",") ?? [] : [];
    const colored = series.map((one) => ({ ...one, color: names.includes(one.name) ? `--fill-${names.indexOf(one.name) + 1}` : undefined })).sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
    return html`<${Lines} series=${colored} base=${base} unit="count" zone=${zone.value} height=${150} bin=${Number(panel.bin)} range=${range.value} label=${panel.title} onRange=${setRange} />`;
  }
  if (panel.kind === "values") return html`<${Values} rows=${rows} />`;
  if (panel.kind === "spans") {
    const isFlat = panel.title.endsWith("by name");
    /** @type {Map<string, number>} */
    const lanes = new Map();
    const spans = Array.from({ length: rows.rows }, (_, row) => {
      const name = String(rows.get("name", row) ?? "");
      if (isFlat && !lanes.has(name)) lanes.set(name, lanes.size);
      return { name, lane: isFlat ? lanes.get(name) ?? 0 : Number(rows.get("depth", row)), begin: rows.get("begin", row), end: rows.get("end", row) };
    });
    return html`<${Spans} spans=${spans} lanes=${isFlat ? [...lanes.keys()] : null} zone=${zone.value} label=${panel.title} onRange=${setRange} />`;
  }
  if (panel.kind === "gallery") return html`<${Gallery} rows=${rows} />`;
  return html`<div class="embedded" style=${heightOf(rows)}><${ResultTable} rows=${rows} label=${panel.title} /></div>`;
}

/** A chart for each name: their values have nothing to do with each other. @param {{rows: Rows}} props */
function Values({ rows }) {
  const [isAll, setAll] = useState(false);
  const groups = useMemo(() => {
    /** @type {Map<string, {unit: string, times: bigint[], values: number[]}>} */
    const found = new Map();
    for (let row = 0; row < rows.rows; row += 1) {
      const name = String(rows.get("name", row) ?? "");
      const group = found.get(name) ?? { unit: String(rows.get("unit", row) ?? ""), times: [], values: [] };
      group.times.push(rows.get("time", row));
      group.values.push(Number(rows.get("value", row) ?? NaN));
      found.set(name, group);
    }
    return [...found].sort(([, a], [, b]) => b.times.length - a.times.length);
  }, [rows]);
  const shown = isAll ? groups : groups.slice(0, 6);
  const known = /** @type {Record<string, string>} */ ({ ms: "ms", milliseconds: "ms", bytes: "bytes", By: "bytes", ns: "ns", percent: "percent", "%": "percent" });
  return html`<div class="small-charts">${shown.map(([name, { unit, times, values }]) => html`<div key=${name}><h3><bdi>${visible(name)}</bdi> <span class="quiet">${visible(unit)}</span></h3><${Lines} base=${times[0]} unit=${known[unit] ?? null} zone=${zone.value} height=${120} label=${name} onRange=${setRange}
      series=${[{ name, x: Float64Array.from(times, (time) => Number(time - times[0])), y: Float64Array.from(values) }]} /></div>`)}</div>
    ${groups.length > shown.length ? html`<p><button type="button" class="small" onClick=${() => setAll(true)}>all ${formatCount(groups.length)}</button></p>` : null}`;
}

/** @param {{rows: Rows}} props */
function Gallery({ rows }) {
  const pictures = useMemo(() => Array.from({ length: rows.rows }, (_, row) => {
    const media = String(rows.get("media_type", row) ?? "").toLowerCase().replace(/^image\//, "").replace("jpg", "jpeg");
    const content = rows.get("content", row);
    // of the kinds that can hold scripts none is shown
    const isPlain = ["png", "jpeg", "gif", "webp", "bmp"].includes(media) && content instanceof Uint8Array;
    return { name: String(rows.get("name", row) ?? ""), time: rows.get("time", row), bytes: content?.length ?? 0, url: isPlain ? URL.createObjectURL(new Blob([/** @type {any} */ (content)], { type: `image/${media}` })) : "" };
  }), [rows]);
  const [broken, setBroken] = useState(/** @type {Set<string>} */ (new Set()));
  useEffect(() => () => pictures.forEach(({ url }) => url && URL.revokeObjectURL(url)), [pictures]);
  return html`<div class="gallery">${pictures.map(({ name, time, bytes, url }) => html`<figure>${url && !broken.has(url) ? html`<img src=${url} alt=${visible(name)} loading="lazy" onError=${() => setBroken((before) => new Set([...before, url]))} />` : html`<span class="no-picture">${url ? "its bytes are no picture" : "a kind that this page does not show"}</span>`}<figcaption><bdi>${visible(name)}</bdi><span class="quiet" title=${toRfc3339(time)}>${formatTime(time, zone.value).slice(11, 23)} · ${formatBytes(bytes)}</span></figcaption></figure>`)}</div>`;
}

/** @param {{table: Table, from: string}} props */
function Newest({ table, from }) {
  const sql = newestSql(table, from);
  const { rows, fault, cost, want } = useRows("the newest rows", sql);
  return html`<section class="panel"><div class="panel-head"><h2>The newest rows</h2><span class="grow"></span><button type="button" class="small" onClick=${() => openSql(sql, true)}>= SQL</button></div>
    ${fault ? html`<p class="fault" role="alert">${visible(fault)}</p>` : null}${cost ? html`<p>This reads ${cost}. <button type="button" onClick=${want}>Read it</button></p>` : null}
    ${rows ? rows.rows ? html`<div class="embedded" style=${heightOf(rows)}><${ResultTable} rows=${rows} label="The newest rows" key=${table.name} /></div>` : html`<p class="quiet">nothing in this range</p>` : fault || cost ? null : html`<p class="quiet" role="status">asking …</p>`}</section>`;
}

/** @param {{column: import("../catalog.js").Column, from: string | null}} props */
function ColumnRow({ column, from }) {
  const [found, setFound] = useState(/** @type {{rows: Rows | null, text: string} | null} */ (null));
  const { begin, end } = range.value;
  useEffect(() => setFound(null), [from, begin, end]);
  const look = async () => {
    if (!from) return;
    if (found) {
      setFound(null);
      return;
    }
    const question = { title: `values of ${column.name}`, sql: valuesSql(from, column), range: { begin, end } };
    try {
      // what it costs is said before it is paid
      const { fileBytes, blockBytes } = summary((await planOf(question)).reads ?? []);
      setFound({ rows: null, text: `reading ${formatBytes(fileBytes + blockBytes)} …` });
      setFound({ rows: await ask(question), text: "" });
    } catch (error) {
      setFound({ rows: null, text: error instanceof Error ? error.message : String(error) });
    }
  };
  const total = found?.rows ? Array.from({ length: found.rows.rows }, (_, row) => Number(found.rows?.get("rows", row))).reduce((a, b) => a + b, 0) : 0;
  const note = [column.isNullable ? "can be NULL" : "", column.time && !column.about.includes("time of the event") ? column.time === "instant" ? "time of the event" : `${column.time} of the event` : ""].filter(Boolean).join("; ");
  const role = column.role?.replace(/\(.*/, "").replaceAll("_", " ") ?? "";
  return html`<tr><th scope="row"><code>${column.name}</code></th><td class="quiet">${column.type.replace('(Nanosecond, "+00:00")', "").replace(/Dictionary\(Int32, (\w+)\)/, "$1")}</td><td class="quiet">${column.unit ?? ""}</td><td class="quiet" title=${column.role ?? ""}>${role}</td><td>${column.about}${note ? html` <span class="quiet">(${note})</span>` : null}</td>
      <td class="right">${from && hasValues(column) ? html`<button type="button" class="small" aria-expanded=${found !== null} aria-label=${`Values of ${column.name}`} onClick=${look}>values</button>` : null}</td></tr>
    ${found ? html`<tr class="values-row"><td colspan="6">${found.rows ? found.rows.rows ? html`<ol class="bars">${Array.from({ length: found.rows.rows }, (_, row) => {
      const [value, count] = [found.rows?.at(0, row), Number(found.rows?.get("rows", row))];
      const text = column.role?.startsWith("severity") ? `${value} ${nameOf(/** @type {any} */ (column), value)}` : cell(/** @type {any} */ (found.rows?.fields[0]), value, zone.value);
      return html`<li><bdi class="bar-name" title=${text}>${text || "(empty)"}</bdi><span class="bar-space"><span class="bar-fill" style=${`width: ${(100 * count) / total}%`}></span></span><span class="number">${formatCount(count)}</span></li>`;
    })}</ol>${found.rows.rows === 20 ? html`<p class="quiet">the 20 most frequent</p>` : null}` : html`<span class="quiet">nothing in this range</span>` : html`<span class="quiet" role="status">${found.text}</span>`}</td></tr>` : null}`;
}

/** What is kept in files. @param {{table: Table}} props */
function Kept({ table }) {
  const [kept, setKept] = useState(/** @type {Record<string, any> | null} */ (null));
  useEffect(() => {
    const sql = "SELECT count(*) AS files, count(DISTINCT view_instance_id) AS instances, sum(num_rows) AS rows, sum(file_size) AS bytes, min(min_event_time) AS begin, max(max_event_time) AS end\nFROM list_partitions()\nWHERE view_set_name = $1";
    ask({ title: "what is kept in files", sql, parameters: [table.name], isQuiet: true }).then((rows) => setKept(objects(rows)[0] ?? null), (error) => setKept({ fault: error.message }));
  }, [table, present.value]);
  const files = Number(kept?.files ?? 0);
  return html`<section class="panel"><div class="panel-head"><h2>Kept in files</h2></div>${kept === null ? html`<p class="quiet">…</p>` : kept.fault ? html`<p class="fault">${visible(kept.fault)}</p>` : files === 0 ? html`<p class="quiet">Nothing yet: rows are made anew for each query.</p>`
    : html`<p>${plural(files, "partition")} with ${plural(Number(kept.rows ?? 0), "row")}, ${formatBytes(Number(kept.bytes ?? 0))}${kept.begin !== null ? html`, from ${formatTime(kept.begin, zone.value).slice(0, 19)} to ${formatTime(kept.end, zone.value).slice(0, 19)}` : null}. <span class="quiet">Of other blocks, rows are made as somebody asks.</span></p>`}</section>`;
}
