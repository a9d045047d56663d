/** Spans as boxes: one line for each depth, or for each name. What they are stands in the table beside it. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { theme } from "../state.js";
import { visible } from "../format.js";
import { formatDuration, formatTime, inZone, roundTimes, DAY, MINUTE, SECOND } from "../time.js";
import { COLORS } from "./chart.js";
import { useWidth } from "./width.js";

/** @typedef {{name: string, lane: number, begin: bigint, end: bigint}} Span */
const [ROW, TOP, LEFT] = [17, 20, 8];
const MOST_LANES = 40;

/** The same name has the same color everywhere. @param {string} name */
export function colorOf(name) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) % COLORS;
}

/** In a narrow box, the end of a path says most. @param {string} name */
const lastPart = (name) => name.split(/::|[./\\]/).filter(Boolean).pop() ?? name;

/** @param {{spans: Span[], lanes: string[] | null, zone: string, label: string, onRange: (begin: bigint, end: bigint) => void}} props */
export function Spans({ spans, lanes, zone, label, onRange }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const width = useWidth(canvas);
  const [over, setOver] = useState(/** @type {{x: number, y: number, span: Span} | null} */ (null));
  const [brush, setBrush] = useState(/** @type {{from: number, to: number} | null} */ (null));
  const begin = spans.reduce((a, { begin }) => (begin < a ? begin : a), spans[0]?.begin ?? 0n);
  const end = spans.reduce((a, { end }) => (end > a ? end : a), begin + 1n);
  const length = Number(end - begin);
  const left = lanes ? 150 : LEFT;
  const count = Math.min(MOST_LANES, spans.reduce((most, { lane }) => Math.max(most, lane + 1), 1));
  const height = TOP + count * ROW + 4;
  const inner = Math.max(1, width - left - LEFT);
  const px = (/** @type {bigint} */ time) => left + (Number(time - begin) / length) * inner;
  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element || !width) return;
    const ratio = devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    const context = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d"));
    context.scale(ratio, ratio);
    const probe = document.createElement("span");
    element.after(probe);
    const color = (/** @type {string} */ name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    const colors = Array.from({ length: COLORS }, (_, index) => color(`--span-${index}`));
    const [quiet, text, line] = [color("--text-quiet"), color("--span-text"), color("--line")];
    context.font = `11px ${getComputedStyle(element).fontFamily}`;
    context.textBaseline = "middle";
    context.fillStyle = quiet;
    context.textAlign = "center";
    for (const time of roundTimes(begin, end, Math.max(2, Math.floor(inner / 120)), zone).times) {
      const { date, clock, ms, us } = inZone(time, zone);
      const shown = length > Number(2n * DAY) ? date.slice(5) : length > Number(10n * MINUTE) ? clock.slice(0, 5) : length > Number(5n * SECOND) ? clock : length > Number(SECOND) / 200 ? `${clock}.${ms}` : `.${ms}${us}`;
      const x = px(time);
      context.fillStyle = line;
      context.fillRect(x, TOP - 4, 1, height - TOP);
      context.fillStyle = quiet;
      if (x > left + 20 && x < width - 30) context.fillText(shown, x, 8);
    }
    context.textAlign = "left";
    lanes?.slice(0, count).forEach((name, lane) => context.fillText(clip(context, visible(name), left - 16), LEFT, TOP + lane * ROW + ROW / 2));
    for (const { name, lane, begin: from, end: to } of spans) {
      if (lane >= count) continue;
      const [x, right] = [px(from), px(to)];
      context.fillStyle = colors[colorOf(name)];
      context.fillRect(x, TOP + lane * ROW, Math.max(1, right - x - 0.5), ROW - 2);
      if (right - x > 34 && !lanes) {
        context.fillStyle = text;
        const isRoomy = context.measureText(name.slice(0, 200)).width < right - x - 8;
        context.fillText(clip(context, visible(isRoomy ? name : lastPart(name)), right - x - 8), x + 4, TOP + lane * ROW + ROW / 2 - 1);
      }
    }
    probe.remove();
  }, [spans, width, zone, theme.value]);
  const place = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (canvas.current).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const timeAt = (/** @type {number} */ x) => begin + BigInt(Math.round((Math.min(1, Math.max(0, (x - left) / inner))) * length));
  return html`<figure class="chart"><canvas ref=${canvas} style=${`height: ${height}px`} role="img" aria-label=${label}
      onPointerDown=${(/** @type {any} */ e) => { e.target.setPointerCapture(e.pointerId); const { x } = place(e); setBrush({ from: x, to: x }); }}
      onPointerMove=${(/** @type {PointerEvent} */ e) => {
        const { x, y } = place(e);
        if (brush) setBrush({ ...brush, to: x });
        const lane = Math.floor((y - TOP) / ROW);
        // a small one that lies over a large one is meant
        const found = spans.filter((span) => span.lane === lane && px(span.begin) - 1 <= x && x <= Math.max(px(span.end), px(span.begin) + 2)).at(-1);
        setOver(found ? { x, y, span: found } : null);
      }}
      onPointerUp=${() => { if (brush && Math.abs(brush.to - brush.from) > 4) onRange(timeAt(Math.min(brush.from, brush.to)), timeAt(Math.max(brush.from, brush.to))); setBrush(null); }}
      onPointerCancel=${() => setBrush(null)} onPointerLeave=${() => setOver(null)}></canvas>
    ${brush ? html`<div class="brush" style=${`left: ${Math.min(brush.from, brush.to)}px; width: ${Math.abs(brush.to - brush.from)}px; height: ${height}px`}></div>` : null}
    ${over ? html`<div class=${over.x > width / 2 ? "tip is-left" : "tip"} style=${`left: ${over.x}px; top: ${over.y + 14}px`}><b>${visible(over.span.name.slice(0, 120))}</b><div>${formatDuration(over.span.end - over.span.begin)}</div><div class="quiet">${formatTime(over.span.begin, zone)}</div></div>` : null}</figure>`;
}

/** @param {CanvasRenderingContext2D} context @param {string} text @param {number} width */
function clip(context, text, width) {
  let most = Math.min(text.length, Math.ceil(width / 4));
  while (most > 0 && context.measureText(text.slice(0, most)).width > width) most -= 1;
  return most < text.length ? `${text.slice(0, Math.max(0, most - 1))}…` : text;
}
