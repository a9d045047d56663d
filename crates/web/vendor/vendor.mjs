// Writes ../assets/vendor: the libraries of others as single modules, their licenses, and the names by which they are
// imported. package-lock.json pins versions and contents.
//
//   npm ci && node vendor.mjs           writes the files
//   npm ci && node vendor.mjs --check   fails if they are not what would be written
import { build } from "esbuild";
import { readFile, writeFile, readdir, mkdir } from "node:fs/promises";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../assets/vendor");
/** What an editor of SQL is made of. */
const editor = `
export { Decoration, EditorView, keymap, lineNumbers, drawSelection, highlightActiveLine, placeholder } from "@codemirror/view";
export { EditorState, StateEffect, StateField } from "@codemirror/state";
export { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
export { HighlightStyle, syntaxHighlighting, bracketMatching } from "@codemirror/language";
export { sql, SQLDialect, keywordCompletionSource } from "@codemirror/lang-sql";
export { autocompletion, completionKeymap, closeBrackets, closeBracketsKeymap, snippetCompletion } from "@codemirror/autocomplete";
export { tags } from "@lezer/highlight";`;
const editorPackages = Object.keys(JSON.parse(await readFile(join(here, "package-lock.json"), "utf8")).packages)
  .map((path) => path.replace("node_modules/", ""))
  .filter((name) => /^(@codemirror|@lezer|@marijn)\/|^(style-mod|w3c-keyname|crelt)$/.test(name));
/** Names of imports, the files that stand for them, the packages whose licenses hold, and what is not all of a package. */
const modules = [
  ["preact", "preact.js", ["preact"]],
  ["preact/hooks", "preact-hooks.js", ["preact"]],
  ["@preact/signals-core", "signals-core.js", ["@preact/signals-core"]],
  ["@preact/signals", "signals.js", ["@preact/signals"]],
  ["htm", "htm.js", ["htm"]],
  ["@uwdata/flechette", "flechette.js", ["@uwdata/flechette"], `export { tableFromIPC } from "@uwdata/flechette";`],
  ["codemirror", "codemirror.js", editorPackages, editor],
];
const allowed = ["MIT", "BSD-3-Clause", "Apache-2.0", "ISC"];

/** Leaves imports of the other modules as they are: all share one copy of each.
 * @param {string} self @returns {import("esbuild").Plugin} */
const others = (self) => ({
  name: "others",
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path }) =>
      path !== self && modules.some(([name]) => name === path) ? { path, external: true } : undefined);
  },
});

/** @type {Map<string, string>} */
const files = new Map();
for (const [name, file, , only] of modules) {
  const built = await build({
    stdin: { contents: only ?? `export * from "${name}";` + (name === "htm" ? `export { default } from "htm";` : ""), resolveDir: here },
    bundle: true, minify: true, format: "esm", target: "es2022", write: false, legalComments: "none",
    plugins: [others(name)],
  });
  files.set(file, built.outputFiles[0].text);
}
const licenses = [];
for (const name of new Set(modules.flatMap(([, , packages]) => packages))) {
  const directory = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
  // htm's file says Apache-2.0, as its package does
  if (!allowed.includes(license)) throw new Error(`${name} has the license ${license}`);
  const file = (await readdir(directory)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no text of a license`);
  const text = await readFile(join(directory, file), "utf8");
  licenses.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
}
files.set("LICENSES.txt", licenses.join(`\n${"-".repeat(80)}\n\n`));
files.set("imports.json", JSON.stringify(Object.fromEntries(modules.map(([name, file]) => [name, file])), null, 2) + "\n");

const isCheck = process.argv.includes("--check");
await mkdir(target, { recursive: true });
const faults = (await readdir(target)).filter((file) => !files.has(file)).map((file) => `${file} is not one of them`);
for (const [file, content] of files) {
  const path = join(target, file);
  if (isCheck) {
    const kept = await readFile(path, "utf8").catch(() => "");
    if (kept !== content) faults.push(`${file} differs from what package-lock.json says`);
  } else {
    await writeFile(path, content);
  }
}
for (const fault of faults) console.error(`assets/vendor: ${fault}`);
process.exitCode = faults.length ? 1 : 0;
