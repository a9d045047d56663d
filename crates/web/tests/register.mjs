// Modules of the application import libraries by the names of the page's import map: here they mean the same files.
import { register } from "node:module";

const names = new URL("../assets/vendor/", import.meta.url).href;
const loader = `
import { readFileSync } from "node:fs";
const base = new URL(${JSON.stringify(names)});
const imports = JSON.parse(readFileSync(new URL("imports.json", base), "utf8"));
export async function resolve(name, context, next) {
  return Object.hasOwn(imports, name) ? { url: new URL(imports[name], base).href, shortCircuit: true } : next(name, context);
}
export async function load(url, context, next) {
  // their files say nothing of a package that has modules
  return /\\/crates\\/(web\\/assets|views-\\w+\\/web)\\//.test(url) ? { format: "module", source: readFileSync(new URL(url), "utf8"), shortCircuit: true } : next(url, context);
}`;
register(`data:text/javascript,${encodeURIComponent(loader)}`);
