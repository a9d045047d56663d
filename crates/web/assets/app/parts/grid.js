/** Rows of one height, of which only those in view are elements. */
import { useRef, useState, useLayoutEffect, useEffect } from "preact/hooks";
import { html } from "../html.js";

/** @template R @typedef {{name: string, title: string, width: string, about?: string, isRight?: boolean, className?: (row: R) => string, cell: (row: R) => any}} GridColumn */
/** Rows may be anything with a length, if `rowAt` gives them. @template R @typedef {{rows: ArrayLike<R>, rowAt?: (index: number) => R, onHead?: (name: string) => void, onMove?: (to: number) => void, onOpen?: (index: number) => void, total?: number, columns: GridColumn<R>[], selected: number, onSelect: (index: number) => void, onEnd?: () => void, onScroll?: (top: number) => void, rowClass?: (row: R) => string, foot?: any, label: string, scroller?: {current: HTMLElement | null}}} GridProps */

/** Rows above and below what is in view. */
const MARGIN = 4;
/** Browsers have elements no higher than some tens of millions of pixels: more rows than fit are scrolled in proportion. */
const HIGHEST = 15_000_000;

/** @param {GridProps<any>} props */
export function Grid({ rows, rowAt, onHead, onMove, onOpen, total, columns, selected, onSelect, onEnd, onScroll, rowClass, foot, label, scroller }) {
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
  const all = rows.length * view.row;
  const high = Math.min(all, HIGHEST);
  // the way through all rows, to the way that the element scrolls
  const factor = all > high ? (all - view.height) / Math.max(1, high - view.height) : 1;
  const top = view.top * factor;
  const first = Math.max(0, Math.floor(top / view.row) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((top + view.height) / view.row) + MARGIN);
  useEffect(() => {
    const element = own.current;
    if (!element || factor === 1) return;
    // a turn of the wheel moves as many rows as in other tables
    const turned = (/** @type {WheelEvent} */ event) => {
      if (event.deltaY === 0 || event.ctrlKey) return;
      event.preventDefault();
      element.scrollTop += event.deltaY / factor;
    };
    element.addEventListener("wheel", turned, { passive: false });
    return () => element.removeEventListener("wheel", turned);
  }, [factor]);
  useEffect(() => {
    if (onEnd && last >= rows.length - 200) onEnd();
  }, [last, rows.length]);
  useEffect(() => {
    const element = own.current;
    if (!element || selected < 0) return;
    // the head covers the first row
    const top = selected * view.row;
    const visible = element.clientHeight - view.row;
    const scrolled = element.scrollTop * factor;
    if (top < scrolled) element.scrollTop = top / factor;
    else if (top + view.row > scrolled + visible) element.scrollTop = (top + view.row - visible) / factor;
  }, [selected]);
  const template = `grid-template-columns: ${columns.map(({ width }) => width).join(" ")}`;
  const shown = [];
  for (let index = first; index < last; index += 1) {
    const row = rowAt ? rowAt(index) : rows[index];
    shown.push(html`<div key=${index} role="row" aria-rowindex=${index + 2} aria-selected=${index === selected}
      id=${`row-${index}`} class=${`row ${rowClass ? rowClass(row) : ""}`} data-index=${index}
      style=${`transform: translateY(${index * view.row - top + view.top}px); ${template}`}
      >${columns.map((column) => html`<span role="gridcell" class=${`cell c-${column.name}${column.isRight ? " right" : ""}${column.className ? ` ${column.className(row)}` : ""}`}>${column.cell(row)}</span>`)}</div>`);
  }
  return html`<div class="grid" role="grid" tabindex="0" aria-label=${label} aria-rowcount=${(total ?? rows.length) + 1}
    aria-activedescendant=${selected >= first && selected < last ? `row-${selected}` : undefined} ref=${own}
    onScroll=${() => { measure(); onScroll?.(own.current?.scrollTop ?? 0); }}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
      if (!onMove || event.ctrlKey || event.metaKey || event.altKey || event.target !== own.current) return;
      const by = /** @type {Record<string, number>} */ ({ ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 20, PageUp: -20, Home: -rows.length, End: rows.length })[event.key];
      if (by === undefined && event.key !== "Enter") return;
      event.preventDefault();
      event.stopPropagation();
      if (by !== undefined) onMove(Math.max(0, Math.min(rows.length - 1, selected + by)));
      else if (selected >= 0) onOpen?.(selected);
    }}
    onClick=${(/** @type {MouseEvent} */ event) => {
      // who marks text to copy does not mean the row
      if (String(getSelection() ?? "")) return;
      const element = event.target instanceof Element ? event.target.closest("[data-index]") : null;
      const head = event.target instanceof Element ? event.target.closest("[data-column]") : null;
      if (head && onHead) onHead(String(/** @type {HTMLElement} */ (head).dataset.column));
      if (element) onSelect(Number(/** @type {HTMLElement} */ (element).dataset.index));
    }}>
    <div class="grid-head" role="row" aria-rowindex="1" style=${template}>${columns.map(
      ({ name, title, about, isRight }) => html`<span role="columnheader" data-column=${onHead ? name : undefined} class=${`cell c-${name}${isRight ? " right" : ""}`} title=${about}>${onHead ? html`<button type="button" class="plain">${title}</button>` : title}</span>`)}</div>
    <div class="grid-body" role="rowgroup" style=${`height: ${high}px`}>${shown}</div>
    ${foot ? html`<div class="grid-foot" role="row"><span role="gridcell">${foot}</span></div>` : null}
  </div>`;
}
