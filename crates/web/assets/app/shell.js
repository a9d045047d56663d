/** What is around every page: menu, time range, last line, help. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { ask, connection, key, manifest as askManifest, needsKey, setKey, root } from "./api.js";
import { load, messages, tables } from "./catalog.js";
import { follow, kept } from "./open.js";
import { Palette } from "./palette.js";
import { all as allKeys, bind } from "./keys.js";
import { Picker, openRange, openZone } from "./picker.js";
import { LastLine, copy } from "./lastline.js";
import { encode, navigate, route } from "./route.js";
import { back, forward, range, refresh, shift, zone, zoom } from "./range.js";
import { nextTheme, said, theme, toast } from "./state.js";
import { SignIn } from "./sign_in.js";
import { Welcome } from "./welcome.js";
import { formatOffset, formatTime, offsetAt, toRfc3339 } from "./time.js";

/** @typedef {{name: string, title: string, keys: string, find?: typeof messages, hasRange: boolean, own?: import("./api.js").Page, view: () => Promise<any>}} Page */
/** Pages in the order of the menu; one whose table the server lacks is left out. Each is loaded when it is first opened.
 * @type {Page[]} */
const PAGES = [
  { name: "logs", title: "Logs", keys: "g l", find: messages, hasRange: true, view: () => import("./logs/page.js").then(({ Logs }) => Logs) },
  { name: "processes", title: "Processes", keys: "g p", hasRange: true, view: () => import("./processes/page.js").then(({ Processes }) => Processes) },
  { name: "sql", title: "SQL", keys: "g s", hasRange: true, view: () => import("./sql/page.js").then(({ Sql }) => Sql) },
  { name: "tables", title: "Tables", keys: "g t", hasRange: true, view: () => import("./tables/page.js").then(({ Tables }) => Tables) },
  { name: "lake", title: "Lake", keys: "g k", hasRange: false, view: () => import("./lake/page.js").then(({ Lake }) => Lake) },
];
const LAKE = { kind: "lake", id: "" };
const partOf = (/** @type {string} */ page) => page.split("/").slice(0, page.startsWith("page/") ? 2 : 1).join("/");
// while the server is asked for its tables
void PAGES.find(({ name }) => name === (partOf(route.value.page) || PAGES[0].name))?.view().catch(() => {});

/** Pages of the lake that crates registered. @param {import("./api.js").Page[]} registered @returns {Page[]} */
const others = (registered) => registered.filter(({ subject }) => subject === "lake").map((own) => ({
  name: `page/${own.name}`, title: own.title, keys: "", hasRange: true, own, view: () => import("./registered/page.js").then(({ Registered }) => Registered),
}));

/** A page, when it has come. @param {{page: Page, table: import("./catalog.js").Table | undefined, registered: import("./api.js").Page[]}} props */
function Loaded({ page, table, registered }) {
  const [view, setView] = useState(/** @type {{view: any} | null} */ (null));
  const [fault, setFault] = useState("");
  useEffect(() => {
    page.view().then((view) => setView({ view }), () => setFault("Its files could not be loaded: the server may be another version now."));
  }, [page.name]);
  if (fault) return html`<div class="state" role="alert"><h2>The page can't begin</h2><p>${fault}</p><p><button type="button" onClick=${() => location.reload()}>Load it again</button></p></div>`;
  if (view && page.own) return html`<${view.view} page=${page.own} subject=${LAKE} />`;
  return view ? html`<${view.view} table=${table} pages=${registered.filter(({ subject }) => subject === "process")} />` : html`<p class="state quiet" role="status">…</p>`;
}

async function share() {
  const { begin, end } = range.value;
  const parameters = { ...route.value.parameters, from: toRfc3339(begin), to: toRfc3339(end), follow: "", tz: zone.value };
  const address = new URL(encode({ page: route.value.page, parameters }), location.href).href;
  const offset = formatOffset(offsetAt(zone.value, begin));
  const isDone = await copy(`${formatTime(begin, zone.value)} – ${formatTime(end, zone.value)} (UTC${offset})\n${address}`);
  toast(isDone ? "Link and range are copied" : "This browser does not let pages copy: take the address");
}

export function Shell() {
  const [manifest, setManifest] = useState(/** @type {import("./api.js").Manifest | null} */ (null));
  const [isNew, setNew] = useState(false);
  const [isEmpty, setEmpty] = useState(/** @type {boolean | null} */ (null));
  const [fault, setFault] = useState("");
  const [attempt, setAttempt] = useState(0);
  const [isFinding, setFinding] = useState(false);
  const help = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    let isOver = false;
    void (async () => {
      try {
        const [said, , answer] = await Promise.all([
          askManifest(), load(), ask({ title: "processes", sql: "SELECT 1 AS one FROM processes LIMIT 1", isQuiet: true })]);
        if (isOver) return;
        setManifest(said);
        setEmpty(answer.rows === 0);
        setFault("");
      } catch (error) {
        if (!isOver) setFault(error instanceof Error ? error.message : String(error));
      }
    })();
    return () => {
      isOver = true;
    };
  }, [attempt]);
  // the first block ends the waiting
  useEffect(() => {
    if (!isEmpty) return;
    const timer = setInterval(async () => {
      try {
        const answer = await ask({ title: "processes", sql: "SELECT 1 AS one FROM processes LIMIT 1", isQuiet: true });
        if (answer.rows) {
          refresh();
          setEmpty(false);
        }
      } catch {
        // a server that is gone is told in the last line
      }
    }, 1000);
    return () => clearInterval(timer);
  }, [isEmpty]);
  // a server that comes back may be another version, with other files
  const { isGone } = connection.value;
  const wasGone = useRef(false);
  useEffect(() => {
    if (isGone) {
      wasGone.current = true;
      return;
    }
    if (!wasGone.current) return;
    wasGone.current = false;
    askManifest().then((now) => {
      if (manifest && now.build !== manifest.build) setNew(true);
      if (!manifest) setAttempt(attempt + 1);
      else refresh();
    }, () => {});
  }, [isGone]);
  const [, setHelped] = useState(0);
  const showHelp = () => {
    // pages bind keys of their own after this is drawn
    setHelped((times) => times + 1);
    help.current?.showModal();
  };
  useLayoutEffect(() => bind([
    { keys: "?", about: "all keys", run: showHelp },
    { keys: "Ctrl+K", about: "find anything", run: () => setFinding(true) },
    { keys: "B", about: "the range before", run: back },
    { keys: "F", about: "the range after", run: forward },
    { keys: "t", about: "time range", run: openRange },
    { keys: "z", about: "time zone", run: openZone },
    { keys: "r", about: "ask again", run: refresh },
    { keys: "[", about: "half a range earlier", run: () => shift(-1n) },
    { keys: "]", about: "half a range later", run: () => shift(1n) },
    { keys: "-", about: "twice the range", run: () => zoom(true) },
    { keys: "+", about: "half the range", run: () => zoom(false) },
    ...PAGES.map(({ keys, title, name }) => ({ keys, about: title, run: () => navigate({ page: name, parameters: kept() }) })),
  ]), []);

  const registered = manifest?.pages ?? [];
  // what is looked at comes before what one asks and keeps
  const at = PAGES.findIndex(({ name }) => name === "sql");
  const pages = [...PAGES.slice(0, at), ...others(registered), ...PAGES.slice(at)].filter(({ find }) => tables.value && (!find || find(tables.value)));
  const wanted = partOf(route.value.page) || pages[0]?.name;
  const page = pages.find(({ name }) => name === wanted);
  useEffect(() => {
    const inner = route.value.page.split("/")[1];
    document.title = page ? `${inner && page.name === "tables" ? `${inner} · ` : ""}${page.title} · Belvedere` : "Belvedere";
  }, [page?.title, route.value.page]);
  const needs = needsKey.value;
  return html`<header class="top">
      <a class="skip" href="#main">Skip to the page</a>
      <nav aria-label="Pages"><a class="brand" href=${encode({ page: "", parameters: {} })} onClick=${follow("")}><svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true"><rect width="16" height="16" rx="3" class="brand-box" /><path d="M4 12V4h8v8M4 8h8M8 4v8" class="brand-line" /></svg>Belvedere</a>
        ${pages.map(({ name, title }) => html`<a class="page-link" href=${encode({ page: name, parameters: {} })} aria-current=${page?.name === name ? "page" : undefined} onClick=${follow(name)}>${title}</a>`)}</nav>
      ${isEmpty || needs || page?.hasRange === false ? html`<span class="grow"></span>` : html`<${Picker} />`}
      <span class="buttons">
        ${isEmpty || needs ? null : html`<button type="button" class="find" title="Find pages, tables, columns, functions, processes (Ctrl+K)" onClick=${() => setFinding(true)}>Find <kbd>Ctrl K</kbd></button>`}
        ${isEmpty || needs ? null : html`<button type="button" title="Copy a link to exactly this" onClick=${share}>Share</button>`}
        ${key() ? html`<button type="button" title="Forget the key" onClick=${() => { setKey(null, false); location.reload(); }}>Sign out</button>` : null}
        <button type="button" title=${`Theme: ${theme.value || "as the system has it"}`} aria-label="Theme" onClick=${nextTheme}>${theme.value === "dark" ? "☾" : theme.value === "light" ? "☀" : "◐"}</button>
        <button type="button" title="Keys (?)" aria-label="Keys" onClick=${showHelp}>?</button>
      </span>
    </header>
    ${isNew ? html`<p class="notice is-warn" role="alert">The server is another version now. <button type="button" class="link" onClick=${() => location.reload()}>Load this page again</button></p>` : null}
    <main id="main" tabindex="-1">${needs ? html`<${SignIn} done=${() => { setAttempt(attempt + 1); refresh(); }} />`
      : isEmpty ? html`<${Welcome} manifest=${manifest} />`
      : fault && !manifest ? html`<div class="state" role="alert"><h2>The page can't begin</h2><p>${fault}</p><p><button type="button" onClick=${() => setAttempt(attempt + 1)}>Try again</button></p></div>`
      : isEmpty === null ? html`<p class="state quiet" role="status">…</p>`
      : page ? html`<${Loaded} page=${page} table=${page.find?.(tables.value ?? [])} registered=${registered} key=${page.name} />`
      : html`<div class="state"><h2>There is no such page</h2><p>${route.value.page ? html`This server has no page <code>${route.value.page}</code>.` : "This server has no table that a page is made for. SQL works on the command line and by POST /api/query."}</p>
          ${pages.length ? html`<p><button type="button" class="primary" onClick=${() => navigate({ page: pages[0].name, parameters: kept() })}>${pages[0].title}</button></p>` : null}</div>`}</main>
    <${LastLine} />
    ${isFinding ? html`<${Palette} pages=${pages} commands=${COMMANDS} close=${() => setFinding(false)} />` : null}
    <div class="toast" role="status" aria-live="polite">${said.value}</div>
    <dialog ref=${help} class="help" aria-labelledby="help-title" onClick=${(/** @type {MouseEvent} */ e) => { if (e.target === help.current) help.current?.close(); }}>
      <div class="dialog-head"><h2 id="help-title">Keys</h2><button type="button" aria-label="Close" onClick=${() => help.current?.close()}>✕</button></div>
      <dl class="keys">${allKeys().filter(({ keys }) => !keys.startsWith("Arrow")).map(({ keys, about }) => html`<div><dt>${keys.split(" ").map((one) => html`<kbd>${one}</kbd>`)}</dt><dd>${about}</dd></div>`)}</dl>
      <h3>Search</h3>
      <dl class="grammar">${GRAMMAR.map(([example, about]) => html`<div><dt><code>${example}</code></dt><dd>${about}</dd></div>`)}</dl>
      <p class="quiet">Belvedere ${manifest?.version} · ${root.host} · <a href=${new URL("../vendor/LICENSES.txt", import.meta.url).href}>licenses of libraries</a></p>
    </dialog>`;
}

const COMMANDS = [
  { kind: "command", name: "Time range", about: "choose another", run: () => setTimeout(openRange) },
  { kind: "command", name: "Time zone", about: "choose another", run: () => setTimeout(openZone) },
  { kind: "command", name: "Theme", about: "light, dark, or as the system has it", run: nextTheme },
  { kind: "command", name: "Share", about: "copy a link to exactly this", run: share },
  { kind: "command", name: "Ask again", about: "", run: refresh },
];

const GRAMMAR = [
  ["timeout", "the message contains it, in any case; several words must all be there"],
  ['"reset by peer"', "the words as they stand"],
  ["-health", "not that; works with everything"],
  ["/time(d )?out/", "a regular expression"],
  ["target:net", "a column contains it"],
  ['exe:"/usr/bin/shop"', "a column is exactly that"],
  ["level:error  level:1-3", "a level or a range of them"],
  ["wood:oak", "what is no column is a property of the message"],
];

