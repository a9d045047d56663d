/** The most frequent values of columns, on demand. */
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask } from "../api.js";
import { formatCount, visible } from "../format.js";
import { facetSql } from "./query.js";

/** @typedef {{value: string | null, rows: number}} Value */

/** @param {{table: import("../catalog.js").Table, filter: import("./query.js").Filter, begin: bigint, end: bigint, isWaiting: boolean, add: (column: string, value: string, not: boolean) => void}} props */
export function Facets(props) {
  const names = ["target", "exe", "computer", "username"].filter((name) => props.table.columns.has(name));
  return html`<aside class="facets" aria-label="Most frequent values">${names.map((name, index) => html`<${Facet} key=${name} ...${props} name=${name} begins=${index === 0} />`)}</aside>`;
}

/** @param {Parameters<typeof Facets>[0] & {name: string, begins: boolean}} props */
function Facet({ table, filter, begin, end, isWaiting, add, name, begins }) {
  const [isOpen, setOpen] = useState(begins);
  const [values, setValues] = useState(/** @type {Value[] | null} */ (null));
  const [fault, setFault] = useState("");
  useEffect(() => {
    // the rows come first
    if (!isOpen || isWaiting) return;
    const controller = new AbortController();
    ask({ title: `values of ${name}`, sql: facetSql(table, filter, name), parameters: filter.parameters, range: { begin, end }, signal: controller.signal }).then(
      (answer) => {
        setValues(Array.from({ length: answer.rows }, (_, row) => ({ value: answer.get("value", row), rows: Number(answer.get("rows", row)) })));
        setFault("");
      },
      (error) => { if (!controller.signal.aborted) setFault(error.message); },
    );
    return () => controller.abort();
  }, [isOpen, isWaiting, filter.where, String(filter.parameters), begin, end]);
  const most = values?.[0]?.rows ?? 1;
  return html`<section class="facet"><button type="button" class="facet-head" aria-expanded=${isOpen} title=${table.columns.get(name)?.about} onClick=${() => setOpen(!isOpen)}><span class="caret" aria-hidden="true">${isOpen ? "▾" : "▸"}</span>${name}</button>
    ${isOpen && fault ? html`<p class="fault">${fault}</p>` : null}
    ${isOpen && values ? html`<ul>${values.map(({ value, rows }) => html`<li class="value" key=${value}>
        <span class="bar" style=${`width: ${(100 * rows) / most}%`}></span>
        <button type="button" class="text" title=${`Only ${visible(value ?? "")}`} onClick=${() => add(name, value ?? "", false)}><bdi>${value ? short(name, visible(value)) : "(empty)"}</bdi></button>
        <span class="number">${formatCount(rows)}</span>
        <button type="button" class="not" aria-label=${`Without ${visible(value ?? "")}`} title="Without these" onClick=${() => add(name, value ?? "", true)}>⊖</button></li>`)}
        ${values.length === 0 ? html`<li class="quiet">none</li>` : null}
        ${values.length === 20 ? html`<li class="quiet">the 20 most frequent</li>` : null}</ul>` : null}</section>`;
}

/** Of a path the end says most. @param {string} name @param {string} value */
const short = (name, value) => (name === "exe" ? value.split(/[/\\]/).filter(Boolean).pop() ?? value : value);
