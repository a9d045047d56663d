/** Where the time of a process went: the ways through its code, each as wide as its time (`flame_graph`). */
import { h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import htm from "htm";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
const html = htm.bind(/** @type {any} */ (h));

/** @typedef {import("../../web/assets/app/registered/page.js").Given} Given */
/** A way through the code; nanoseconds. It is drawn from `first` on, `wide` wide: as wide as its time, but parts that went on
 * at the same time, as those of traces do, share the width of the whole.
 * @typedef {{node: number, parent: number, depth: number, name: string, calls: number, total: number, own: number, first: number, wide: number, parts: number[]}} Way */
/** @typedef {{ways: Way[], roots: number[], total: number, calls: number, deepest: number}} Graph */
/** @typedef {{name: string, calls: number, total: number, own: number}} Of */

const [ROW, TOP] = [18, 0];
/** Names of the table under the picture. */
const MOST_LISTED = 200;

/** @param {string} id @param {{begin: bigint, end: bigint}} range @param {Given} page */
const graphSql = (id, { begin, end }, page) => `SELECT * FROM flame_graph('${id}', '${page.format.rfc3339(begin)}', '${page.format.rfc3339(end)}')\nORDER BY node`;

/** @param {any} rows @returns {Graph} */
export function graphOf(rows) {
  /** @type {Way[]} */
  const ways = [];
  const roots = [];
  let deepest = 0;
  for (let row = 0; row < rows.rows; row += 1) {
    const get = (/** @type {string} */ name) => rows.get(name, row);
    const parent = get("parent");
    const way = { node: row, parent: parent === null ? -1 : Number(parent), depth: Number(get("depth")), name: get("name"), calls: Number(get("calls")), total: Number(get("total")), own: Number(get("self")), first: 0, wide: 0, parts: /** @type {number[]} */ ([]) };
    ways.push(way);
    if (way.parent < 0) roots.push(row);
    else ways[way.parent].parts.push(row);
    deepest = Math.max(deepest, way.depth);
  }
  // the widest first, at each place
  const order = (/** @type {number[]} */ some) => some.sort((a, b) => ways[b].total - ways[a].total);
  let left = 0;
  for (const root of order(roots)) {
    ways[root].first = left;
    ways[root].wide = ways[root].total;
    left += ways[root].total;
  }
  // a part comes behind what it is a part of
  for (const way of ways) {
    let at = way.first;
    const sum = way.parts.reduce((sum, part) => sum + ways[part].total, 0);
    const share = way.wide / Math.max(1, way.total, sum);
    for (const part of order(way.parts)) {
      ways[part].first = at;
      ways[part].wide = ways[part].total * share;
      at += ways[part].wide;
    }
  }
  return { ways, roots, total: left, calls: ways.reduce((sum, { calls }) => sum + calls, 0), deepest };
}

/** Times by name. The whole time of a name that is part of itself counts once. @param {Graph} graph @returns {Of[]} */
export function byName(graph) {
  /** @type {Map<string, Of>} */
  const all = new Map();
  for (const way of graph.ways) {
    const of = all.get(way.name) ?? { name: way.name, calls: 0, total: 0, own: 0 };
    of.calls += way.calls;
    of.own += way.own;
    let isInItself = false;
    for (let outer = way.parent; outer >= 0 && !isInItself; outer = graph.ways[outer].parent) isInItself = graph.ways[outer].name === way.name;
    if (!isInItself) of.total += way.total;
    all.set(way.name, of);
  }
  return [...all.values()];
}

/** In a narrow box, the end of a path says most. @param {string} name */
const lastPart = (name) => name.split(/::|[./\\]/).filter(Boolean).pop() ?? name;

/** @param {CanvasRenderingContext2D} context @param {string} text @param {number} width */
function clip(context, text, width) {
  let most = Math.min(text.length, Math.ceil(width / 4));
  while (most > 0 && context.measureText(text.slice(0, most)).width > width) most -= 1;
  return most < text.length ? `${text.slice(0, Math.max(0, most - 1))}…` : text;
}

/** @param {{page: Given}} props */
function Flame({ page }) {
  const { format } = page;
  const id = page.subject.id;
  const [range, setRange] = useState(page.range.value);
  const [graph, setGraph] = useState(/** @type {Graph | null} */ (null));
  const [isAsking, setAsking] = useState(true);
  const [fault, setFault] = useState("");
  const [top, setTop] = useState(-1);
  const [over, setOver] = useState(/** @type {{x: number, y: number, way: Way} | null} */ (null));
  const [find, setFind] = useState(page.parameters.value.find ?? "");
  const [by, setBy] = useState(/** @type {"own" | "total" | "calls"} */ ("own"));
  const [, redraw] = useReducer((/** @type {number} */ n) => n + 1, 0);
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);

  // at once: a step back may come before the next frame
  useLayoutEffect(() => {
    const stops = [page.theme.subscribe(() => redraw(0)), page.range.subscribe(() => setRange(page.range.value))];
    return () => stops.forEach((stop) => stop());
  }, []);
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const controller = new AbortController();
    page.begin();
    setAsking(true);
    page.query(graphSql(id, range, page), { title: "flame graph", signal: controller.signal, isHeavy: true, range }).then((rows) => {
      setGraph(graphOf(rows));
      setFault(rows.isCut ? `${rows.why}: this graph has not all` : "");
      setTop(-1);
      setAsking(false);
    }, (error) => {
      if (controller.signal.aborted) return;
      setFault(error.message);
      setAsking(false);
    });
    return () => controller.abort();
  }, [id, range]);

  const words = find.trim().toLowerCase();
  const isFound = (/** @type {string} */ name) => words === "" || name.toLowerCase().includes(words);
  const whole = graph?.ways[top];
  const [from, wide] = whole ? [whole.first, whole.wide] : [0, graph?.total ?? 0];
  const scale = wide > 0 ? width / wide : 0;
  /** What is drawn, by its row: what is outside of what one looks at, or narrower than half a pixel, is left out. */
  const rows = useMemo(() => {
    /** @type {Way[][]} */
    const rows = [];
    const put = (/** @type {Way} */ way, /** @type {number} */ row) => {
      if (way.wide * scale < 0.5) return;
      (rows[row] ??= []).push(way);
      for (const part of way.parts) put(/** @type {Graph} */ (graph).ways[part], row + 1);
    };
    if (graph && whole) {
      // the way to it stands above it, as wide as all
      const path = [];
      for (let outer = whole.parent; outer >= 0; outer = graph.ways[outer].parent) path.unshift(graph.ways[outer]);
      path.forEach((way, row) => { rows[row] = [way]; });
      put(whole, path.length);
    } else for (const root of graph?.roots ?? []) put(/** @type {Graph} */ (graph).ways[root], 0);
    return rows;
  }, [graph, top, scale]);
  const height = Math.max(ROW, rows.length * ROW + TOP + 2);
  const boxOf = (/** @type {Way} */ way) => {
    if (whole && way.depth < whole.depth) return [0, width];
    return [(way.first - from) * scale, way.wide * scale];
  };

  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || !width) return;
    const ratio = devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    context.scale(ratio, ratio);
    const colors = Array.from({ length: 8 }, (_, index) => page.theme.color(`--span-${index}`));
    const spanText = page.theme.color("--span-text");
    context.font = `11px ${getComputedStyle(element).fontFamily}`;
    context.textBaseline = "middle";
    rows.forEach((ways, row) => {
      for (const way of ways) {
        const [x, w] = boxOf(way);
        const y = TOP + row * ROW;
        context.globalAlpha = !isFound(way.name) ? 0.22 : whole && way.depth < whole.depth ? 0.6 : 1;
        context.fillStyle = colors[format.colorOf(way.name) % 8];
        context.fillRect(x, y, Math.max(0.5, w - (w > 3 ? 1 : 0)), ROW - 1);
        if (w > 30) {
          context.fillStyle = spanText;
          const name = format.visible(way.name);
          const shown = context.measureText(name.slice(0, 200)).width < w - 8 ? name : format.visible(lastPart(way.name));
          context.fillText(clip(context, shown, w - 8), x + 4, y + ROW / 2 - 0.5);
        }
      }
    });
    context.globalAlpha = 1;
  });

  /** @param {MouseEvent} event */
  const wayAt = (event) => {
    const box = /** @type {HTMLElement} */ (canvas.current).getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const way = rows[Math.floor((y - TOP) / ROW)]?.find((one) => {
      const [left, w] = boxOf(one);
      return left <= x && x < left + Math.max(1, w);
    });
    return { x, y, way };
  };
  const percent = (/** @type {number} */ part) => (graph?.total ? `${((100 * part) / graph.total).toFixed(1)} %` : "");
  const duration = (/** @type {number} */ ns) => format.duration(BigInt(Math.round(ns)));
  const look = (/** @type {string} */ text) => {
    setFind(text);
    page.parameters.set({ find: text.trim() }, true);
  };
  useLayoutEffect(() => page.keys([
    { keys: "/", about: "find by name", run: () => document.getElementById("find-ways")?.focus() },
    { keys: "Escape", about: "the whole", run: () => setTop(-1) },
    { keys: "ArrowUp", about: "one step out", run: () => setTop(whole?.parent ?? -1) },
    { keys: "ArrowDown", about: "the widest part", run: () => { const part = whole ? whole.parts[0] : graph?.roots[0]; if (part !== undefined) setTop(part); } },
  ]));
  const names = useMemo(() => (graph ? byName(graph) : []), [graph]);
  const listed = useMemo(() => names.filter(({ name }) => isFound(name)).sort((a, b) => b[by] - a[by] || b.own - a.own).slice(0, MOST_LISTED), [names, words, by]);
  const foundOwn = words ? names.filter(({ name }) => isFound(name)).reduce((sum, { own }) => sum + own, 0) : 0;
  const head = (/** @type {"own" | "total" | "calls"} */ key, /** @type {string} */ title) => html`<th class="right" aria-sort=${by === key ? "descending" : "none"}><button type="button" class="link" onClick=${() => setBy(key)}>${title}${by === key ? " ▾" : ""}</button></th>`;

  return html`<div class="drawn-page"><form class="search" role="search" onSubmit=${(/** @type {Event} */ e) => e.preventDefault()}>
      <input id="find-ways" type="search" aria-label="Find by name" placeholder="find by name" spellcheck=${false} value=${find} onInput=${(/** @type {any} */ e) => look(e.target.value)} />
      ${words ? html`<span class="quiet" role="status">${percent(foundOwn)} of the time is its own</span>` : null}
      ${whole ? html`<button type="button" title="Back to all (Esc)" onClick=${() => setTop(-1)}>The whole</button>` : null}
      <button type="button" title="SQL of what is shown" onClick=${() => page.open.sql(graphSql(id, range, page), true)}>= SQL</button></form>
    <div class="counts"><span role="status" aria-live="polite">${graph ? html`<b>${duration(graph.total)}</b> in ${format.count(graph.calls)} spans${whole ? html` · <bdi>${format.visible(whole.name)}</bdi>: ${duration(whole.total)}, ${percent(whole.total)}, ${format.count(whole.calls)} ${whole.calls === 1 ? "call" : "calls"}, ${duration(whole.own)} its own` : null}` : "…"}${isAsking ? html`<span class="quiet"> · asking …</span>` : null}</span><span class="quiet">click to look at a part</span></div>
    ${fault ? html`<p class="notice is-warn" role="alert">${format.visible(fault)}</p>` : null}
    <div class="picture" ref=${place}>
      ${graph && !graph.ways.length && !isAsking ? html`<div class="state"><h2>No spans in this range</h2><p>Choose a longer one, or the whole life of the process on its summary.</p></div>` : null}
      <figure class="chart" hidden=${!graph?.ways.length}><canvas ref=${canvas} style=${`height: ${height}px`} tabindex="0" role="img" aria-label="Ways through the code, each as wide as its time; the table below has them by name"
        onClick=${(/** @type {MouseEvent} */ e) => { const { way } = wayAt(e); if (way) setTop(way.node === top ? way.parent : way.node); }}
        onPointerMove=${(/** @type {PointerEvent} */ e) => { const { x, y, way } = wayAt(e); setOver(way ? { x, y, way } : null); }} onPointerLeave=${() => setOver(null)}></canvas>
        ${over ? html`<div class=${over.x > width / 2 ? "tip is-left" : "tip"} style=${`left: ${over.x}px; top: ${over.y + 14}px`}><b>${format.visible(over.way.name.slice(0, 160))}</b><div>${duration(over.way.total)}, ${percent(over.way.total)}</div><div>${duration(over.way.own)} its own</div><div class="quiet">${format.count(over.way.calls)} ${over.way.calls === 1 ? "call" : "calls"}</div></div>` : null}</figure></div>
    ${names.length ? html`<section class="listed"><table class="facts"><caption class="quiet">${format.count(names.length)} names${names.length > MOST_LISTED ? `; the first ${MOST_LISTED}` : ""}</caption><thead><tr><th>name</th>${head("own", "its own time")}<th class="right">%</th>${head("total", "with its parts")}${head("calls", "calls")}<th class="right">mean</th></tr></thead><tbody>${listed.map((one) => html`<tr><th scope="row"><button type="button" class="link" onClick=${() => look(one.name)}><bdi>${format.visible(one.name.slice(0, 200))}</bdi></button></th><td class="right number">${duration(one.own)}</td><td class="right number">${percent(one.own)}</td><td class="right number">${duration(one.total)}</td><td class="right number">${format.count(one.calls)}</td><td class="right number">${duration(one.calls ? one.total / one.calls : 0)}</td></tr>`)}</tbody></table></section>` : null}</div>`;
}

/** @param {Given} page */
export default (page) => {
  /** @type {HTMLElement | null} */
  let host = null;
  return {
    mount(/** @type {HTMLElement} */ element) {
      host = element;
      render(html`<${Flame} page=${page} />`, element);
    },
    dispose() {
      if (host) render(null, host);
    },
  };
};
