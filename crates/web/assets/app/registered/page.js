/** Pages that crates registered: each is a module, which is given what docs/web.md says, and nothing else. */
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask, beginAsking, root } from "../api.js";
import { bind } from "../keys.js";
import { copy, loadFaults } from "../lastline.js";
import { kept, openSql } from "../open.js";
import { change, navigate, parameters } from "../route.js";
import { present, range, setRange, zone } from "../range.js";
import { theme, toast } from "../state.js";
import { baseName, formatBytes, formatCount, visible } from "../format.js";
import { formatDuration, formatTime, inZone, roundTimes, toRfc3339 } from "../time.js";
import { colorOf } from "../parts/spans.js";

/** @typedef {import("../api.js").Page} Page */
/** @typedef {{kind: "lake" | "process", id: string}} Subject */
/** @typedef {{parameters?: import("../api.js").Values, title?: string, signal?: AbortSignal, isHeavy?: boolean, limit?: number, range?: {begin: bigint, end: bigint}, isQuiet?: boolean}} Asking */

/** Calls `changed` when what `read` reads is another value. @param {() => unknown} read @param {() => void} changed */
function subscribe(read, changed) {
  let isFirst = true;
  return effect(() => {
    read();
    if (!isFirst) changed();
    isFirst = false;
  });
}

/** A color of the theme, as a canvas takes it. @param {string} name */
function color(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** What a module is given. @param {Subject} subject */
function given(subject) {
  return {
    version: 1,
    subject,
    query: (/** @type {string} */ sql, /** @type {Asking} */ { title = "rows", range: within, ...others } = {}) => {
      const { begin, end } = range.peek();
      return ask({ title, sql, range: within ?? { begin, end }, ...others });
    },
    begin: () => {
      beginAsking();
      void loadFaults();
    },
    range: {
      get value() {
        const { begin, end } = range.peek();
        return { begin, end };
      },
      get zone() {
        return zone.peek();
      },
      set: (/** @type {bigint} */ begin, /** @type {bigint} */ end) => setRange(begin, end),
      subscribe: (/** @type {() => void} */ changed) => subscribe(() => [range.value, zone.value, present.value], changed),
    },
    parameters: {
      get value() {
        return parameters.peek();
      },
      set: change,
      subscribe: (/** @type {() => void} */ changed) => subscribe(() => parameters.value, changed),
    },
    theme: {
      color,
      subscribe(/** @type {() => void} */ changed) {
        const system = matchMedia("(prefers-color-scheme: dark)");
        system.addEventListener("change", changed);
        const stop = subscribe(() => theme.value, changed);
        return () => {
          stop();
          system.removeEventListener("change", changed);
        };
      },
    },
    format: { count: formatCount, bytes: formatBytes, duration: formatDuration, time: (/** @type {bigint} */ time) => formatTime(time, zone.peek()), rfc3339: toRfc3339, clock: (/** @type {bigint} */ time) => inZone(time, zone.peek()), ticks: (/** @type {bigint} */ begin, /** @type {bigint} */ end, /** @type {number} */ most) => roundTimes(begin, end, most, zone.peek()).times, visible, baseName, colorOf },
    open: { page: (/** @type {string} */ page, /** @type {Record<string, string>} */ added = {}) => navigate({ page, parameters: { ...kept(), ...added } }), sql: openSql },
    keys: bind,
    say: toast,
    copy,
  };
}

/** What every module is given. @typedef {ReturnType<typeof given>} Given */

/** @param {{page: Page, subject: Subject}} props */
export function Registered({ page, subject }) {
  const host = useRef(/** @type {HTMLElement | null} */ (null));
  const [fault, setFault] = useState("");
  useEffect(() => {
    let isOver = false;
    /** @type {{mount(element: HTMLElement): unknown, dispose(): unknown} | null} */
    let made = null;
    const failed = (/** @type {unknown} */ error) => {
      if (!isOver) setFault(error instanceof Error ? error.message : String(error));
    };
    void (async () => {
      // beside this module's own directory, with the hash of the build
      const base = new URL("../../", import.meta.url);
      const { default: make } = await import(new URL(page.module, base).href);
      if (isOver || !host.current) return;
      made = make(given(subject));
      await made?.mount(host.current);
    })().catch(failed);
    return () => {
      isOver = true;
      void (async () => made?.dispose())().catch(() => {});
    };
  }, [page.name, subject.id]);
  return fault ? html`<div class="state" role="alert"><h2>This page can't begin</h2><p class="message-of-server">${visible(fault)}</p><p><button type="button" onClick=${() => location.reload()}>Load it again</button></p><p class="quiet">It is a page of ${page.crate}, asked of ${root.host}.</p></div>`
    : html`<div class="registered" ref=${host}></div>`;
}
