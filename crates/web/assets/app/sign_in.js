/** A server that asks for a key. */
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { needsKey, setKey } from "./api.js";

/** @param {{done: () => void}} props */
export function SignIn({ done }) {
  const [text, setText] = useState("");
  const [isKept, setKept] = useState(false);
  return html`<form class="welcome" onSubmit=${(/** @type {Event} */ e) => { e.preventDefault(); if (text.trim()) { setKey(text.trim(), isKept); done(); } }}>
    <h1>A key, please</h1><p role="alert">${needsKey.value}</p>
    <p><label class="field">Key with the right to read<input type="password" autocomplete="off" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} /></label></p>
    <p><label class="check"><input type="checkbox" checked=${isKept} onChange=${(/** @type {any} */ e) => setKept(e.target.checked)} /> remember it on this machine; otherwise it is forgotten with this tab</label></p>
    <p><button class="primary" type="submit" disabled=${!text.trim()}>Go on</button></p>
    <p class="quiet">An administrator makes one: <code>belvedere keys create NAME --rights read</code></p></form>`;
}
