/** An editor of SQL. It is in a shadow root, where its styles are no elements: the page's policy has none of those. */
import {
  Decoration, EditorState, EditorView, HighlightStyle, StateEffect, StateField, autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap, defaultKeymap,
  drawSelection, highlightActiveLine, history, historyKeymap, keymap, keywordCompletionSource, lineNumbers, placeholder, snippetCompletion,
  SQLDialect, sql, syntaxHighlighting, tags,
} from "codemirror";
import { functions, tables } from "../catalog.js";
import { bare } from "./statements.js";

const theme = EditorView.theme({
  "&": { backgroundColor: "var(--raised)", color: "var(--text)", fontSize: "13px", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--code-font)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--text)", padding: "6px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--text-quiet)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--hover) 60%, transparent)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { backgroundColor: "var(--mark)" },
  ".cm-placeholder": { color: "var(--text-quiet)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selected)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "4px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--selected)", color: "var(--text)" },
  ".cm-completionDetail": { color: "var(--text-quiet)", fontStyle: "normal" },
  ".cm-completionInfo": { maxWidth: "360px", padding: "6px 10px", fontFamily: "var(--text-font)" },
  ".cm-completionInfo p": { margin: "0 0 4px" },
  ".cm-fault": { backgroundImage: "none", textDecoration: "underline wavy var(--bad-text) 1px", textUnderlineOffset: "3px" },
});

const colors = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.lineComment, tags.blockComment], color: "var(--text-quiet)", fontStyle: "italic" },
  { tag: tags.typeName, color: "var(--code-number)" },
]);

/** The words that the engine knows beside those of functions. */
const dialect = SQLDialect.define({
  keywords: "all and anti any as asc between by case cast cross current desc distinct else end except exists explain analyze false filter first following from full group having ilike in inner intersect interval into is join last lateral left like limit natural not null nulls offset on or order outer over partition preceding qualify range recursive right rollup row rows select semi set similar some table then to true unbounded union unnest using values when where window with within",
  types: "bigint binary boolean bytea char date decimal double float integer int numeric real smallint string text timestamp tinyint unsigned varchar",
  doubleQuotedStrings: false, doubleDollarQuotedStrings: true, operatorChars: "*+-%<>!=&|~^/", specialVar: "$",
});

/** What stands beside a completion: text only. @param {...string} parts */
function info(...parts) {
  return () => {
    const element = document.createElement("div");
    for (const part of parts.filter(Boolean)) {
      const line = document.createElement("p");
      line.textContent = part;
      element.append(line);
    }
    return element;
  };
}

/** @param {string} name */
const quoted = (name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/** Names that fit where one types. @param {any} context */
function complete(context) {
  const text = context.state.doc.toString();
  const instance = context.matchBefore(/view_instance\(\s*'\w*/i);
  const word = context.matchBefore(/[\w$]+/);
  if (!word && !context.explicit && !instance) return null;
  const all = tables.value ?? [];
  if (instance) {
    const from = instance.from + instance.text.indexOf("'") + 1;
    return { from, options: all.map((table) => ({ label: table.name, type: "class", detail: table.instances.join(", "), info: info(table.about) })), validFor: /^\w*$/ };
  }
  const words = new Set(bare(text).toLowerCase().match(/\w+/g) ?? []);
  for (const [, name] of text.matchAll(/view_instance\(\s*'(\w+)'/gi)) words.add(name);
  const before = bare(text.slice(Math.max(0, context.pos - 200), word?.from ?? context.pos));
  const wantsTable = /\b(from|join)\s*$/i.test(before);
  const options = [];
  for (const table of all) {
    options.push({ label: table.name, type: "class", boost: wantsTable ? 60 : 0, detail: table.instances.includes("global") ? "table" : `one for each ${table.instances.join(", ")}`,
      apply: table.instances.includes("global") ? table.name : `view_instance('${table.name}', '<${table.instances[0]} id>')`, info: info(table.about) });
    if (wantsTable || !words.has(table.name)) continue;
    for (const column of table.columns.values()) {
      options.push({ label: column.name, type: "property", boost: 40, detail: column.type.replace("(Nanosecond, \"+00:00\")", ""), apply: quoted(column.name), info: info(column.about, table.name) });
    }
  }
  for (const one of functions.value) {
    if (wantsTable && one.kind !== "table") continue;
    const inner = one.signature.slice(one.signature.indexOf("(") + 1, -1);
    options.push(snippetCompletion(inner ? `${one.name}(\${})` : `${one.name}()`, { label: one.name, type: "function", boost: wantsTable ? 30 : 10, detail: `(${inner})`, info: info(one.about) }));
  }
  const seen = new Set();
  const distinct = options.filter(({ label, type }) => {
    const name = `${type} ${label}`;
    return !seen.has(name) && seen.add(name);
  });
  return { from: word?.from ?? context.pos, options: distinct, validFor: /^[\w$]*$/ };
}

/** Marks the place that the server did not understand; null marks none. @type {import("codemirror").StateEffectType<{from: number, to: number, message: string} | null>} */
const setFault = StateEffect.define();
const fault = StateField.define({
  create: () => Decoration.none,
  update: (marks, transaction) => {
    for (const effect of transaction.effects) {
      if (!effect.is(setFault)) continue;
      if (!effect.value) return Decoration.none;
      const { from, to, message } = effect.value;
      return Decoration.set([Decoration.mark({ class: "cm-fault", attributes: { title: message } }).range(from, to)]);
    }
    // what is typed over is another text
    return transaction.docChanged ? Decoration.none : marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Browsers give what is typed the style of what it is typed over, as an attribute, which the page's policy forbids: so they
 * are not asked to do it. */
const typedOver = EditorView.domEventHandlers({
  beforeinput: (event, view) => {
    const { from, to } = view.state.selection.main;
    const { inputType, data: text } = event;
    if (inputType !== "insertText" || text === null || from === to || view.composing) return false;
    event.preventDefault();
    const insert = () => view.state.update({ ...view.state.replaceSelection(text), userEvent: "input.type", scrollIntoView: true });
    // brackets close by themselves
    if (!view.state.facet(EditorView.inputHandler).some((handler) => handler(view, from, to, text, insert))) view.dispatch(insert());
    return true;
  },
});

/** @typedef {{text(): string, cursor(): number, selection(): string, setText(text: string): void, insert(text: string): void, mark(from: number, to: number, message: string): void, unmark(): void, focus(): void, destroy(): void}} Editor */

/** @param {HTMLElement} host @param {string} text @param {{run: () => void, changed: () => void}} told @returns {Editor} */
export function makeEditor(host, text, told) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const parent = document.createElement("div");
  parent.style.height = "100%";
  root.append(parent);
  const view = new EditorView({
    parent, root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), history(), drawSelection(), fault, bracketMatching(), closeBrackets(), highlightActiveLine(), theme, syntaxHighlighting(colors),
        EditorView.lineWrapping, placeholder("SELECT … FROM …"),
        EditorView.contentAttributes.of({ "aria-label": "SQL", spellcheck: "false" }), typedOver,
        sql({ dialect }), autocompletion({ override: [complete, keywordCompletionSource(dialect, true)], icons: false, maxRenderedOptions: 50 }),
        keymap.of([
          { key: "Mod-Enter", run: () => { told.run(); return true; } },
          ...completionKeymap, ...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap,
          // the first one closes a list of completions; Tab then leaves the editor for what comes after it
          { key: "Escape", run: (/** @type {any} */ one) => { one.contentDOM.blur(); return true; } },
        ]),
        EditorView.updateListener.of((/** @type {any} */ update) => { if (update.docChanged) told.changed(); }),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    cursor: () => view.state.selection.main.head,
    selection: () => view.state.sliceDoc(view.state.selection.main.from, view.state.selection.main.to),
    setText: (next) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } }),
    insert: (next) => {
      view.dispatch(view.state.replaceSelection(next));
      view.focus();
    },
    mark: (from, to, message) => {
      const [begin, end] = [Math.min(from, view.state.doc.length), Math.min(to, view.state.doc.length)];
      view.dispatch({ effects: setFault.of(begin < end ? { from: begin, to: end, message } : null) });
    },
    unmark: () => view.dispatch({ effects: setFault.of(null) }),
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
