// The pages of metrics, which their crate registers, in a real browser, against the real binary: see helpers.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BASE, RANGE, checkAccess, open, query, replay, serve, skip } from "./helpers.mjs";

const DAY = "from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z&tz=UTC";
const settled = (page) => page.waitForFunction(() => {
  const text = document.querySelector(".drawn-page .counts")?.textContent ?? "…";
  return !text.includes("asking") && !text.includes("…");
});

/** Sends values of one gauge by OTLP. */
async function measure(url, values, name = "load") {
  const dataPoints = values.map((value, i) => ({ timeUnixNano: String(BASE + BigInt(i) * 1_000_000_000n), asDouble: value }));
  const response = await fetch(`${url}v1/metrics`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ resourceMetrics: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] }, scopeMetrics: [{ scope: { name: "till" }, metrics: [{ name, unit: "1", gauge: { dataPoints } }] }] }] }) });
  assert.equal(response.status, 200, await response.text());
}

test("metrics are listed as they are in the lake, and what is chosen is in the address", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  const page = await open(context, `${server.url}ui/logs?${DAY}`);
  await page.getByRole("link", { name: "Metrics" }).click();
  await settled(page);
  const all = query(server.lake, "SELECT target, name, unit, count(*) AS n, min(value) AS least, max(value) AS most FROM measures GROUP BY 1, 2, 3 ORDER BY 1, 2, 3");
  assert.equal(await page.locator(".counts b").first().innerText(), String(all.length));
  const cells = await page.locator(".page-body tbody tr").first().locator("th, td").allInnerTexts();
  assert.deepEqual(cells, [all[0].name, all[0].target, all[0].unit, String(all[0].n), String(all[0].least), String(all[0].most)]);
  await page.locator(".page-body tbody tr button").first().click();
  // the least and the greatest value of each process, exactly
  const [{ least, most }] = query(server.lake, `SELECT min(value) AS least, max(value) AS most FROM measures WHERE target = '${all[0].target}' AND name = '${all[0].name}' AND unit = '${all[0].unit}' GROUP BY process_id ORDER BY count(*) DESC LIMIT 1`);
  const drawn = page.locator(".metric-lines tbody tr").first();
  await drawn.waitFor();
  assert.deepEqual(await drawn.locator("td").allInnerTexts().then(([a, , b]) => [a, b]), [String(least), String(most)]);
  await page.reload();
  await page.locator(".metric-lines tbody tr").first().waitFor();
  // of one process, its own
  const [{ id }] = query(server.lake, "SELECT process_id AS id FROM measures LIMIT 1");
  await page.goto(`${server.url}ui/processes/${id}/process-metrics?${DAY}`);
  await settled(page);
  const [{ n }] = query(server.lake, `SELECT count(*) AS n FROM (SELECT DISTINCT target, name, unit FROM view_instance('measures', '${id}')) AS m`);
  assert.equal(await page.locator(".counts b").first().innerText(), String(n));
});

test("no spike is averaged away, and dragging over a chart is the range of every page", { skip }, async (context) => {
  const server = await serve();
  await measure(server.url, Array.from({ length: 500 }, (_, i) => (i === 250 ? 1000 : 1)));
  const page = await open(context, `${server.url}ui/page/metrics?${RANGE}&metrics=${encodeURIComponent("till/load/1")}`);
  await page.locator(".metric-lines tbody tr").first().waitFor();
  const [least, , most] = await page.locator(".metric-lines tbody td").allInnerTexts();
  assert.deepEqual([least, most], ["1", "1000"]);
  const box = await page.locator("figure canvas").boundingBox();
  await page.mouse.move(box.x + 300, box.y + 60);
  await page.locator(".tip", { hasText: "shop" }).waitFor();
  await page.mouse.down();
  await page.mouse.move(box.x + 400, box.y + 60, { steps: 3 });
  await page.mouse.up();
  await page.waitForFunction(() => !location.search.includes("12:10:00Z"));
  await page.locator(".metric-lines tbody tr").first().waitFor();
});

test("nothing serious keeps people out of the page of metrics", { skip }, async (context) => {
  const server = await serve();
  await measure(server.url, [1, 2, 3, 4]);
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(context, `${server.url}ui/page/metrics?${RANGE}`, { colorScheme });
    await settled(page);
    await checkAccess(page, `all metrics, ${colorScheme}`);
    await page.locator(".page-body tbody tr button").first().click();
    await page.locator(".metric-lines tbody tr").first().waitFor();
    await checkAccess(page, `a metric, ${colorScheme}`);
  }
});
