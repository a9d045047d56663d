/** Elements without a build step: `html` makes them of templates. What stands in braces is text or an attribute, never
 * markup. */
import { h } from "preact";
import htm from "htm";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(/** @type {any} */ (h));
