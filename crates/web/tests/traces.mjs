// The page of traces, which its crate registers, in a real browser, against the real binary: see helpers.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAccess, open, query, replay, serve, skip } from "./helpers.mjs";

const RANGE = "from=2026-11-23T19:50:00Z&to=2026-11-23T20:10:00Z&tz=UTC";
const settled = (page) => page.waitForFunction(() => {
  const text = document.querySelector(".drawn-page .counts")?.textContent ?? "…";
  return !text.includes("asking") && !text.includes("…");
});
const count = async (page) => Number((await page.locator(".counts b").first().innerText()).replaceAll(",", ""));

test("traces are listed as they are in the lake, and are found by name and by errors", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "otlp-small");
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await page.getByRole("link", { name: "Traces" }).click();
  await settled(page);
  const [{ n }] = query(server.lake, "SELECT count(DISTINCT trace_id) AS n FROM otel_spans");
  assert.equal(await count(page), n);
  assert.equal(await page.locator(".listed tbody tr").count(), n);
  await page.getByLabel("order").selectOption("spans");
  await settled(page);
  const [most] = query(server.lake, "SELECT count(*) AS spans, sum(CASE WHEN status = 'ERROR' THEN 1 ELSE 0 END) AS errors FROM otel_spans GROUP BY trace_id ORDER BY 1 DESC LIMIT 1");
  const cells = await page.locator(".listed tbody tr").first().locator("td").allInnerTexts();
  assert.deepEqual([cells[2], cells[3]], [String(most.spans), String(most.errors)]);
  await page.getByRole("button", { name: "With errors" }).click();
  await settled(page);
  const [{ bad }] = query(server.lake, "SELECT count(DISTINCT trace_id) AS bad FROM otel_spans WHERE status = 'ERROR'");
  await page.waitForFunction((n) => document.querySelector(".counts b")?.textContent === String(n), bad);
  await page.locator('input[name="q"]').fill("there is no such span");
  await page.keyboard.press("Enter");
  await page.getByText("No traces that match").waitFor();
  await page.getByRole("button", { name: "Show all of the range" }).click();
  await page.waitForFunction((n) => document.querySelector(".counts b")?.textContent === String(n), n);
});

test("a trace is a waterfall of all its spans, and a span is shown with all digits", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "otlp-small");
  const [{ id, n }] = query(server.lake, "SELECT encode(trace_id, 'hex') AS id, count(*) AS n FROM otel_spans GROUP BY 1 ORDER BY 2 DESC LIMIT 1");
  const page = await open(context, `${server.url}ui/page/traces?${RANGE}&trace=${id}`);
  await settled(page);
  assert.equal(await count(page), n);
  assert.equal(Number(await page.locator(".waterfall-lines").getAttribute("aria-rowcount")), n);
  const [first] = query(server.lake, `SELECT name, duration, start_time FROM otel_spans WHERE trace_id = X'${id}' ORDER BY start_time LIMIT 1`);
  await page.locator(".waterfall-lines").focus();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.locator('.waterfall-line[aria-rowindex="2"][aria-selected="true"]').waitFor();
  await page.keyboard.press("k");
  await page.locator(".drawer h2", { hasText: first.name }).waitFor();
  await page.locator(".drawer", { hasText: `${String(first.duration).replace(/\B(?=(\d{3})+$)/g, ",")} ns` }).waitFor();
  await page.locator(".drawer", { hasText: first.start_time.slice(11, -1) }).waitFor();
  await page.locator(".drawer", { hasText: "service.name" }).waitFor();
  // folded, its parts are gone
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((n) => Number(document.querySelector(".waterfall-lines").getAttribute("aria-rowcount")) < n, n);
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((n) => Number(document.querySelector(".waterfall-lines").getAttribute("aria-rowcount")) === n, n);
  assert.ok(await page.locator(".waterfall-line").count() <= 80, "only lines in view are elements");
  // from a trace to what its processes said meanwhile
  await page.getByRole("button", { name: "Its messages" }).first().click();
  await page.waitForFunction(() => location.pathname.endsWith("/ui/logs"));
  assert.equal(new URL(page.url()).searchParams.get("q"), `otel.trace_id:"${id}"`);
});

test("nothing serious keeps people out of the page of traces", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "otlp-small");
  const [{ id }] = query(server.lake, "SELECT encode(trace_id, 'hex') AS id FROM otel_spans GROUP BY 1 ORDER BY count(*) DESC LIMIT 1");
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(context, `${server.url}ui/page/traces?${RANGE}`, { colorScheme });
    await settled(page);
    await checkAccess(page, `traces, ${colorScheme}`);
    await page.goto(`${server.url}ui/page/traces?${RANGE}&trace=${id}`);
    await settled(page);
    await page.locator(".waterfall-line").first().click();
    await page.locator(".drawer", { hasText: "service.name" }).waitFor();
    await checkAccess(page, `a trace, ${colorScheme}`);
  }
});
