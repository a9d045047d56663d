// A browser and servers for tests. Needs BELVEDERE_TEST_BROWSER (a Chromium) and BELVEDERE_TEST_BINARY; without them the
// tests are skipped with a line, unless BELVEDERE_TEST_REQUIRE names `browser`.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, readFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { gunzipSync } from "node:zlib";

const require = createRequire(new URL("../vendor/package.json", import.meta.url));
export const { BELVEDERE_TEST_BROWSER: executablePath, BELVEDERE_TEST_BINARY: binary, BELVEDERE_TEST_REQUIRE: required = "" } = process.env;
const isThere = Boolean(executablePath && binary && existsSync(executablePath));
if (!isThere) {
  assert.ok(!required.split(",").includes("browser"), "the browser is required: BELVEDERE_TEST_BROWSER and BELVEDERE_TEST_BINARY say where browser and binary are");
  console.log("skipped: no browser; BELVEDERE_TEST_BROWSER and BELVEDERE_TEST_BINARY say where browser and binary are");
}
export const skip = isThere ? false : "no browser";

/** @type {any} */
let browser;
const servers = [];
before(async () => {
  if (skip) return;
  const { chromium } = require("playwright-core");
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"] });
});
after(async () => {
  await browser?.close();
  for (const server of servers) await server.stop();
});

/** A server of its own, with an empty lake. */
export async function serve({ lake = mkdtempSync(join(tmpdir(), "belvedere-web-")), flags = [], address = "127.0.0.1:0" } = {}) {
  const child = spawn(binary, ["serve", "--lake", lake, "--http", address, "--otlp-http", "off", "--otlp-grpc", "off", "--flight-sql", "off", ...flags], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, BELVEDERE_LOG: "warn" } });
  const lines = createInterface({ input: child.stderr });
  const url = await new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the server ended")));
    lines.on("line", (line) => {
      const page = /^the web application is at (.*)ui\/$/.exec(line);
      if (page) resolve(page[1]);
    });
  });
  let isStopped = false;
  const server = {
    url, lake,
    async kill() {
      if (isStopped) return;
      isStopped = true;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
    async stop() {
      await server.kill();
      rmSync(lake, { recursive: true, force: true });
    },
  };
  servers.push(server);
  return server;
}

/** Sends messages by OTLP: [nanoseconds, severity, text, attributes]. */
export async function send(url, records, { service = "shop", scope = "till" } = {}) {
  const value = (v) => (typeof v === "bigint" ? { intValue: String(v) } : { stringValue: v });
  const logRecords = records.map(([time, severityNumber, text, attributes = {}]) => ({
    timeUnixNano: String(time), severityNumber, body: { stringValue: text }, attributes: Object.entries(attributes).map(([key, v]) => ({ key, value: value(v) })),
  }));
  const payload = { resourceLogs: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] }, scopeLogs: [{ scope: { name: scope }, logRecords }] }] };
  const response = await fetch(`${url}v1/logs`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(payload) });
  assert.equal(response.status, 200, await response.text());
}

/** Sends what a recording of `testdata` has, as it was sent then. */
export async function replay(url, name) {
  const lines = gunzipSync(readFileSync(new URL(`../../../testdata/recordings/${name}.jsonl.gz`, import.meta.url))).toString().split("\n").filter(Boolean);
  for (const line of lines) {
    const { path, headers = {}, body_b64 } = JSON.parse(line);
    await fetch(new URL(path.replace(/^\//, ""), url), { method: "POST", headers, body: Buffer.from(body_b64, "base64") });
  }
}

/** Opens a page. Requests to other hosts, violations of the policy and errors in the console fail the test. */
export async function open(context, url, options = {}) {
  const faults = [];
  const page = await (await browser.newContext({ viewport: { width: 1400, height: 800 }, timezoneId: "Europe/Berlin", ...options })).newPage();
  await page.route("**/*", (route) => {
    if (new URL(route.request().url()).origin === new URL(url).origin) return route.continue();
    faults.push(`asked another host: ${route.request().url()}`);
    return route.abort();
  });
  page.on("console", (message) => { if (message.type() === "error") faults.push(message.text()); });
  page.on("pageerror", (error) => faults.push(String(error)));
  context.after(async () => {
    await page.context().close();
    const unexpected = faults.filter((fault) => !options.expected?.test(fault));
    assert.deepEqual(unexpected, []);
  });
  await page.goto(url);
  return page;
}

export const rowsOf = (page) => page.locator(".grid-body .row");
export const BASE = 1_769_860_800_000_000_000n;
export const RANGE = "from=2026-01-31T11:59:00Z&to=2026-01-31T12:10:00Z&tz=UTC";
export const query = (lake, sql) => JSON.parse(execFileSync(binary, ["query", "--lake", lake, "--format", "json", sql], { encoding: "utf8" }));


/** Fails if axe finds something that keeps people out. */
export async function checkAccess(page, what) {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => `${what}: ${id}: ${nodes[0].html} ${nodes[0].failureSummary}`), []);
}
