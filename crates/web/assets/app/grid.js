/** Rows of one height, of which only those in view are elements. */
import { useRef, useState, useLayoutEffect, useEffect } from "preact/hooks";
import { html } from "./html.js";

/** @template R @typedef {{name: string, title: string, width: string, about?: string, cell: (row: R) => any}} GridColumn */
/** @template R @typedef {{rows: R[], total?: number, columns: GridColumn<R>[], selected: number, onSelect: (index: number) => void, onEnd?: () => void, onScroll?: (top: number) => void, rowClass?: (row: R) => string, foot?: any, label: string, scroller?: {current: HTMLElement | null}}} GridProps */

const MARGIN = 8;

/** @param {GridProps<any>} props */
export function Grid({ rows, total, columns, selected, onSelect, onEnd, onScroll, rowClass, foot, label, scroller }) {
  const own = useRef(/** @type {HTMLElement | null} */ (null));
  const [view, setView] = useState({ top: 0, height: 600, row: 22 });
  const measure = () => {
    const element = own.current;
    if (!element) return;
    const row = parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 22;
    setView((before) => {
      const next = { top: element.scrollTop, height: element.clientHeight, row };
      return before.top === next.top && before.height === next.height && before.row === next.row ? before : next;
    });
  };
  useLayoutEffect(() => {
    const element = own.current;
    if (!element) return;
    if (scroller) scroller.current = element;
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(view.top / view.row) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / view.row) + MARGIN);
  useEffect(() => {
    if (onEnd && last >= rows.length - 200) onEnd();
  }, [last, rows.length]);
  useEffect(() => {
    const element = own.current;
    if (!element || selected < 0) return;
    // the head covers the first row
    const top = selected * view.row;
    const visible = element.clientHeight - view.row;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + view.row > element.scrollTop + visible) element.scrollTop = top + view.row - visible;
  }, [selected]);
  const template = `grid-template-columns: ${columns.map(({ width }) => width).join(" ")}`;
  const shown = [];
  for (let index = first; index < last; index += 1) {
    const row = rows[index];
    shown.push(html`<div key=${index} role="row" aria-rowindex=${index + 2} aria-selected=${index === selected}
      id=${`row-${index}`} class=${`row ${rowClass ? rowClass(row) : ""}`} data-index=${index}
      style=${`transform: translateY(${index * view.row}px); ${template}`}
      >${columns.map((column) => html`<span role="gridcell" class=${`cell c-${column.name}`}>${column.cell(row)}</span>`)}</div>`);
  }
  return html`<div class="grid" role="grid" tabindex="0" aria-label=${label} aria-rowcount=${(total ?? rows.length) + 1}
    aria-activedescendant=${selected >= first && selected < last ? `row-${selected}` : undefined} ref=${own}
    onScroll=${() => { measure(); onScroll?.(own.current?.scrollTop ?? 0); }}
    onClick=${(/** @type {MouseEvent} */ event) => {
      // who marks text to copy does not mean the row
      if (String(getSelection() ?? "")) return;
      const element = event.target instanceof Element ? event.target.closest("[data-index]") : null;
      if (element) onSelect(Number(/** @type {HTMLElement} */ (element).dataset.index));
    }}>
    <div class="grid-head" role="row" aria-rowindex="1" style=${template}>${columns.map(
      ({ name, title, about }) => html`<span role="columnheader" class=${`cell c-${name}`} title=${about}>${title}</span>`)}</div>
    <div class="grid-body" role="rowgroup" style=${`height: ${rows.length * view.row}px`}>${shown}</div>
    ${foot ? html`<div class="grid-foot" role="row"><span role="gridcell">${foot}</span></div>` : null}
  </div>`;
}
