// The pages of spans, which their crate registers, in a real browser, against the real binary: see helpers.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAccess, open, query, replay, serve, skip } from "./helpers.mjs";

const FORGE = "91c05919-9f9a-438b-a935-2ef0ef852b09";
const SHOP = "4d79cc8d-2c96-5d1d-b2ac-db5ca3dd9dbc";
const DAY = "from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z&tz=UTC";
const count = async (page) => Number((await page.locator(".counts b").first().innerText()).replaceAll(",", ""));
/** Waits until nothing is asked any more. */
const settled = (page) => page.waitForFunction(() => {
  const text = document.querySelector(".drawn-page .counts")?.textContent ?? "…";
  return !text.includes("asking") && !text.includes("…");
});

test("a process has the pages that crates registered, and the timeline has every span", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  const page = await open(context, `${server.url}ui/processes/${FORGE}?${DAY}`);
  await page.getByRole("link", { name: "Timeline" }).click();
  await settled(page);
  const [{ n }] = query(server.lake, `SELECT count(*) AS n FROM process_spans('${FORGE}', 'thread') WHERE depth > 0`);
  assert.equal(await count(page), n);
  assert.match(page.url(), new RegExp(`/ui/processes/${FORGE}/timeline\?`));
  assert.equal(await page.locator(".page-tabs a[aria-current]").innerText(), "Timeline");
  // the whole life is the range of the threads, to the nanosecond
  await page.getByRole("button", { name: "Whole life" }).click();
  const [{ b }] = query(server.lake, `SELECT min(b.begin_time) AS b FROM blocks b JOIN streams s ON b.stream_id = s.stream_id WHERE s.process_id = '${FORGE}' AND array_has(s.tags, 'cpu')`);
  await page.waitForFunction((from) => new URLSearchParams(location.search).get("from") === from, b);
  await settled(page);
  assert.equal(await count(page), n);
  // the longest one, as the table has it, is the longest one
  await page.locator(".listed summary").click();
  const [longest] = query(server.lake, `SELECT name, duration, "begin" FROM process_spans('${FORGE}', 'thread') WHERE depth > 0 ORDER BY duration DESC LIMIT 1`);
  const first = page.locator(".listed tbody tr").first();
  assert.equal(await first.locator("th").innerText(), longest.name);
  await first.locator("th button").click();
  await page.locator(".chosen", { hasText: `${String(longest.duration).replace(/\B(?=(\d{3})+$)/g, ",")} ns` }).waitFor();
  await page.locator(".chosen", { hasText: longest.begin.slice(11, -1) }).waitFor();
  // by keyboard: to a part of it and back, and closer
  await page.keyboard.press("ArrowDown");
  await page.locator(".chosen", { hasText: "depth 2" }).waitFor();
  await page.keyboard.press("ArrowUp");
  await page.locator(".chosen", { hasText: "depth 1" }).waitFor();
  const before = page.url();
  await page.keyboard.press("f");
  await page.waitForFunction((address) => location.href !== address, before);
  await settled(page);
  assert.ok(await count(page) < n);
  // a link shows the same
  const shown = await count(page);
  await page.reload();
  await settled(page);
  assert.equal(await count(page), shown);
});

test("what is dragged over on the timeline is the range of every page, and the way back leads back", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  const page = await open(context, `${server.url}ui/processes/${FORGE}/timeline?from=2026-11-23T20:56:20.950Z&to=2026-11-23T20:56:20.952Z&tz=UTC`);
  await settled(page);
  const whole = await count(page);
  const box = await page.locator(".picture canvas").boundingBox();
  await page.mouse.move(box.x + 500, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + 640, box.y + 64, { steps: 4 });
  await page.locator(".tip", { hasText: "µs" }).waitFor();
  await page.mouse.up();
  await page.waitForFunction(() => !location.search.includes("20.952Z"));
  await settled(page);
  assert.ok(await count(page) < whole);
  const range = new URL(page.url()).searchParams;
  await page.getByRole("link", { name: "Flame graph" }).click();
  await settled(page);
  assert.equal(new URL(page.url()).searchParams.get("from"), range.get("from"));
  // both steps at once: the page that opens in between must not take its own range for what is wanted
  await page.evaluate(() => {
    history.back();
    window.addEventListener("popstate", () => history.back(), { once: true });
  });
  await page.waitForFunction(() => location.search.includes("20.952Z"));
  await settled(page);
  await page.waitForFunction((n) => document.querySelector(".counts b")?.textContent.replaceAll(",", "") === String(n), whole);
  // asked again, it asks again, although the range is the same
  const asked = page.waitForRequest((request) => request.url().includes("api/query") && (request.postData() ?? "").includes("span_tiles"));
  await page.keyboard.press("r");
  await asked;
});

test("the flame graph has all the time, by way and by name", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  const page = await open(context, `${server.url}ui/processes/${FORGE}/flame?${DAY}`);
  await settled(page);
  const graph = `flame_graph('${FORGE}', '2026-11-23T00:00:00Z', '2026-11-24T00:00:00Z')`;
  const [{ calls, self }] = query(server.lake, `SELECT sum(calls) AS calls, sum(self) AS self FROM ${graph}`);
  await page.locator(".counts", { hasText: `in ${String(calls).replace(/\B(?=(\d{3})+$)/g, ",")} spans` }).waitFor();
  const inMs = (ns) => `${(ns / 1e6).toFixed(6).replace(/0+$/, "")} ms`;
  assert.equal(await page.locator(".counts b").innerText(), inMs(self));
  const [most] = query(server.lake, `SELECT name, sum(self) AS own, sum(calls) AS calls FROM ${graph} GROUP BY 1 ORDER BY 2 DESC LIMIT 1`);
  const cells = await page.locator(".listed tbody tr").first().locator("th, td").allInnerTexts();
  assert.equal(cells[0], most.name);
  assert.ok(cells[1] === inMs(most.own) || cells[1].endsWith("µs"), `${cells} ${most.own}`);
  // a click looks at a part, and Escape at all
  const box = await page.locator(".picture canvas").boundingBox();
  await page.mouse.click(box.x + 20, box.y + 8);
  await page.getByRole("button", { name: "The whole" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "The whole" }).waitFor({ state: "detached" });
  await page.fill("#find-ways", "visit_node");
  await page.waitForFunction(() => [...document.querySelectorAll(".listed tbody th")].every((cell) => cell.textContent.includes("visit_node")));
});

test("a process of OpenTelemetry has a flame graph, and its timeline says that it has no threads", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "otlp-small");
  const page = await open(context, `${server.url}ui/processes/${SHOP}/flame?from=2020-01-01T00:00:00Z&to=2040-01-01T00:00:00Z&tz=UTC`);
  await settled(page);
  await page.locator(".counts", { hasText: "in 71 spans" }).waitFor();
  await page.getByRole("link", { name: "Timeline" }).click();
  await page.getByText("This process sent no spans of threads").waitFor();
});

test("names of spans are text, whatever is in them", { skip }, async (context) => {
  const server = await serve();
  const evil = '<img src=x onerror="document.title=1">\u202e</script>';
  const spans = [["01", "", evil, 0, 900], ["02", "01", "b; c 12", 100, 400]].map(([id, parent, name, from, to]) => ({ traceId: "0123456789abcdef0123456789abcdef", spanId: `00000000000000${id}`, parentSpanId: parent && `00000000000000${parent}`, name, startTimeUnixNano: String(1_769_860_800_000_000_000n + BigInt(from)), endTimeUnixNano: String(1_769_860_800_000_000_000n + BigInt(to)) }));
  const sent = await fetch(`${server.url}v1/traces`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ resourceSpans: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: evil } }] }, scopeSpans: [{ spans }] }] }) });
  assert.equal(sent.status, 200);
  const [{ id }] = query(server.lake, "SELECT process_id AS id FROM processes");
  const page = await open(context, `${server.url}ui/processes/${id}/flame?from=2026-01-31T11:00:00Z&to=2026-01-31T13:00:00Z&tz=UTC`);
  await settled(page);
  await page.locator(".listed th", { hasText: "onerror" }).waitFor();
  assert.match(await page.locator(".listed th", { hasText: "onerror" }).innerText(), /⟨202E⟩/);
  assert.deepEqual(await page.locator(".listed tbody tr").first().locator("td").first().innerText(), "600 ns");
  const box = await page.locator(".picture canvas").boundingBox();
  await page.mouse.move(box.x + 20, box.y + 8);
  await page.locator(".tip", { hasText: "900 ns" }).waitFor();
  assert.equal(await page.locator("#app img, #app script").count(), 0);
  assert.match(await page.title(), /Belvedere$/);
});

test("a range without spans says where they are, and an unknown page of a process is told", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  const page = await open(context, `${server.url}ui/processes/${FORGE}/timeline?from=2026-11-25T00:00:00Z&to=2026-11-26T00:00:00Z&tz=UTC`);
  await page.getByText("No thread did anything in this range").waitFor();
  await page.getByRole("button", { name: "Go there" }).click();
  await page.locator(".counts b", { hasText: /^[1-9]/ }).waitFor();
  await page.goto(`${server.url}ui/processes/${FORGE}/nothing`);
  await page.getByText("There is no such page of a process").waitFor();
});

test("nothing serious keeps people out of the pages of spans", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(context, `${server.url}ui/processes/${FORGE}/timeline?${DAY}`, { colorScheme });
    await settled(page);
    await page.locator(".listed summary").click();
    await page.locator(".listed tbody button").first().click();
    await page.locator(".chosen").waitFor();
    await checkAccess(page, `timeline, ${colorScheme}`);
    await page.getByRole("link", { name: "Flame graph" }).click();
    await settled(page);
    await page.locator(".listed table").waitFor();
    await checkAccess(page, `flame graph, ${colorScheme}`);
  }
});
