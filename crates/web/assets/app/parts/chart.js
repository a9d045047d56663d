/** Lines along time, or bars of names, on a canvas. What it draws stands beside it as a table, so it is a picture only. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { theme } from "../state.js";
import { visible } from "../format.js";
import { withUnit } from "./values.js";
import { formatTime, inZone, roundTimes, DAY, MINUTE, SECOND } from "../time.js";
import { useWidth } from "./width.js";

/** Times are nanoseconds after `base`. @typedef {{name: string, x: Float64Array, y: Float64Array, color?: string}} Series */
/** `bin`: bars of so many nanoseconds that begin at their times, one series on top of the other. `range`: what is shown even where nothing is.
 * @typedef {{series: Series[], base: bigint, unit: string | null, zone: string, label: string, height?: number, bin?: number, range?: {begin: bigint, end: bigint}, onRange?: (begin: bigint, end: bigint) => void}} LinesProps */

export const COLORS = 8;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 10, 8, 20];

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

/** @param {LinesProps} props */
function bounds({ series, bin = 0, range, base }) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, 0, -Infinity];
  if (range) [x0, x1] = [Number(range.begin - base), Number(range.end - base)];
  /** @type {Map<number, number>} */
  const sums = new Map();
  for (const { x, y } of series) {
    for (let i = 0; i < x.length; i += 1) {
      if (x[i] < x0) x0 = x[i];
      if (x[i] + bin > x1) x1 = x[i] + bin;
      if (!Number.isFinite(y[i])) continue;
      if (bin) {
        sums.set(x[i], (sums.get(x[i]) ?? 0) + y[i]);
        continue;
      }
      if (y[i] < y0) y0 = y[i];
      if (y[i] > y1) y1 = y[i];
    }
  }
  for (const sum of sums.values()) if (sum > y1) y1 = sum;
  if (!Number.isFinite(y1)) y1 = 1;
  if (y1 === y0) y1 = y0 + 1;
  if (x1 === x0) x1 = x0 + 1;
  return { x0, x1, y0, y1: y1 + (y1 - y0) * 0.06 };
}

/** @param {LinesProps} props */
export function Lines(props) {
  const { series, base, unit, zone, label, height = 220, onRange } = props;
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const width = useWidth(canvas);
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const [brush, setBrush] = useState(/** @type {{from: number, to: number} | null} */ (null));
  const box = bounds(props);
  useLayoutEffect(() => {
    if (canvas.current && width) draw(canvas.current, props, box, width, height);
  }, [series, width, height, zone, theme.value, unit, props.bin]);
  const inner = Math.max(1, width - LEFT - RIGHT);
  const timeAt = (/** @type {number} */ x) => base + BigInt(Math.round(box.x0 + (Math.min(1, Math.max(0, (x - LEFT) / inner))) * (box.x1 - box.x0)));
  const place = (/** @type {PointerEvent} */ event) => event.clientX - (canvas.current?.getBoundingClientRect().left ?? 0);
  const values = at === null ? [] : series.map(({ name, x, y }, index) => ({ name, index, i: nearest(x, Number(timeAt(at) - base)), x, y }))
    .filter(({ x, i }) => x.length && (!props.bin || (x[i] <= Number(timeAt(at) - base) && Number(timeAt(at) - base) < x[i] + props.bin))).map(({ name, index, i, x, y }) => ({ name, index, time: x[i], value: y[i] }));
  const finish = () => {
    if (brush && onRange && Math.abs(brush.to - brush.from) > 4) onRange(timeAt(Math.min(brush.from, brush.to)), timeAt(Math.max(brush.from, brush.to)));
    setBrush(null);
  };
  return html`<figure class="chart"><canvas ref=${canvas} style=${`height: ${height}px`} role="img" aria-label=${label}
      onPointerDown=${(/** @type {any} */ e) => { if (!onRange) return; e.target.setPointerCapture(e.pointerId); setBrush({ from: place(e), to: place(e) }); }}
      onPointerMove=${(/** @type {any} */ e) => { setAt(place(e)); if (brush) setBrush({ ...brush, to: place(e) }); }}
      onPointerUp=${finish} onPointerCancel=${() => setBrush(null)} onPointerLeave=${() => setAt(null)}></canvas>
    ${brush ? html`<div class="brush" style=${`left: ${Math.min(brush.from, brush.to)}px; width: ${Math.abs(brush.to - brush.from)}px; height: ${height - BOTTOM}px`}></div>` : null}
    ${values.length && at !== null ? html`<div class=${at > width / 2 ? "tip is-left" : "tip"} style=${`left: ${at}px; top: ${TOP}px`}>
      <div class="quiet">${formatTime(base + BigInt(Math.round(values[0].time)), zone)}</div>
      ${values.slice(0, 12).map(({ name, index, value }) => html`<div><span class=${`swatch ${swatch(series[index], index)}`}></span>${visible(name.slice(0, 60))}<span class="number">${withUnit(value, unit)}</span></div>`)}</div>` : null}
    ${series.length > 1 ? html`<figcaption>${series.map((one, index) => html`<span><span class=${`swatch ${swatch(one, index)}`}></span>${visible(one.name.slice(0, 60)) || "(empty)"}</span>`)}</figcaption>` : null}</figure>`;
}

/** @param {Series} series @param {number} index */
const swatch = ({ color }, index) => (color ? color.replace("--fill-", "f") : `s${index % COLORS}`);

/** @param {Float64Array} x @param {number} wanted */
function nearest(x, wanted) {
  if (!x.length) return 0;
  let [low, high] = [0, x.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - x[low - 1] < x[low] - wanted ? low - 1 : low;
}

/** @param {HTMLCanvasElement} canvas @param {LinesProps} props @param {{x0: number, x1: number, y0: number, y1: number}} box @param {number} width @param {number} height */
function draw(canvas, { series, base, unit, zone, bin }, { x0, x1, y0, y1 }, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  // light-dark() is worked out for properties that have it as their color only
  const probe = document.createElement("span");
  canvas.after(probe);
  const color = (/** @type {string} */ name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const [line, quiet] = [color("--line"), color("--text-quiet")];
  const [right, bottom] = [width - RIGHT, height - BOTTOM];
  const px = (/** @type {number} */ x) => LEFT + ((x - x0) / (x1 - x0)) * (right - LEFT);
  const py = (/** @type {number} */ y) => bottom - ((y - y0) / (y1 - y0)) * (bottom - TOP);
  context.font = `11px ${style.fontFamily}`;
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of ticks(y0, y1, 4)) {
    const y = Math.round(py(tick)) + 0.5;
    context.strokeStyle = line;
    context.beginPath();
    context.moveTo(LEFT, y);
    context.lineTo(right, y);
    context.stroke();
    context.fillStyle = quiet;
    context.fillText(withUnit(tick, unit), LEFT - 6, y);
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  const span = BigInt(Math.round(x1 - x0));
  for (const time of roundTimes(base + BigInt(Math.round(x0)), base + BigInt(Math.round(x1)), Math.max(2, Math.floor((right - LEFT) / 110)), zone).times) {
    const { date, clock, ms, us } = inZone(time, zone);
    const text = span > 2n * DAY ? date.slice(5) : span > 10n * MINUTE ? clock.slice(0, 5) : span > 5n * SECOND ? clock : span > SECOND / 200n ? `${clock}.${ms}` : `.${ms}${us}`;
    const x = px(Number(time - base));
    if (x > LEFT + 20 && x < right - 20) context.fillText(text, x, bottom + 6);
  }
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, right - LEFT, bottom + 1);
  context.clip();
  /** @type {Map<number, number>} */
  const stacked = new Map();
  series.forEach(({ x, y }, index) => {
    context.strokeStyle = context.fillStyle = color(series[index].color ?? `--series-${index % COLORS}`);
    context.lineWidth = 1.5;
    if (bin) {
      const bar = Math.max(1, px(x0 + bin) - px(x0) - 1);
      for (let i = 0; i < x.length; i += 1) {
        if (!Number.isFinite(y[i])) continue;
        const below = stacked.get(x[i]) ?? 0;
        context.fillRect(px(x[i]), py(below + y[i]), bar, py(below) - py(below + y[i]));
        stacked.set(x[i], below + y[i]);
      }
      return;
    }
    context.beginPath();
    let isOn = false;
    for (let i = 0; i < x.length; i += 1) {
      // what is no number is a gap
      if (!Number.isFinite(y[i])) {
        isOn = false;
        continue;
      }
      if (isOn) context.lineTo(px(x[i]), py(y[i]));
      else context.moveTo(px(x[i]), py(y[i]));
      isOn = true;
    }
    context.stroke();
    if (x.length <= 60) for (let i = 0; i < x.length; i += 1) if (Number.isFinite(y[i])) context.fillRect(px(x[i]) - 2, py(y[i]) - 2, 4, 4);
  });
  context.restore();
  probe.remove();
}

/** Numbers by name, the order as it is given. @param {{bars: {name: string, value: number}[], unit: string | null, label: string}} props */
export function Bars({ bars, unit, label }) {
  const most = Math.max(0, ...bars.map(({ value }) => (Number.isFinite(value) ? value : 0))) || 1;
  return html`<ol class="bars" aria-label=${label}>${bars.map(({ name, value }) => html`<li><bdi class="bar-name" title=${visible(name)}>${visible(name.slice(0, 200)) || "(empty)"}</bdi><span class="bar-space"><span class="bar-fill" style=${`width: ${Math.max(0, (100 * value) / most)}%`}></span></span><span class="number">${withUnit(value, unit)}</span></li>`)}</ol>`;
}
