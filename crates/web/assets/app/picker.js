/** The bar with the time range and the zone. */
import { useState, useRef, useLayoutEffect } from "preact/hooks";
import { html } from "./html.js";
import { PRESETS, back, endsNow, forward, past, local, isZone, present, range, refresh, resolve, setRange, setZone, shift, typed, zone, zoom } from "./range.js";
import { formatDuration, formatOffset, formatTime, inZone, offsetAt, parseDuration, toRfc3339 } from "./time.js";
import { now } from "./time.js";

/** Where other ranges and zones are chosen. */
export const openRange = () => document.querySelector("#range-button")?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
export const openZone = () => document.querySelector("#zone-button")?.dispatchEvent(new MouseEvent("click", { bubbles: true }));

/** A panel below a button; closes by Escape and by a click elsewhere.
 * @param {{id: string, label: any, title: string, className?: string, children: any, isOpen: boolean, setOpen: (isOpen: boolean) => void}} props */
export function Menu({ id, label, title, className = "", children, isOpen, setOpen }) {
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  // not after it is painted: what is typed until then would be keys of the page
  useLayoutEffect(() => {
    if (!isOpen) return;
    const first = element.current?.querySelector("[autofocus], input, .menu button");
    if (first instanceof HTMLElement) first.focus();
    const elsewhere = (/** @type {Event} */ event) => {
      if (event.target instanceof Node && !element.current?.contains(event.target)) setOpen(false);
    };
    const escape = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
      document.getElementById(id)?.focus();
    };
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("keydown", escape, true);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("keydown", escape, true);
    };
  }, [isOpen]);
  return html`<div class=${`menu-holder ${className}`} ref=${element}>
    <button id=${id} type="button" title=${title} aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${label}<span class="caret" aria-hidden="true">▾</span></button>
    ${isOpen ? html`<div class="menu" role="group" aria-label=${title}>${children}</div>` : null}
  </div>`;
}

/** @param {bigint} begin @param {bigint} end @param {string} inThat */
function shownRange(begin, end, inThat) {
  const [a, b] = [inZone(begin, inThat), inZone(end, inThat)];
  const length = end - begin;
  const clock = (/** @type {typeof a} */ time) => (length < 20_000_000n ? `${time.clock}.${time.ms}${time.us}` : length < 60_000_000_000n ? `${time.clock}.${time.ms}` : time.clock);
  return `${a.date} ${clock(a)} – ${a.date === b.date ? "" : `${b.date} `}${clock(b)}`;
}

export function Picker() {
  const [isOpen, setOpen] = useState(false);
  const { begin, end, fault } = range.value;
  const last = /^now-(.+)$/.exec(typed.value.from);
  const lastDuration = endsNow.value && last ? parseDuration(last[1]) : null;
  const label = lastDuration !== null ? `last ${formatDuration(lastDuration)}` : formatDuration(end - begin);
  return html`<div class="range">
    <${Menu} id="range-button" title="Time range (t)" isOpen=${isOpen} setOpen=${setOpen}
      label=${html`<span class="range-label">${label}</span><span class="range-times" title=${`${toRfc3339(begin)}\n${toRfc3339(end)}`}>${shownRange(begin, end, zone.value)}</span>`}>
      <${RangeForm} close=${() => setOpen(false)} />
    <//>
    <span class="buttons">
      <button type="button" title="The range before (B)" aria-label="The range before" disabled=${past.value.at <= 0} onClick=${back}>↶</button>
      <button type="button" title="The range after (F)" aria-label="The range after" disabled=${past.value.at >= past.value.ranges.length - 1} onClick=${forward}>↷</button>
      <button type="button" title="Half a range earlier ( [ )" aria-label="Earlier" onClick=${() => shift(-1n)}>◂</button>
      <button type="button" title="Half a range later ( ] )" aria-label="Later" onClick=${() => shift(1n)}>▸</button>
      <button type="button" title="Twice the range ( - )" aria-label="Zoom out" onClick=${() => zoom(true)}>−</button>
      <button type="button" title="Half the range ( + )" aria-label="Zoom in" onClick=${() => zoom(false)}>+</button>
      <button type="button" title="Ask again (r)" aria-label="Ask again" onClick=${refresh}>↻</button>
    </span>
    ${fault ? html`<span class="fault" role="alert">${fault}: this is the last 15 minutes</span>` : null}
    <${Zone} />
  </div>`;
}

/** @param {{close: () => void}} props */
function RangeForm({ close }) {
  const absolute = (/** @type {string} */ text, /** @type {bigint} */ time) => (text.startsWith("now") ? text : formatTime(time, zone.value));
  const [from, setFrom] = useState(absolute(typed.value.from, range.value.begin));
  const [to, setTo] = useState(absolute(typed.value.to, range.value.end));
  const read = resolve(from, to, now(), zone.value);
  const apply = () => {
    if (typeof read === "string") return;
    const keep = (/** @type {string} */ text, /** @type {bigint} */ time) => (/^now/i.test(text.trim()) ? text.trim().toLowerCase() : time);
    setRange(keep(from, read.begin), keep(to, read.end));
    close();
  };
  return html`<form class="range-form" onSubmit=${(/** @type {Event} */ e) => { e.preventDefault(); apply(); }}>
    <div class="presets">${PRESETS.map((preset) => html`<button type="button" class=${typed.value.from === `now-${preset}` && endsNow.value ? "is-on" : ""}
      onClick=${() => { setRange(`now-${preset}`, "now"); close(); }}>last ${preset}</button>`)}</div>
    <label>from<input spellcheck=${false} value=${from} onInput=${(/** @type {any} */ e) => setFrom(e.target.value)} /></label>
    <label>to<input spellcheck=${false} value=${to} onInput=${(/** @type {any} */ e) => setTo(e.target.value)} /></label>
    <p class=${typeof read === "string" ? "hint fault" : "hint"}>${typeof read === "string" ? read
      : `${formatTime(read.begin, zone.value)} – ${formatTime(read.end, zone.value)}`}</p>
    <p class="hint">now-1h · 14:02 · yesterday 9:00 · 2026-01-31 12:00:00.5 · RFC 3339 · seconds, ms, µs or ns since 1970</p>
    <div class="form-end"><button class="primary" type="submit" disabled=${typeof read === "string"}>Show</button></div>
  </form>`;
}

function Zone() {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState("");
  const name = zone.value;
  const offset = formatOffset(offsetAt(name, present.value));
  const all = /** @type {any} */ (Intl).supportedValuesOf?.("timeZone") ?? [];
  const wanted = text.trim().toLowerCase().replaceAll(" ", "_");
  const found = [...new Set([local, "UTC", ...all])].filter((one) => one.toLowerCase().includes(wanted)).slice(0, 12);
  if (!found.length && isZone(text.trim())) found.push(text.trim());
  const choose = (/** @type {string} */ one) => { setZone(one); setOpen(false); setText(""); };
  return html`<${Menu} id="zone-button" className="zone" title="Time zone (z)" isOpen=${isOpen} setOpen=${setOpen}
    label=${html`<span>UTC${offset === "+00:00" ? "" : offset}</span>${name === "UTC" ? null : html`<span class="quiet">${name.split("/").pop()?.replaceAll("_", " ")}</span>`}`}>
    <form class="zone-form" onSubmit=${(/** @type {Event} */ e) => { e.preventDefault(); if (found[0]) choose(found[0]); }}>
      <input aria-label="Find a time zone" placeholder="Europe/Berlin" spellcheck=${false} value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} />
      ${found.map((one) => html`<button type="button" class=${one === name ? "is-on" : ""} onClick=${() => choose(one)}>${one.replaceAll("_", " ")}
        <span class="quiet">${one === local ? "this browser · " : ""}${formatOffset(offsetAt(one, present.value))}</span></button>`)}
      ${found.length ? null : html`<p class="hint">there is no such zone</p>`}
    </form>
  <//>`;
}
