/** Find anything: pages, tables, columns, functions, processes. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { ask } from "./api.js";
import { functions, objects, tables } from "./catalog.js";
import { kept, openSql } from "./open.js";
import { navigate } from "./route.js";
import { baseName, visible } from "./format.js";

/** @typedef {{kind: string, name: string, about: string, run: () => void}} Found */

/** The order of what was found: what begins so, then what has a word that begins so, then what has it at all. @param {string} text @param {Found[]} all @param {number} most */
export function rank(text, all, most) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = all.map((one, index) => {
    const [name, about] = [one.name.toLowerCase(), `${one.kind} ${one.about}`.toLowerCase()];
    let score = 0;
    for (const word of words) {
      const at = name.indexOf(word);
      if (at === 0) score += name === word ? 10 : 6;
      else if (at > 0) score += /\w/.test(name[at - 1]) ? 3 : 4;
      else if (about.includes(word)) score += 1;
      else return { one, index, score: -1 };
    }
    return { one, index, score };
  });
  return scored.filter(({ score }) => score >= 0).sort((a, b) => b.score - a.score || a.index - b.index).slice(0, most).map(({ one }) => one);
}

/** @param {{pages: {name: string, title: string}[], commands: Found[], close: () => void}} props */
export function Palette({ pages, commands, close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const isDone = useRef(false);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [processes, setProcesses] = useState(/** @type {Found[]} */ ([]));
  // not after it is painted: letters that are typed until then would be keys of the page
  useLayoutEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const sql = "SELECT process_id, exe, computer, username FROM processes ORDER BY start_time DESC LIMIT 1000";
    ask({ title: "processes", sql, isQuiet: true }).then((rows) => setProcesses(objects(rows).map((one) => ({
      kind: "process", name: baseName(one.exe ?? ""), about: `${one.computer} ${one.username} ${one.process_id}`, run: () => navigate({ page: `processes/${one.process_id}`, parameters: kept() }) }))), () => {});
  }, []);
  const to = (/** @type {string} */ page) => () => navigate({ page, parameters: kept() });
  const all = tables.value ?? [];
  const things = (/** @type {string} */ text) => /** @type {Found[]} */ ([
    ...pages.map(({ name, title }) => ({ kind: "page", name: title, about: "", run: to(name) })),
    ...commands,
    ...all.map((table) => ({ kind: "table", name: table.name, about: table.about, run: to(`tables/${table.name}`) })),
    ...processes,
    ...(text.trim() ? functions.value.map((one) => ({ kind: "function", name: one.name, about: one.about, run: () => openSql(one.kind === "table" ? `SELECT * FROM ${one.signature}` : `SELECT ${one.signature}`) })) : []),
    ...(text.trim() ? all.flatMap((table) => [...table.columns.values()].map((column) => ({ kind: "column", name: `${table.name}.${column.name}`, about: column.about, run: to(`tables/${table.name}`) }))) : []),
  ]);
  const found = rank(text, things(text), 40);
  const chosen = Math.min(at, found.length - 1);
  const choose = (/** @type {Found | undefined} */ one) => {
    if (!one) return;
    // the event of closing comes later, when it may be open again
    isDone.current = true;
    dialog.current?.close();
    close();
    one.run();
  };
  return html`<dialog ref=${dialog} class="palette" aria-label="Find" onClose=${() => { if (!isDone.current) close(); }} onClick=${(/** @type {MouseEvent} */ e) => { if (e.target === dialog.current) dialog.current?.close(); }}>
    <input role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant=${found.length ? `found-${chosen}` : undefined} aria-label="Find pages, tables, columns, functions, processes" placeholder="pages, tables, columns, functions, processes" spellcheck=${false} value=${text}
      onInput=${(/** @type {any} */ e) => { setText(e.target.value); setAt(0); }}
      onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
        const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
        if (by) {
          e.preventDefault();
          setAt(Math.max(0, Math.min(found.length - 1, chosen + by)));
          document.getElementById(`found-${Math.max(0, Math.min(found.length - 1, chosen + by))}`)?.scrollIntoView({ block: "nearest" });
        }
        if (e.key === "Enter") {
          // who types quickly means what stands there, which may not be drawn yet
          const typed = /** @type {HTMLInputElement} */ (e.target).value;
          choose(typed === text ? found[chosen] : rank(typed, things(typed), 1)[0]);
        }
      }} />
    <ul id="found" role="listbox" aria-label="Found">${found.map((one, index) => html`<li id=${`found-${index}`} role="option" aria-selected=${index === chosen} onClick=${() => choose(one)} onPointerMove=${() => setAt(index)}><span class="kind">${one.kind}</span><bdi class="found-name">${visible(one.name)}</bdi><bdi class="quiet">${visible(one.about.slice(0, 120))}</bdi></li>`)}
      ${found.length ? null : html`<li class="quiet">nothing has that name</li>`}</ul></dialog>`;
}
