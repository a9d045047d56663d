/** Metrics along time: one chart for each that is chosen, with a line for each process and the band between its least and
 * its greatest value, so that no spike is averaged away. Bins are made by the server. */
import { h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import htm from "htm";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
const html = htm.bind(/** @type {any} */ (h));

/** @typedef {import("../../web/assets/app/registered/page.js").Given} Given */
/** @typedef {{target: string, name: string, unit: string, values: number, least: number | null, most: number | null}} Metric */
/** A line: what is at `bins[i]` has `means[i]`, between `least[i]` and `most[i]`. Bins are counted from the begin of the range.
 * @typedef {{process: string, exe: string, bins: number[], means: number[], least: number[], most: number[], odd: number}} Line */

const MOST_METRICS = 2000;
const MOST_LINES = 8;
const [LEFT, RIGHT, TOP, BOTTOM, HEIGHT] = [70, 12, 8, 20, 190];

/** Rows of a process, or of all. @param {Given} page */
const table = (page) => (page.subject.kind === "process" ? `view_instance('measures', '${page.subject.id}')` : "measures");

/** @param {Given} page */
const listSql = (page) => `SELECT target, name, unit, count(*) AS "values", min(value) AS least, max(value) AS most
FROM ${table(page)}
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
LIMIT ${MOST_METRICS}`;

/** NaN is greater than every number, so what lies between the largest ones is finite. @param {Given} page @param {{begin: bigint, end: bigint}} range @param {number} bins */
const linesSql = (page, { begin, end }, bins) => {
  const width = (end - begin) / BigInt(bins) || 1n;
  const finite = "FILTER (WHERE value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308)";
  return `SELECT process_id, max(exe) AS exe, (CAST(time AS BIGINT) - ${begin}) / ${width} AS bin,
  count(*) AS "values", count(*) ${finite} AS numbers, avg(value) ${finite} AS mean, min(value) ${finite} AS least, max(value) ${finite} AS most
FROM ${table(page)}
WHERE target = $1 AND name = $2 AND unit = $3
GROUP BY 1, 3
ORDER BY 1, 3`;
};

/** A number as an axis has it. @param {number} value */
export function short(value) {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(value)) return String(value);
  if (size >= 1e15 || size < 1e-3) return value.toExponential(2).replace("e+", "e");
  const [by, unit] = size >= 1e12 ? [1e12, " T"] : size >= 1e9 ? [1e9, " G"] : size >= 1e6 ? [1e6, " M"] : size >= 1e4 ? [1e3, " k"] : [1, ""];
  return `${Number((value / by).toPrecision(4))}${unit}`;
}

/** Round numbers between two others. @param {number} from @param {number} to @param {number} most */
export function ticks(from, to, most) {
  const rough = (to - from) / Math.max(1, most);
  if (!(rough > 0) || !Number.isFinite(rough)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  const found = [];
  for (let at = Math.ceil(from / step); at * step <= to && found.length < 50; at += 1) found.push(at * step);
  return found;
}

/** Lines out of rows; the processes with the most values, and how many others there are.
 * @param {any} rows @returns {{lines: Line[], others: number}} */
export function linesOf(rows) {
  /** @type {Map<string, Line & {count: number}>} */
  const all = new Map();
  for (let row = 0; row < rows.rows; row += 1) {
    const get = (/** @type {string} */ name) => rows.get(name, row);
    const process = get("process_id");
    /** @type {Line & {count: number}} */
    const line = all.get(process) ?? { process, exe: get("exe") ?? "", bins: [], means: [], least: [], most: [], odd: 0, count: 0 };
    all.set(process, line);
    const [values, numbers] = [Number(get("values")), Number(get("numbers"))];
    line.count += values;
    line.odd += values - numbers;
    if (!numbers) continue;
    line.bins.push(Number(get("bin")));
    line.means.push(get("mean"));
    line.least.push(get("least"));
    line.most.push(get("most"));
  }
  const lines = [...all.values()].sort((a, b) => b.count - a.count);
  return { lines: lines.slice(0, MOST_LINES), others: Math.max(0, lines.length - MOST_LINES) };
}

/** The name of a metric in an address. @param {Metric} metric */
const keyOf = ({ target, name, unit }) => [target, name, unit].map(encodeURIComponent).join("/");

/** @param {{page: Given, metric: Metric, range: {begin: bigint, end: bigint}, at: number | null, setAt: (share: number | null) => void, remove: () => void}} props */
function Chart({ page, metric, range, at, setAt, remove }) {
  const { format } = page;
  const [found, setFound] = useState(/** @type {{lines: Line[], others: number, range: {begin: bigint, end: bigint}, bins: number} | null} */ (null));
  const [fault, setFault] = useState("");
  const [brush, setBrush] = useState(/** @type {{from: number, to: number} | null} */ (null));
  const [, redraw] = useReducer((/** @type {number} */ n) => n + 1, 0);
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useEffect(() => page.theme.subscribe(() => redraw(0)), []);
  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const inner = Math.max(1, width - LEFT - RIGHT);
  const bins = Math.max(20, Math.min(1000, Math.floor(inner / 2)));
  const sql = linesSql(page, range, bins);
  useEffect(() => {
    if (!width) return;
    const controller = new AbortController();
    page.query(sql, { title: metric.name, parameters: [metric.target, metric.name, metric.unit], signal: controller.signal, isHeavy: true, range }).then((rows) => {
      setFound({ ...linesOf(rows), range, bins });
      setFault(rows.isCut ? `${rows.why}: these values are not all` : "");
    }, (error) => { if (!controller.signal.aborted) setFault(error.message); });
    return () => controller.abort();
  }, [sql, width === 0, keyOf(metric), range]);
  const numbers = (found?.lines ?? []).flatMap(({ least, most }) => [...least, ...most]);
  let [low, high] = numbers.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  // an axis that leaves zero out makes changes look larger than they are, unless zero is far away
  if (low > 0 && low < high * 0.8) low = 0;
  if (!Number.isFinite(low)) [low, high] = [0, 1];
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.5, high + (Math.abs(high) || 1) * 0.5];
  const own = found?.range ?? range;
  const length = Number(own.end - own.begin);
  const each = Number((own.end - own.begin) / BigInt(found?.bins ?? bins) || 1n);
  // a span of numbers may be larger than the largest number
  const yOf = (/** @type {number} */ value) => TOP + (1 - (value / 2 - low / 2) / (high / 2 - low / 2)) * (HEIGHT - TOP - BOTTOM);
  const xOf = (/** @type {number} */ bin) => LEFT + (((bin + 0.5) * each) / length) * inner;
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || !width) return;
    const ratio = devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = HEIGHT * ratio;
    context.scale(ratio, ratio);
    const [quiet, line] = ["--text-quiet", "--line"].map(page.theme.color);
    context.font = `11px ${getComputedStyle(element).fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of ticks(low, high, 4)) {
      context.fillStyle = line;
      context.fillRect(LEFT, Math.round(yOf(value)), inner, 1);
      context.fillStyle = quiet;
      context.fillText(short(value), LEFT - 8, yOf(value));
    }
    context.textAlign = "center";
    for (const time of format.ticks(own.begin, own.end, Math.max(2, Math.floor(inner / 120)))) {
      const x = LEFT + (Number(time - own.begin) / length) * inner;
      const { date, clock, ms } = format.clock(time);
      context.fillStyle = quiet;
      if (x > LEFT + 10 && x < width - 24) context.fillText(length > 172_800e9 ? date.slice(5) : length > 600e9 ? clock.slice(0, 5) : length > 5e9 ? clock : `${clock.slice(3)}.${ms}`, x, HEIGHT - 8);
    }
    (found?.lines ?? []).forEach(({ bins, means, least, most }, index) => {
      const color = page.theme.color(`--series-${index}`);
      context.strokeStyle = color;
      context.fillStyle = color;
      context.lineWidth = 1.5;
      let from = 0;
      // a gap of bins is a gap of the line, unless values come more seldom than bins
      const usual = bins.length > 2 ? [...bins.keys()].slice(1).map((i) => bins[i] - bins[i - 1]).sort((a, b) => a - b)[Math.floor((bins.length - 1) / 2)] : 1;
      for (let i = 1; i <= bins.length; i += 1) {
        if (i < bins.length && bins[i] - bins[i - 1] <= Math.max(1, usual * 3)) continue;
        context.globalAlpha = 0.18;
        context.beginPath();
        for (let j = from; j < i; j += 1) context.lineTo(xOf(bins[j]), yOf(most[j]));
        for (let j = i - 1; j >= from; j -= 1) context.lineTo(xOf(bins[j]), yOf(least[j]));
        context.fill();
        context.globalAlpha = 1;
        if (i - from === 1) context.fillRect(xOf(bins[from]) - 1.5, yOf(means[from]) - 1.5, 3, 3);
        else {
          context.beginPath();
          for (let j = from; j < i; j += 1) context.lineTo(xOf(bins[j]), yOf(means[j]));
          context.stroke();
        }
        from = i;
      }
    });
    if (at !== null) {
      context.fillStyle = quiet;
      context.fillRect(LEFT + at * inner, TOP, 1, HEIGHT - TOP - BOTTOM);
    }
  });
  const place = (/** @type {PointerEvent} */ event) => event.clientX - (canvas.current?.getBoundingClientRect().left ?? 0);
  const share = (/** @type {number} */ x) => Math.min(1, Math.max(0, (x - LEFT) / inner));
  const timeAt = (/** @type {number} */ x) => own.begin + BigInt(Math.round(share(x) * length));
  const shown = at === null ? [] : (found?.lines ?? []).map((line, index) => {
    const bin = Math.floor((at * length) / each);
    const i = line.bins.reduce((best, one, i) => (Math.abs(one - bin) < Math.abs(line.bins[best] - bin) ? i : best), 0);
    return { line, index, i, isNear: line.bins.length > 0 && Math.abs(line.bins[i] - bin) <= 4 };
  }).filter(({ isNear }) => isNear);
  const odd = (found?.lines ?? []).reduce((sum, line) => sum + line.odd, 0);
  const finish = () => {
    if (brush && Math.abs(brush.to - brush.from) > 4) page.range.set(timeAt(Math.min(brush.from, brush.to)), timeAt(Math.max(brush.from, brush.to)) + 1n);
    setBrush(null);
  };
  return html`<section class="panel"><div class="panel-head"><h2><bdi>${format.visible(metric.name)}</bdi></h2><span class="quiet"><bdi>${format.visible([metric.target, metric.unit].filter(Boolean).join(" · "))}</bdi></span>${odd ? html`<span class="warn">${format.count(odd)} values are no finite numbers, and are left out</span>` : null}${found?.others ? html`<span class="warn">${format.count(found.others)} more processes: the ${MOST_LINES} with the most values are drawn</span>` : null}<span class="grow"></span><button type="button" class="small" title="SQL of what is shown" onClick=${() => page.open.sql([metric.target, metric.name, metric.unit].reduce((text, value, i) => text.replace(`$${i + 1}`, () => `'${value.replaceAll("'", "''")}'`), sql), true)}>= SQL</button><button type="button" class="small" aria-label=${`Close ${metric.name}`} onClick=${remove}>✕</button></div>
    ${fault ? html`<p class="fault" role="alert">${format.visible(fault)}</p>` : null}${found && !found.lines.length ? html`<p class="quiet">No value in this range.</p>` : null}
    <figure class="chart"><canvas ref=${canvas} style=${`height: ${HEIGHT}px`} role="img" aria-label=${`${metric.name} along time; the table below has its values`}
      onPointerDown=${(/** @type {any} */ e) => { e.target.setPointerCapture(e.pointerId); setBrush({ from: place(e), to: place(e) }); }}
      onPointerMove=${(/** @type {any} */ e) => { setAt(share(place(e))); if (brush) setBrush({ ...brush, to: place(e) }); }}
      onPointerUp=${finish} onPointerCancel=${() => setBrush(null)} onPointerLeave=${() => setAt(null)}></canvas>
    ${brush ? html`<div class="brush" style=${`left: ${Math.min(brush.from, brush.to)}px; width: ${Math.abs(brush.to - brush.from)}px; height: ${HEIGHT - BOTTOM}px`}></div>` : null}
    ${at !== null && shown.length ? html`<div class=${at > 0.5 ? "tip is-left" : "tip"} style=${`left: ${LEFT + at * inner}px; top: ${TOP}px`}><div class="quiet">${format.time(own.begin + BigInt(Math.round(at * length)))}</div>${shown.map(({ line, index, i }) => html`<div><span class="swatch" style=${`background: var(--series-${index})`}></span>${format.visible(format.baseName(line.exe))}<span class="number">${short(line.means[i])} <span class="quiet">${short(line.least[i])} – ${short(line.most[i])}</span></span></div>`)}</div>` : null}</figure>
    ${found?.lines.length ? html`<table class="facts metric-lines"><thead><tr><th>process</th><th class="right">least</th><th class="right">mean of bins</th><th class="right">greatest</th></tr></thead><tbody>${found.lines.filter(({ bins }) => bins.length).map((line, index) => html`<tr><th scope="row"><span class="swatch" style=${`background: var(--series-${index})`}></span> <button type="button" class="link" onClick=${() => page.open.page(`processes/${line.process}`)}><bdi>${format.visible(format.baseName(line.exe) || line.process)}</bdi></button> <code class="quiet">${line.process.slice(0, 8)}</code></th><td class="right number">${String(Math.min(...line.least))}</td><td class="right number">${short(line.means.reduce((a, b) => a + b / line.means.length, 0))}</td><td class="right number">${String(Math.max(...line.most))}</td></tr>`)}</tbody></table>` : null}</section>`;
}

/** @param {{page: Given}} props */
function Metrics({ page }) {
  const { format } = page;
  const [range, setRange] = useState(page.range.value);
  const [parameters, setParameters] = useState(page.parameters.value);
  const [metrics, setMetrics] = useState(/** @type {Metric[] | null} */ (null));
  const [fault, setFault] = useState("");
  const [isAsking, setAsking] = useState(true);
  const [text, setText] = useState("");
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  // at once: a step back may come before the next frame
  useLayoutEffect(() => {
    const stops = [page.range.subscribe(() => setRange(page.range.value)), page.parameters.subscribe(() => setParameters(page.parameters.value))];
    return () => stops.forEach((stop) => stop());
  }, []);
  const sql = listSql(page);
  useEffect(() => {
    const controller = new AbortController();
    page.begin();
    setAsking(true);
    page.query(sql, { title: "metrics", signal: controller.signal, isHeavy: true, range }).then((rows) => {
      setMetrics(Array.from({ length: rows.rows }, (_, row) => {
        const get = (/** @type {string} */ name) => rows.get(name, row);
        return { target: get("target") ?? "", name: get("name") ?? "", unit: get("unit") ?? "", values: Number(get("values")), least: get("least"), most: get("most") };
      }));
      setFault(rows.isCut ? `${rows.why}: these metrics are not all` : "");
      setAsking(false);
    }, (error) => {
      if (controller.signal.aborted) return;
      setFault(error.message);
      setAsking(false);
    });
    return () => controller.abort();
  }, [range]);
  const wanted = (parameters.metrics ?? "").split(",").filter(Boolean);
  const chosen = useMemo(() => wanted.flatMap((key) => {
    const known = metrics?.find((metric) => keyOf(metric) === key);
    if (known) return [known];
    // one that has no value in this range is still what a link is about
    const [target, name, unit] = key.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
    return metrics && name ? [{ target, name, unit: unit ?? "", values: 0, least: null, most: null }] : [];
  }), [parameters.metrics, metrics]);
  const set = (/** @type {string[]} */ keys) => page.parameters.set({ metrics: keys.join(",") });
  const toggle = (/** @type {Metric} */ metric) => {
    const key = keyOf(metric);
    set(wanted.includes(key) ? wanted.filter((one) => one !== key) : [...wanted, key]);
  };
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const listed = (metrics ?? []).filter((metric) => words.every((word) => `${metric.target} ${metric.name} ${metric.unit}`.toLowerCase().includes(word)));
  /** @type {Map<string, Metric[]>} */
  const groups = new Map();
  for (const metric of listed) groups.set(metric.target, [...(groups.get(metric.target) ?? []), metric]);
  useLayoutEffect(() => page.keys([{ keys: "/", about: "find metrics", run: () => document.getElementById("find-metrics")?.focus() }]));
  return html`<div class="drawn-page is-full"><div class="tables-page"><nav class="side" aria-label="Metrics"><input id="find-metrics" type="search" aria-label="Find metrics" placeholder="find metrics" spellcheck=${false} value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} />
      ${metrics?.length === MOST_METRICS ? html`<p class="warn">⚠ the first ${format.count(MOST_METRICS)}</p>` : null}
      ${[...groups].map(([target, some]) => html`<h3 title=${format.visible(target)}><bdi>${format.visible(target) || "(no target)"}</bdi></h3>${some.map((metric) => html`<label class="check side-link" title=${`${format.count(metric.values)} values${metric.unit ? `, ${metric.unit}` : ""}`}><input type="checkbox" checked=${wanted.includes(keyOf(metric))} onChange=${() => toggle(metric)} /> <bdi>${format.visible(metric.name)}</bdi></label>`)}`)}</nav>
    <div class="page-body is-wide">${fault ? html`<p class="fault" role="alert">${format.visible(fault)}</p>` : null}
      <p class="counts"><span role="status">${metrics ? html`<b>${format.count(metrics.length)}</b> ${metrics.length === 1 ? "metric" : "metrics"} in this range` : "…"}${isAsking ? html`<span class="quiet"> · asking …</span>` : null}</span><span class="quiet">the band goes from the least to the greatest value of each bin · drag to choose a range</span></p>
      ${chosen.map((metric) => html`<${Chart} page=${page} metric=${metric} range=${range} at=${at} setAt=${setAt} remove=${() => set(wanted.filter((key) => key !== keyOf(metric)))} key=${keyOf(metric)} />`)}
      ${metrics && !metrics.length && !isAsking ? html`<div class="state"><h2>No metrics in this range</h2><p>Choose a longer one.</p></div>`
      : metrics && !chosen.length ? html`<section class="panel"><div class="panel-head"><h2>All of them</h2></div><table class="facts"><thead><tr><th>metric</th><th>target</th><th>unit</th><th class="right">values</th><th class="right">least</th><th class="right">greatest</th></tr></thead><tbody>${listed.slice(0, 500).map((metric) => html`<tr><th scope="row"><button type="button" class="link" onClick=${() => toggle(metric)}><bdi>${format.visible(metric.name)}</bdi></button></th><td><bdi>${format.visible(metric.target)}</bdi></td><td><bdi>${format.visible(metric.unit)}</bdi></td><td class="right number">${format.count(metric.values)}</td><td class="right number">${metric.least === null ? "" : String(metric.least)}</td><td class="right number">${metric.most === null ? "" : String(metric.most)}</td></tr>`)}</tbody></table></section>` : null}</div></div></div>`;
}

/** @param {Given} page */
export default (page) => {
  /** @type {HTMLElement | null} */
  let host = null;
  return {
    mount(/** @type {HTMLElement} */ element) {
      host = element;
      render(html`<${Metrics} page=${page} />`, element);
    },
    dispose() {
      if (host) render(null, host);
    },
  };
};
