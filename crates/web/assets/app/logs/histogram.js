/** Rows along time, stacked by level. Dragging zooms. */
import { useRef, useLayoutEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { histogram, state } from "./model.js";
import { setRange, zone } from "../range.js";
import { formatCount, plural } from "../format.js";
import { LEVELS } from "../parts/search.js";
import { formatDuration, formatTime, inZone, roundTimes, DAY, MINUTE, SECOND } from "../time.js";
import { useWidth } from "../parts/width.js";

const HEIGHT = 64;

/** @typedef {{from: number, to: number}} Brush */

/** @param {{theme: string}} props */
export function Histogram({ theme }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const width = useWidth(canvas);
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const [brush, setBrush] = useState(/** @type {Brush | null} */ (null));
  const shown = histogram.value;
  useLayoutEffect(() => {
    if (canvas.current && shown && width) draw(canvas.current, shown, width);
  }, [shown, width, theme]);
  const bin = at !== null && shown && width ? Math.min(shown.bins.count - 1, Math.max(0, Math.floor((at / width) * shown.bins.count))) : null;
  const timeAt = (/** @type {number} */ x) => shown ? shown.bins.begin + (shown.bins.width * BigInt(shown.bins.count) * BigInt(Math.round((Math.min(width, Math.max(0, x)) / width) * 1e6))) / 1_000_000n : 0n;
  const x = (/** @type {PointerEvent} */ event) => event.clientX - (canvas.current?.getBoundingClientRect().left ?? 0);
  const finish = () => {
    if (brush && shown && Math.abs(brush.to - brush.from) > 3) {
      setRange(timeAt(Math.min(brush.from, brush.to)), timeAt(Math.max(brush.from, brush.to)));
    } else if (brush && shown && bin !== null) {
      const begin = shown.bins.begin + shown.bins.width * BigInt(bin);
      setRange(begin, begin + shown.bins.width - 1n);
    }
    setBrush(null);
  };
  return html`<div class="histogram">
    <canvas ref=${canvas} height=${HEIGHT} role="img" aria-label=${shown ? `${plural(shown.total, "row")} along time` : "rows along time"}
      onPointerDown=${(/** @type {any} */ e) => { e.target.setPointerCapture(e.pointerId); setBrush({ from: x(e), to: x(e) }); }}
      onPointerMove=${(/** @type {any} */ e) => { setAt(x(e)); if (brush) setBrush({ ...brush, to: x(e) }); }}
      onPointerUp=${finish} onPointerCancel=${() => setBrush(null)} onPointerLeave=${() => setAt(null)}></canvas>
    ${brush ? html`<div class="brush" style=${`left: ${Math.min(brush.from, brush.to)}px; width: ${Math.abs(brush.to - brush.from)}px`}></div>` : null}
    <${Axis} width=${width} />
    ${shown && bin !== null && !brush ? html`<${Tip} bin=${bin} left=${at ?? 0} width=${width} />` : null}
    ${state.value === "asking" ? html`<div class="progress" role="progressbar" aria-label="asking"></div>` : null}
  </div>`;
}

/** @param {{bin: number, left: number, width: number}} props */
function Tip({ bin, left, width }) {
  const shown = histogram.value;
  if (!shown) return null;
  const begin = shown.bins.begin + shown.bins.width * BigInt(bin);
  const levels = [...shown.counts].sort(([a], [b]) => a - b).map(([level, values]) => /** @type {const} */ ([level, values[bin] ?? 0])).filter(([, rows]) => rows);
  return html`<div class=${left > width - 240 ? "tip is-left" : "tip"} style=${`left: ${left}px`}>
    <b>${formatTime(begin, zone.value)}</b> <span class="quiet">+ ${formatDuration(shown.bins.width)}</span>
    ${levels.map(([level, rows]) => html`<div><span class=${`swatch f${level}`}></span>${LEVELS[level - 1] ?? `level ${level}`}<span class="number">${formatCount(rows)}</span></div>`)}
    ${levels.length ? null : html`<div class="quiet">nothing</div>`}</div>`;
}

/** @param {HTMLCanvasElement} canvas @param {import("./model.js").Histogram} shown @param {number} width */
function draw(canvas, { bins, counts, most }, width) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(HEIGHT * scale);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(scale, scale);
  const probe = document.createElement("span");
  canvas.parentElement?.append(probe);
  const colors = [1, 2, 3, 4, 5, 6].map((level) => {
    probe.className = `f${level}`;
    return getComputedStyle(probe).backgroundColor;
  });
  probe.remove();
  const step = width / bins.count;
  const gap = step > 4 ? 1 : 0;
  for (let bin = 0; bin < bins.count; bin += 1) {
    let y = HEIGHT;
    // what is rare and bad stands at the bottom, and is at least a pixel high
    for (const level of [1, 2, 3, 4, 5, 6]) {
      const rows = counts.get(level)?.[bin] ?? 0;
      if (!rows) continue;
      const height = Math.max(level <= 3 ? 2 : 1, (rows / most) * (HEIGHT - 4));
      y -= height;
      context.fillStyle = colors[level - 1];
      context.fillRect(Math.round(bin * step), y, Math.max(1, Math.round((bin + 1) * step) - Math.round(bin * step) - gap), height);
    }
  }
}

/** Times below. @param {{width: number}} props */
function Axis({ width }) {
  const shown = histogram.value;
  if (!shown || !width) return html`<div class="axis"></div>`;
  const { begin, width: bin, count } = shown.bins;
  const whole = bin * BigInt(count);
  const { step, times } = roundTimes(begin, begin + whole, Math.max(1, Math.floor(width / 130)), zone.value);
  const labels = times.map((time) => {
    const left = Number(((time - begin) * 100_000n) / whole) / 1000;
    const at = inZone(time, zone.value);
    const text = step >= DAY ? at.date : whole > DAY ? `${at.date.slice(5)} ${at.clock.slice(0, 5)}` : step >= MINUTE ? at.clock.slice(0, 5)
      : step >= SECOND ? at.clock : `${at.clock.slice(3)}.${at.ms}${step < 1_000_000n ? at.us : ""}${step < 1000n ? at.ns : ""}`;
    // half a label must not stick out
    return left * width < 2500 || (100 - left) * width < 2500 ? null : html`<span style=${`left: ${left}%`}>${text}</span>`;
  });
  return html`<div class="axis" aria-hidden="true">${labels}</div>`;
}
