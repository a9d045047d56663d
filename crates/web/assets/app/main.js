/** Where the application begins. */
import { render } from "preact";
import { html } from "./html.js";
import { listen } from "./keys.js";
import { Shell } from "./shell.js";

listen();
const place = document.getElementById("app");
if (place) render(html`<${Shell} />`, place);
