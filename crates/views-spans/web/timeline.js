/** What the threads of a process did, along time. Rows come as a picture of this width needs them (`span_tiles`), so the
 * page costs the same for a thousand spans and for fifty million. */
import { h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import htm from "htm";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
const html = htm.bind(/** @type {any} */ (h));

/** @typedef {import("../../web/assets/app/registered/page.js").Given} Given */
/** A row of the picture: one span, or several short ones; times are nanoseconds after `base`.
 * @typedef {{stream: string, depth: number, begin: number, end: number, spans: number, busy: bigint, id: bigint, name: string, longest: bigint, isComplete: boolean}} Tile */
/** @typedef {{id: string, name: string, events: number}} Thread */
/** @typedef {{base: bigint, byRow: Map<string, Tile[]>, depths: Map<string, number>, count: number, spans: number}} Picture */

const [ROW, HEAD, TOP, LEFT] = [17, 20, 24, 8];
/** A canvas may be as high as 32,767 pixels of the screen; threads below this height begin folded. */
const HIGHEST = 12_000;
/** Spans of the table under the picture. */
const MOST_LISTED = 100;

const THREADS = `SELECT s.stream_id, coalesce(property_get(s.properties, 'thread-name'), s.stream_id) AS name, sum(b.nb_objects) AS events, min(b.begin_time) AS "begin", max(b.end_time) AS "end"
FROM streams s JOIN blocks b ON s.stream_id = b.stream_id
WHERE s.process_id = $1 AND array_has(s.tags, 'cpu')
GROUP BY 1, 2
ORDER BY 2, 1`;

/** @param {string} process @param {{begin: bigint, end: bigint}} range @param {number} width @param {Given} page */
const tilesSql = (process, { begin, end }, width, page) =>
  `SELECT * FROM span_tiles('${process}', '${page.format.rfc3339(begin)}', '${page.format.rfc3339(end)}', ${width})\nORDER BY stream_id, depth, "begin"`;

/** @param {any} rows @param {bigint} base @returns {Picture} */
function pictureOf(rows, base) {
  /** @type {Map<string, Tile[]>} */
  const byRow = new Map();
  const depths = new Map();
  let spans = 0;
  for (let row = 0; row < rows.rows; row += 1) {
    const get = (/** @type {string} */ name) => rows.get(name, row);
    const tile = { stream: get("stream_id"), depth: Number(get("depth")), begin: Number(get("begin") - base), end: Number(get("end") - base), spans: Number(get("spans")), busy: get("busy"), id: get("id"), name: get("name"), longest: get("longest"), isComplete: get("is_complete") };
    const key = `${tile.stream} ${tile.depth}`;
    const of = byRow.get(key);
    if (of) of.push(tile);
    else byRow.set(key, [tile]);
    depths.set(tile.stream, Math.max(depths.get(tile.stream) ?? 0, tile.depth));
    spans += tile.spans;
  }
  return { base, byRow, depths, count: rows.rows, spans };
}

/** The tile at a time, or the nearest one within a few pixels. @param {Tile[]} row @param {number} time @param {number} slack */
function tileAt(row, time, slack) {
  let [low, high] = [0, row.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle].begin <= time) low = middle + 1;
    else high = middle;
  }
  const near = [row[low - 1], row[low]].filter((tile) => tile && tile.begin - slack <= time && time <= tile.end + slack);
  return near.find((tile) => tile.begin <= time && time <= tile.end) ?? near[0];
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
function Timeline({ page }) {
  const { format } = page;
  const id = page.subject.id;
  const [threads, setThreads] = useState(/** @type {Thread[] | null} */ (null));
  const [life, setLife] = useState(/** @type {{begin: bigint, end: bigint} | null} */ (null));
  const [picture, setPicture] = useState(/** @type {Picture | null} */ (null));
  const [isAsking, setAsking] = useState(true);
  const [fault, setFault] = useState("");
  const [view, setView] = useState(page.range.value);
  // whether somebody moved here: only then is the range of all pages what is seen here, otherwise it is the other way around
  const isMoved = useRef(false);
  const isOwn = useRef(false);
  const [turn, askAgain] = useReducer((/** @type {number} */ n) => n + 1, 0);
  const move = (/** @type {{begin: bigint, end: bigint}} */ to) => {
    isMoved.current = true;
    setView(to);
  };
  const [turned, setTurned] = useState(/** @type {Set<string>} */ (new Set()));
  const [chosen, setChosen] = useState(/** @type {Tile | null} */ (null));
  const [over, setOver] = useState(/** @type {{x: number, y: number, tile: Tile} | null} */ (null));
  const [brush, setBrush] = useState(/** @type {{from: number, to: number} | null} */ (null));
  const [find, setFind] = useState(page.parameters.value.find ?? "");
  const [, redraw] = useReducer((/** @type {number} */ n) => n + 1, 0);
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);
  const drag = useRef(/** @type {{x: number, view: {begin: bigint, end: bigint}} | null} */ (null));
  const inner = Math.max(1, width - LEFT - 8);

  // at once: a step back may come before the next frame
  useLayoutEffect(() => {
    const follow = () => {
      if (isOwn.current) return;
      isMoved.current = false;
      setView(page.range.value);
      askAgain(0);
    };
    const stops = [page.theme.subscribe(() => redraw(0)), page.range.subscribe(follow)];
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
    // all threads, whatever the range is: a lane does not come and go while one moves
    page.query(THREADS, { title: "threads", parameters: [id], range: { begin: 0n, end: 4_102_444_800_000_000_000n }, signal: controller.signal }).then((rows) => {
      const all = Array.from({ length: rows.rows }, (_, row) => ({ id: rows.get("stream_id", row), name: rows.get("name", row), events: Number(rows.get("events", row)) }));
      setThreads(all);
      if (!rows.rows) return;
      const times = (/** @type {string} */ name) => Array.from({ length: rows.rows }, (_, row) => rows.get(name, row));
      setLife({ begin: times("begin").reduce((a, b) => (b < a ? b : a)), end: times("end").reduce((a, b) => (b > a ? b : a)) });
    }, (error) => { if (!controller.signal.aborted) setFault(error.message); });
    return () => controller.abort();
  }, [id]);
  // what is shown is asked for when it has stood still for a moment; until then the last picture is drawn at its new place
  const { begin, end } = view;
  useEffect(() => {
    if (width === 0 || end <= begin) return;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      if (isMoved.current) {
        isMoved.current = false;
        isOwn.current = true;
        page.range.set(begin, end);
        isOwn.current = false;
      }
      page.begin();
      setAsking(true);
      try {
        const rows = await page.query(tilesSql(id, view, inner, page), { title: "spans", signal: controller.signal, isHeavy: true, range: view });
        setPicture(pictureOf(rows, begin));
        setFault(rows.isCut ? `${rows.why}: these spans are not all` : "");
        setAsking(false);
      } catch (error) {
        if (controller.signal.aborted) return;
        setFault(error instanceof Error ? error.message : String(error));
        setAsking(false);
      }
    }, picture ? 120 : 0);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [id, begin, end, turn, width === 0 ? 0 : inner]);

  /** Lanes from the top: where each thread begins. */
  const lanes = useMemo(() => {
    let top = TOP;
    return (threads ?? []).map((thread) => {
      const depth = picture?.depths.get(thread.id) ?? 0;
      const isLow = top + HEAD + depth * ROW > HIGHEST;
      const isFolded = isLow !== turned.has(thread.id);
      const lane = { ...thread, top, depth, isFolded, height: HEAD + (isFolded ? 0 : depth * ROW) + 4 };
      top += lane.height;
      return lane;
    });
  }, [threads, picture, turned]);
  const height = (lanes.at(-1)?.top ?? TOP) + (lanes.at(-1)?.height ?? 0) + 8;
  const length = Number(end - begin);
  const pixel = length / inner;
  const xOf = (/** @type {number} */ time) => LEFT + (time + Number((picture?.base ?? begin) - begin)) / pixel;
  const words = find.trim().toLowerCase();
  const isFound = (/** @type {Tile} */ tile) => words === "" || tile.name.toLowerCase().includes(words);

  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || !width) return;
    const ratio = Math.min(devicePixelRatio || 1, 32_000 / height);
    element.width = width * ratio;
    element.height = height * ratio;
    context.scale(ratio, ratio);
    const [text, quiet, line, panel, accent, bad] = ["--text", "--text-quiet", "--line", "--panel", "--accent", "--bad-text"].map(page.theme.color);
    const colors = Array.from({ length: 8 }, (_, index) => page.theme.color(`--span-${index}`));
    const spanText = page.theme.color("--span-text");
    const family = getComputedStyle(element).fontFamily;
    context.font = `11px ${family}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    for (const time of format.ticks(begin, end, Math.max(2, Math.floor(inner / 120)))) {
      const x = LEFT + Number(time - begin) / pixel;
      const { date, clock, ms, us } = format.clock(time);
      const shown = length > 172_800e9 ? date.slice(5) : length > 600e9 ? clock.slice(0, 5) : length > 5e9 ? clock : length > 5e6 ? `${clock.slice(6)}.${ms}` : `.${ms}${us}`;
      context.fillStyle = line;
      context.fillRect(x, TOP - 6, 1, height);
      context.fillStyle = quiet;
      if (x > LEFT + 24 && x < width - 30) context.fillText(shown, x, 9);
    }
    context.textAlign = "left";
    for (const lane of lanes) {
      context.fillStyle = panel;
      context.fillRect(0, lane.top, width, HEAD - 3);
      context.fillStyle = text;
      context.font = `600 11px ${family}`;
      const title = clip(context, `${lane.isFolded ? "▸" : "▾"} ${format.visible(lane.name)}`, inner - 160);
      const wideTitle = context.measureText(title).width;
      if (!lane.isFolded) context.fillText(title, LEFT, lane.top + HEAD / 2 - 1);
      context.font = `11px ${family}`;
      context.fillStyle = quiet;
      if (lane.depth === 0 && picture) context.fillText("nothing in this range", LEFT + wideTitle + 12, lane.top + HEAD / 2 - 1);
      for (let depth = 1; depth <= lane.depth; depth += 1) {
        const y = lane.isFolded ? lane.top + 2 : lane.top + HEAD + (depth - 1) * ROW;
        const tall = lane.isFolded ? HEAD - 7 : ROW - 2;
        for (const tile of picture?.byRow.get(`${lane.id} ${depth}`) ?? []) {
          const [x, right] = [Math.max(LEFT, xOf(tile.begin)), Math.min(width - 8, xOf(tile.end))];
          if (right < LEFT || x > width - 8) continue;
          const wide = Math.max(1, right - x - (right - x > 3 ? 0.5 : 0));
          context.globalAlpha = isFound(tile) ? 1 : 0.22;
          context.fillStyle = colors[format.colorOf(tile.name) % 8];
          context.fillRect(x, y, wide, tall);
          if (!tile.isComplete) {
            context.fillStyle = bad;
            context.fillRect(x + wide - 2, y, 2, tall);
          }
          if (tile === chosen) {
            context.strokeStyle = accent;
            context.lineWidth = 2;
            context.strokeRect(x, y, wide, tall);
          }
          if (wide > 34 && !lane.isFolded) {
            context.fillStyle = spanText;
            const name = format.visible(tile.spans > 1 ? `${format.count(tile.spans)} × ${lastPart(tile.name)}` : tile.name);
            const shown = context.measureText(name.slice(0, 200)).width < wide - 8 ? name : format.visible(lastPart(tile.name));
            context.fillText(clip(context, shown, wide - 8), x + 4, y + tall / 2);
          }
        }
        if (lane.isFolded) break;
      }
      context.globalAlpha = 1;
      if (lane.isFolded) {
        // over its outermost spans, and readable on any of them
        context.fillStyle = panel;
        context.fillRect(0, lane.top, LEFT + wideTitle + 8, HEAD - 3);
        context.fillStyle = text;
        context.font = `600 11px ${family}`;
        context.fillText(title, LEFT, lane.top + HEAD / 2 - 1);
        context.font = `11px ${family}`;
      }
    }
  });

  /** @param {{clientX: number, clientY: number}} event */
  const at = (event) => {
    const box = /** @type {HTMLElement} */ (canvas.current).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const laneAt = (/** @type {number} */ y) => lanes.find((lane) => lane.top <= y && y < lane.top + lane.height);
  const tileOf = (/** @type {number} */ x, /** @type {number} */ y) => {
    const lane = laneAt(y);
    if (!lane || !picture || x < LEFT) return undefined;
    const depth = lane.isFolded ? 1 : Math.floor((y - lane.top - HEAD) / ROW) + 1;
    const time = (x - LEFT) * pixel - Number(picture.base - begin);
    return tileAt(picture.byRow.get(`${lane.id} ${depth}`) ?? [], time, 2 * pixel);
  };
  const timeAt = (/** @type {number} */ x) => begin + BigInt(Math.round(Math.min(inner, Math.max(0, x - LEFT)) * pixel));
  const zoom = (/** @type {number} */ factor, x = LEFT + inner / 2) => {
    const middle = timeAt(x);
    const share = Math.min(1, Math.max(0, (x - LEFT) / inner));
    // a picture of less than 100 ns says nothing, and years are enough
    const next = Math.min(3.2e17, Math.max(100, length * factor));
    const from = middle - BigInt(Math.round(share * next));
    move({ begin: from, end: from + BigInt(Math.round(next)) });
  };
  const pan = (/** @type {number} */ share) => {
    const by = BigInt(Math.round(length * share));
    move({ begin: begin + by, end: end + by });
  };
  const fit = (/** @type {Tile} */ tile) => {
    if (!picture) return;
    const [from, to] = [picture.base + BigInt(tile.begin), picture.base + BigInt(tile.end)];
    const margin = (to - from) / 10n + 50n;
    move({ begin: from - margin, end: to + margin });
  };
  const show = (/** @type {Tile | undefined} */ tile) => {
    if (tile) setChosen(tile);
  };
  /** The neighbor of what is chosen, in its row. @param {1 | -1} by */
  const next = (by) => {
    const row = chosen && picture?.byRow.get(`${chosen.stream} ${chosen.depth}`);
    if (!row) return;
    const now = row.findIndex((tile) => tile.begin === chosen.begin && tile.id === chosen.id);
    show(row[now + by]);
  };
  /** What it is a part of, or a part of it. @param {1 | -1} by */
  const deeper = (by) => {
    const row = chosen && picture?.byRow.get(`${chosen.stream} ${chosen.depth + by}`);
    if (!row) return;
    show(by < 0 ? tileAt(row, (chosen.begin + chosen.end) / 2, pixel) : row.find((tile) => tile.end > chosen.begin && tile.begin < chosen.end));
  };
  const select = (/** @type {string} */ text) => {
    setFind(text);
    page.parameters.set({ find: text.trim() }, true);
  };
  useLayoutEffect(() => page.keys([
    { keys: "w", about: "zoom in", run: () => zoom(0.5, over?.x) },
    { keys: "s", about: "zoom out", run: () => zoom(2, over?.x) },
    { keys: "a", about: "earlier", run: () => pan(-0.25) },
    { keys: "d", about: "later", run: () => pan(0.25) },
    { keys: "/", about: "find spans by name", run: () => document.getElementById("find-spans")?.focus() },
    { keys: "0", about: "the whole life of the process", run: () => { if (life) move(life); } },
    { keys: "f", about: "fit the chosen span", run: () => { if (chosen) fit(chosen); } },
    { keys: "ArrowLeft", about: "the span before", run: () => next(-1) },
    { keys: "ArrowRight", about: "the span after", run: () => next(1) },
    { keys: "ArrowUp", about: "what it is a part of", run: () => deeper(-1) },
    { keys: "ArrowDown", about: "its first part", run: () => deeper(1) },
    { keys: "Escape", about: "choose nothing", run: () => setChosen(null) },
  ]));
  // a turn of the wheel zooms only with a key: without one, threads are scrolled
  useEffect(() => {
    const element = canvas.current;
    const wheeled = (/** @type {WheelEvent} */ event) => {
      if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY / 300), at(event).x);
      else pan(event.deltaX / inner);
    };
    element?.addEventListener("wheel", wheeled, { passive: false });
    return () => element?.removeEventListener("wheel", wheeled);
  });

  const listed = useMemo(() => (picture ? [...picture.byRow.values()].flat().filter(isFound).sort((a, b) => (b.longest > a.longest ? 1 : b.longest < a.longest ? -1 : 0)).slice(0, MOST_LISTED) : []), [picture, words]);
  const found = useMemo(() => (words && picture ? [...picture.byRow.values()].flat().filter(isFound).length : 0), [picture, words]);
  const nameOf = (/** @type {string} */ stream) => threads?.find((thread) => thread.id === stream)?.name ?? stream;
  const exact = (/** @type {number} */ offset) => (picture?.base ?? begin) + BigInt(offset);
  const save = async () => {
    page.say("The trace is being made");
    try {
      const rows = await page.query(`SELECT chunk_data FROM perfetto_trace_chunks('${id}', 'all', '${format.rfc3339(begin)}', '${format.rfc3339(end)}') ORDER BY chunk_id`, { title: "trace", isHeavy: true, range: view });
      const blob = new Blob(Array.from({ length: rows.rows }, (_, row) => rows.get("chunk_data", row)), { type: "application/octet-stream" });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${id.slice(0, 8)}-${format.rfc3339(begin).slice(0, 19).replaceAll(":", "")}.perfetto-trace`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      page.say(rows.isCut ? "The trace broke off: it has not all" : "Open the file at ui.perfetto.dev");
    } catch (error) {
      page.say(error instanceof Error ? error.message : String(error));
    }
  };

  return html`<div class="drawn-page"><form class="search" role="search" onSubmit=${(/** @type {Event} */ e) => e.preventDefault()}>
      <input id="find-spans" type="search" aria-label="Find spans by name" placeholder="find spans by name" spellcheck=${false} value=${find} onInput=${(/** @type {any} */ e) => select(e.target.value)} />
      ${words ? html`<span class="quiet" role="status">${format.count(found)} in view</span>` : null}
      <button type="button" title="Zoom in (w)" onClick=${() => zoom(0.5)}>+</button><button type="button" title="Zoom out (s)" onClick=${() => zoom(2)}>−</button>
      <button type="button" title="Earlier (a)" onClick=${() => pan(-0.25)}>◂</button><button type="button" title="Later (d)" onClick=${() => pan(0.25)}>▸</button>
      ${life ? html`<button type="button" title="The whole life of the process (0)" onClick=${() => move(life)}>Whole life</button>` : null}
      <button type="button" title="SQL of what is shown" onClick=${() => page.open.sql(tilesSql(id, view, inner, page), true)}>= SQL</button>
      <button type="button" title="A file for ui.perfetto.dev, of this range" onClick=${save}>⤓ Trace</button></form>
    <div class="counts"><span role="status" aria-live="polite">${picture ? html`<b>${format.count(picture.spans)}</b> ${picture.spans === 1 ? "span" : "spans"}${picture.count < picture.spans ? html`<span class="quiet"> · short ones are drawn together: zoom in to part them</span>` : null}` : "…"}${isAsking ? html`<span class="quiet"> · asking …</span>` : null}</span><span class="quiet">drag to choose a range · Ctrl and wheel to zoom · Shift and drag to move</span></div>
    ${fault ? html`<p class="notice is-warn" role="alert">${format.visible(fault)}</p>` : null}
    <div class="picture" ref=${place}>
      ${threads?.length === 0 ? html`<div class="state"><h2>This process sent no spans of threads</h2><p>Spans are what its threads did. A Rust program sends them with MICROMEGAS_ENABLE_CPU_TRACING=true.</p></div>`
    : picture && picture.count === 0 && !isAsking ? html`<div class="state"><h2>No thread did anything in this range</h2>${life ? html`<p>The process was at work from ${format.time(life.begin)} to ${format.time(life.end)}.</p><p><button type="button" class="primary" onClick=${() => move(life)}>Go there</button></p>` : null}</div>` : null}
      <figure class="chart" hidden=${!picture?.count}><canvas ref=${canvas} style=${`height: ${height}px`} tabindex="0" role="img" aria-label=${`Spans of ${lanes.length} threads along time; the longest are in the table below. The arrow keys go from span to span.`}
        onPointerDown=${(/** @type {any} */ e) => { e.target.setPointerCapture(e.pointerId); const { x } = at(e); if (e.shiftKey) drag.current = { x, view }; else setBrush({ from: x, to: x }); }}
        onPointerMove=${(/** @type {any} */ e) => {
          const { x, y } = at(e);
          if (drag.current) {
            const by = BigInt(Math.round((drag.current.x - x) * pixel));
            move({ begin: drag.current.view.begin + by, end: drag.current.view.end + by });
            return;
          }
          if (brush) setBrush({ ...brush, to: x });
          const tile = tileOf(x, y);
          setOver(tile ? { x, y, tile } : null);
        }}
        onPointerUp=${(/** @type {any} */ e) => {
          const { x, y } = at(e);
          if (drag.current) drag.current = null;
          else if (brush && Math.abs(brush.to - brush.from) > 4) move({ begin: timeAt(Math.min(brush.from, brush.to)), end: timeAt(Math.max(brush.from, brush.to)) + 1n });
          else {
            const lane = laneAt(y);
            if (lane && y < lane.top + HEAD - 3) {
              const rest = new Set(turned);
              if (!rest.delete(lane.id)) rest.add(lane.id);
              setTurned(rest);
            } else setChosen(tileOf(x, y) ?? null);
          }
          setBrush(null);
        }}
        onDblClick=${(/** @type {MouseEvent} */ e) => { const { x, y } = at(e); const tile = tileOf(x, y); if (tile) fit(tile); }}
        onPointerCancel=${() => { setBrush(null); drag.current = null; }} onPointerLeave=${() => setOver(null)}></canvas>
        ${brush && Math.abs(brush.to - brush.from) > 4 ? html`<div class="brush" style=${`left: ${Math.min(brush.from, brush.to)}px; width: ${Math.abs(brush.to - brush.from)}px; height: ${height}px`}></div><div class="tip" style=${`left: ${Math.max(brush.from, brush.to)}px; top: 4px`}>${format.duration(timeAt(Math.max(brush.from, brush.to)) - timeAt(Math.min(brush.from, brush.to)))}</div>` : null}
        ${over && !brush ? html`<div class=${over.x > width / 2 ? "tip is-left" : "tip"} style=${`left: ${over.x}px; top: ${over.y + 14}px`}><b>${format.visible(over.tile.name.slice(0, 160))}</b>${over.tile.spans > 1 ? html`<div>${format.count(over.tile.spans)} spans, ${format.duration(over.tile.busy)} in all</div><div class="quiet">the longest: ${format.duration(over.tile.longest)}</div>` : html`<div>${format.duration(over.tile.longest)}${over.tile.isComplete ? "" : ", and its end is unknown"}</div>`}<div class="quiet">${format.time(exact(over.tile.begin))}</div></div>` : null}</figure></div>
    ${chosen ? html`<section class="chosen" aria-live="polite" aria-label="The chosen span"><dl class="values">
        <div><dt>${chosen.spans > 1 ? `${format.count(chosen.spans)} spans` : "span"}</dt><dd><bdi><b>${format.visible(chosen.name)}</b></bdi>${chosen.spans > 1 ? html` <span class="quiet">is the longest of them</span>` : null}</dd></div>
        <div><dt>duration</dt><dd>${format.duration(chosen.longest)} <span class="quiet">${format.count(chosen.longest)} ns</span>${chosen.spans > 1 ? html`; all of them ${format.duration(chosen.busy)}` : null}${chosen.isComplete ? null : html` <span class="warn">its end is unknown</span>`}</dd></div>
        <div><dt>from</dt><dd>${format.time(exact(chosen.begin))}</dd></div>
        <div><dt>thread</dt><dd><bdi>${format.visible(nameOf(chosen.stream))}</bdi> <span class="quiet">depth ${chosen.depth}</span></dd></div></dl>
      <p class="chips"><button type="button" onClick=${() => fit(chosen)}>Zoom to it (f)</button>
        <button type="button" onClick=${() => select(chosen.name)}>Find others of this name</button>
        <button type="button" onClick=${() => page.open.sql(`SELECT "begin", duration, depth, id, filename, line, properties\nFROM view_instance('thread_spans', '${chosen.stream}')\nWHERE name = '${chosen.name.replaceAll("'", "''")}'\nORDER BY duration DESC\nLIMIT 1000`, true)}>Its calls in SQL</button>
        <button type="button" onClick=${() => page.open.page("logs", { from: format.rfc3339(exact(chosen.begin)), to: format.rfc3339(exact(chosen.end) + 1n), q: `process_id:"${id}"` })}>Messages meanwhile</button>
        <button type="button" onClick=${() => setChosen(null)}>Close</button></p></section>` : null}
    ${listed.length ? html`<details class="listed"><summary>The longest in view, as a table</summary><table class="facts"><thead><tr><th>name</th><th>thread</th><th class="right">duration</th><th class="right">spans</th><th>from</th></tr></thead><tbody>${listed.map((tile) => html`<tr><th scope="row"><button type="button" class="link" onClick=${() => setChosen(tile)}><bdi>${format.visible(tile.name.slice(0, 200))}</bdi></button></th><td><bdi>${format.visible(nameOf(tile.stream))}</bdi></td><td class="right number">${format.duration(tile.longest)}</td><td class="right number">${format.count(tile.spans)}</td><td class="quiet">${format.time(exact(tile.begin))}</td></tr>`)}</tbody></table></details>` : null}</div>`;
}

/** @param {Given} page */
export default (page) => {
  /** @type {HTMLElement | null} */
  let host = null;
  return {
    mount(/** @type {HTMLElement} */ element) {
      host = element;
      render(html`<${Timeline} page=${page} />`, element);
    },
    dispose() {
      if (host) render(null, host);
    },
  };
};
