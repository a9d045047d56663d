/** An answer of any columns: as a table, a chart, and column by column. */
import { useMemo, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { Grid } from "../parts/grid.js";
import { Bars, Lines } from "../parts/chart.js";
import { Copy } from "../lastline.js";
import { formatCount, plural, visibleLines } from "../format.js";
import { setRange, zone } from "../range.js";
import { cell, whole } from "../parts/values.js";
import { barsOf, describe, linesOf, nameOf, shapeOf } from "./shape.js";

/** @typedef {import("../arrow.js").Rows} Rows */

/** Characters that are shown before somebody asks for more. */
const FOLDED = 4096;
/** Rows that columns are counted over: a page does that while nobody can do anything else. */
const MOST_LOOKED_AT = 200_000;

/** @param {{rows: Rows, label: string}} props */
export function ResultTable({ rows, label }) {
  const [sort, setSort] = useState(/** @type {{column: number, isDown: boolean} | null} */ (null));
  const [selected, setSelected] = useState(-1);
  const [filter, setFilter] = useState("");
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const inZone = zone.value;
  const order = useMemo(() => {
    if (!sort && !filter) return null;
    let all = Array.from({ length: rows.rows }, (_, index) => index);
    if (filter) {
      const wanted = filter.toLowerCase();
      all = all.filter((row) => rows.fields.some((field, column) => cell(field, rows.at(column, row), inZone).toLowerCase().includes(wanted)));
    }
    if (sort) {
      const values = Array.from({ length: rows.rows }, (_, row) => rows.at(sort.column, row));
      const field = rows.fields[sort.column];
      const key = (/** @type {any} */ value) => (value !== null && typeof value === "object" ? whole(field, value) : value);
      all.sort((a, b) => {
        const [x, y] = [key(values[a]), key(values[b])];
        // NULL is last, whatever the direction
        if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
        return (x < y ? -1 : x > y ? 1 : 0) * (sort.isDown ? -1 : 1);
      });
    }
    return all;
  }, [rows, sort, filter, inZone]);
  const count = order ? order.length : rows.rows;
  const columns = useMemo(() => rows.fields.map((field, column) => {
    const isRight = field.kind === "number" || field.kind === "integer";
    const longest = Math.max(field.name.length + 2, ...Array.from({ length: Math.min(60, rows.rows) }, (_, row) => cell(field, rows.at(column, row), inZone).length));
    const mark = sort?.column === column ? (sort.isDown ? " ↓" : " ↑") : "";
    const isSeverity = field.role?.startsWith("severity");
    return {
      name: String(column), title: `${field.name}${mark}`, about: `${field.type}${field.unit ? ` · ${field.unit}` : ""}${field.role ? ` · ${field.role}` : ""}: click to sort`,
      // the last one takes what is left, unless it is a number that would then be far from its name
      width: column === rows.fields.length - 1 && !isRight ? `minmax(${Math.min(longest, 40)}ch, 1fr)` : `${Math.min(Math.max(longest, 4), 60)}ch`,
      isRight: isRight && !isSeverity,
      className: (/** @type {number} */ row) => {
        const value = rows.at(column, row);
        return value === null ? "null" : isSeverity ? `l${Number(value)}` : "";
      },
      cell: (/** @type {number} */ row) => {
        const value = rows.at(column, row);
        return isSeverity && value !== null ? `${value} ${nameOf(field, value)}` : cell(field, value, inZone);
      },
    };
  }), [rows, sort, inZone]);
  const row = selected >= 0 && selected < count ? (order ? order[selected] : selected) : null;
  if (!rows.fields.length) return html`<p class="state quiet">The answer has no columns.</p>`;
  return html`<div class=${`result-table${row !== null ? " has-drawer" : ""}`}>
    <div class="list"><div class="result-filter"><input type="search" aria-label="Filter the rows that are here" placeholder="filter the rows that are here" value=${filter} onInput=${(/** @type {any} */ e) => { setFilter(e.target.value); setSelected(-1); }} />
      ${filter ? html`<span class="quiet">${formatCount(count)} of ${plural(rows.rows, "row")} that are here</span>` : null}</div>
      <${Grid} label=${label} rows=${{ length: count }} rowAt=${(/** @type {number} */ index) => (order ? order[index] : index)} columns=${columns} selected=${selected} scroller=${scroller}
        onMove=${setSelected} onSelect=${(/** @type {number} */ index) => setSelected(index === selected ? -1 : index)}
        onHead=${(/** @type {string} */ name) => setSort((before) => (before?.column !== Number(name) ? { column: Number(name), isDown: false } : before.isDown ? null : { column: Number(name), isDown: true }))}
        foot=${count ? "" : filter ? "no row has this" : "no rows"} /></div>
    ${row !== null ? html`<aside class="drawer" aria-label="The row in full"><div class="drawer-head"><b>Row ${formatCount(row + 1)}</b><span class="grow"></span>
        <button type="button" aria-label="The row above" onClick=${() => setSelected(Math.max(0, selected - 1))}>▴</button><button type="button" aria-label="The row below" onClick=${() => setSelected(Math.min(count - 1, selected + 1))}>▾</button>
        <button type="button" aria-label="Close" onClick=${() => { setSelected(-1); scroller.current?.focus(); }}>✕</button></div>
      <div class="drawer-body"><dl class="values is-tall">${rows.fields.map((field, column) => html`<${Value} key=${`${row} ${column}`} field=${field} value=${rows.at(column, row)} />`)}</dl></div></aside>` : null}
  </div>`;
}

/** @param {{field: import("../arrow.js").Field, value: any}} props */
function Value({ field, value }) {
  const [isAll, setAll] = useState(false);
  const text = whole(field, value);
  const isLong = text.length > FOLDED && !isAll;
  return html`<div><dt>${visibleLines(field.name)} <span class="quiet">${field.type}${field.unit ? ` ${field.unit}` : ""}</span></dt>
    <dd><bdi class=${value === null ? "value-text null" : "value-text"}>${visibleLines(isLong ? text.slice(0, FOLDED) : text)}</bdi>
      ${isLong ? html`<button type="button" class="small" onClick=${() => setAll(true)}>all ${formatCount(text.length)}</button>` : null}<${Copy} text=${text} label="⧉" /></dd></div>`;
}

/** @param {{rows: Rows}} props */
export function ResultChart({ rows }) {
  const usual = useMemo(() => shapeOf(rows.fields), [rows]);
  const [chosen, setChosen] = useState(/** @type {{y?: number, by?: number | null}} */ ({}));
  if (!usual) return html`<div class="state"><h2>Nothing to draw</h2><p>A chart needs a column of numbers, and one of times or names.</p></div>`;
  const shape = { ...usual, ...chosen };
  const field = rows.fields[shape.y];
  const options = (/** @type {(field: import("../arrow.js").Field) => boolean} */ fits) => rows.fields.map((one, index) => ({ one, index })).filter(({ one }) => fits(one));
  const isNumber = (/** @type {import("../arrow.js").Field} */ { kind }) => kind === "number" || kind === "integer";
  const head = html`<div class="chart-head"><label>value <select value=${shape.y} onChange=${(/** @type {any} */ e) => setChosen({ ...chosen, y: Number(e.target.value) })}>${options(isNumber).map(({ one, index }) => html`<option value=${index} selected=${index === shape.y}>${one.name}</option>`)}</select></label>
    ${shape.kind === "lines" ? html`<label>a line for each <select value=${shape.by ?? ""} onChange=${(/** @type {any} */ e) => setChosen({ ...chosen, by: e.target.value === "" ? null : Number(e.target.value) })}><option value="" selected=${shape.by === null}>—</option>${options(({ kind, role }) => kind === "text" || Boolean(role?.startsWith("severity"))).map(({ one, index }) => html`<option value=${index} selected=${index === shape.by}>${one.name}</option>`)}</select></label>` : null}</div>`;
  if (shape.kind === "bars") {
    const bars = barsOf(rows, shape);
    return html`<div class="chart-page">${head}<${Bars} bars=${bars} unit=${field.unit} label=${field.name} />${rows.rows > bars.length ? html`<p class="quiet">the first ${bars.length} of ${plural(rows.rows, "row")}</p>` : null}</div>`;
  }
  return html`<${LinesChart} rows=${rows} shape=${shape} head=${head} />`;
}

/** @param {{rows: Rows, shape: import("./shape.js").Shape, head: any}} props */
function LinesChart({ rows, shape, head }) {
  const { base, series, others } = useMemo(() => linesOf(rows, shape), [rows, shape.x, shape.y, shape.by]);
  const field = rows.fields[shape.y];
  return html`<div class="chart-page">${head}<${Lines} series=${series} base=${base} unit=${field.unit} zone=${zone.value} height=${300} label=${`${field.name} along time`} onRange=${setRange} />
    ${others > 0 ? html`<p class="quiet">${plural(others, "more line")} ${others === 1 ? "is" : "are"} not drawn: those with the most points are</p>` : null}</div>`;
}

/** @param {{rows: Rows}} props */
export function ResultColumns({ rows }) {
  const inZone = zone.value;
  const looked = Math.min(rows.rows, MOST_LOOKED_AT);
  const all = useMemo(() => rows.fields.map((field, column) => ({ field, ...describe({ ...rows, rows: looked }, column) })), [rows]);
  return html`<div class="plain-page"><table class="facts"><thead><tr><th>column</th><th>type</th><th>least</th><th>greatest</th><th class="right">NULL</th><th class="right">distinct</th><th>most frequent</th></tr></thead>
    <tbody>${all.map(({ field, nulls, min, max, distinct, isCut, top }) => html`<tr><th scope="row">${field.name}</th><td class="quiet">${field.type}${field.unit ? ` ${field.unit}` : ""}</td>
      <td><bdi>${min === null ? "" : cell(field, min, inZone).slice(0, 40)}</bdi></td><td><bdi>${max === null ? "" : cell(field, max, inZone).slice(0, 40)}</bdi></td>
      <td class="right number">${nulls ? formatCount(nulls) : ""}</td><td class="right number">${isCut ? "≥ " : ""}${formatCount(distinct)}</td>
      <td>${top.filter(([, count]) => count > 1).map(([value, count]) => html`<span class="top-value"><bdi>${cell(field, value, inZone).slice(0, 40)}</bdi> <span class="quiet">${looked ? Math.round((100 * count) / looked) : 0} %</span></span>`)}</td></tr>`)}</tbody></table>
    <p class="quiet">Counted over ${looked < rows.rows ? "the first" : "the"} ${plural(looked, "row")}${looked < rows.rows ? "" : " that are here"}.</p></div>`;
}
