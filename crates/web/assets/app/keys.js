/** Keys of the keyboard. None does anything while one types, and for each there is something to click. */

/** @typedef {{keys: string, about: string, run: () => void}} Binding */

/** @type {Binding[][]} */
const layers = [];
let pending = "";
let pendingSince = 0;

/** Adds bindings until the returned function is called. @param {Binding[]} bindings */
export function bind(bindings) {
  layers.push(bindings);
  return () => {
    const at = layers.indexOf(bindings);
    if (at >= 0) layers.splice(at, 1);
  };
}

/** All of them, for the help. */
export const all = () => layers.flat();

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    const palette = layers.flat().findLast(({ keys }) => keys === "Ctrl+K");
    if (palette && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      palette.run();
    }
    return;
  }
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  // an editor is in a tree of its own
  const target = event.composedPath()[0] ?? event.target;
  if (isTyping(target)) {
    if (event.key === "Escape") /** @type {HTMLElement} */ (target).blur();
    return;
  }
  // a button is pressed by these, and a dialog has keys of its own
  if ((event.key === " " || event.key === "Enter") && event.target instanceof Element && event.target.closest("button, a, summary")) return;
  if (document.querySelector("dialog[open]")) return;
  const name = event.key === " " ? "Space" : event.key;
  const sequence = Date.now() - pendingSince < 1200 && pending ? `${pending} ${name}` : name;
  const bindings = layers.flat();
  const found = bindings.findLast(({ keys }) => keys === sequence) ?? bindings.findLast(({ keys }) => keys === name);
  const isBeginning = bindings.some(({ keys }) => keys.startsWith(`${name} `));
  pending = isBeginning && !sequence.includes(" ") ? name : "";
  pendingSince = Date.now();
  if (found) {
    event.preventDefault();
    found.run();
  }
}

export function listen() {
  document.addEventListener("keydown", pressed);
}
