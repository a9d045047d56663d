// The pages beside that of messages, in a real browser, against the real binary: see helpers.mjs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BASE, RANGE, checkAccess, open, query, replay, send, serve, skip } from "./helpers.mjs";

const EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
/** Puts SQL into the editor, in the place of what is there. */
async function write(page, sql) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(sql);
  await page.keyboard.press("Escape");
}
async function run(page, sql) {
  await write(page, sql);
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByRole("button", { name: "Run" }).waitFor();
}
const cells = (page) => page.locator(".result-table .grid-body .row").first().locator(".cell").allInnerTexts();

test("the SQL page answers exactly, and says at which place the server did not understand it", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, Array.from({ length: 30 }, (_, i) => [BASE + BigInt(i), 9, `message ${i}`, { number: 9007199254740993n }]), { service: EVIL });
  const page = await open(context, `${server.url}ui/sql?${RANGE}`, { expected: /400/ });
  await page.locator(".cm-content").waitFor();
  await run(page, "SELECT time, 9007199254740993 AS big, NULL AS nothing, properties, '<b>x</b>' AS text FROM log_entries ORDER BY time");
  await page.locator(".answer-bar b", { hasText: "30" }).waitFor();
  const [time, big, nothing, properties, text] = await cells(page);
  assert.deepEqual([time, big, nothing, text], ["2026-01-31 12:00:00.000", "9,007,199,254,740,993", "NULL", "<b>x</b>"]);
  assert.match(properties, /"number": 9007199254740993,/);
  assert.equal(await page.locator(".result-table .grid-body .row b, #app img").count(), 0);
  // a row in full has all digits of its time
  await page.locator(".result-table .row").nth(1).click();
  await page.locator(".result-table .drawer", { hasText: "2026-01-31T12:00:00.000000001Z" }).waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  // by keyboard too: sorting, and from row to row
  await page.locator(".grid-head button", { hasText: "time" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".result-table .row time, .result-table .row .cell")?.textContent.endsWith("029"));
  await page.locator(".result-table .grid").focus();
  await page.keyboard.press("ArrowDown");
  await page.locator(".result-table .drawer", { hasText: "2026-01-31T12:00:00.000000029Z" }).waitFor();
  // of several statements the one with the cursor, and a place for what is wrong
  await run(page, "SELECT 1 AS one;\n\nSELECT nope FROM log_entries");
  await page.locator(".sql-fault", { hasText: "nope" }).waitFor();
  assert.equal(await page.locator(".cm-fault").innerText(), "nope");
  await run(page, "SELECT count(*) AS n FROM log_entries WHERE msg = $text");
  await page.locator(".sql-parameters input").fill("message 7");
  await page.getByRole("button", { name: "Run" }).click();
  await page.locator(".result-table .cell", { hasText: /^1$/ }).waitFor();
  await page.locator(".cost", { hasText: "decodes 1 block" }).waitFor();
  // the address has the statement where no proxy sees it
  assert.match(new URL(page.url()).hash, /^#s=[\w-]+$/);
  assert.ok(!new URL(page.url()).search.includes("SELECT"));
  const again = await page.context().newPage();
  await again.goto(page.url());
  await again.locator(".cm-content", { hasText: "msg = $text" }).waitFor();
});

test("an answer that is cut at the limit says so, and a download has all rows", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x"]]);
  const page = await open(context, `${server.url}ui/sql?limit=1000`);
  await page.locator(".cm-content").waitFor();
  await run(page, "SELECT value FROM generate_series(1, 2500) ORDER BY value");
  await page.getByText("Cut at 1,000 rows").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "csv" }).click()]);
  const lines = readFileSync(await download.path(), "utf8").trim().split("\n");
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [2501, "value", "2500"]);
});

test("a million rows are scrolled with few elements, and none is lost at the end", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x"]]);
  const page = await open(context, `${server.url}ui/sql?limit=1000000`);
  await page.locator(".cm-content").waitFor();
  await run(page, "SELECT value, value * 2 AS twice, 'text of ' || value AS text FROM generate_series(1, 1000000) ORDER BY value");
  await page.locator(".answer-bar b", { hasText: "1,000,000" }).waitFor({ timeout: 60_000 });
  const grid = page.locator(".result-table .grid");
  const times = await grid.evaluate(async (element) => {
    const steps = [];
    let last = performance.now();
    for (let i = 0; i < 60; i += 1) {
      element.scrollTop = ((i * 7919) % 60) / 60 * element.scrollHeight;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      steps.push(performance.now() - last);
      last = performance.now();
    }
    return steps.sort((a, b) => a - b);
  });
  console.log(`scrolling: p50 ${times[30].toFixed(1)} ms, p95 ${times[57].toFixed(1)} ms a frame`);
  assert.ok(await page.locator(".result-table .grid *").count() <= 400);
  await grid.evaluate((element) => { element.scrollTop = element.scrollHeight; });
  await page.locator(".result-table .row", { hasText: "text of 1000000" }).waitFor();
  const isSeen = await page.locator(".result-table .row", { hasText: "text of 1000000" }).evaluate((row) => row.getBoundingClientRect().bottom <= row.closest(".grid").getBoundingClientRect().bottom + 1);
  assert.ok(isSeen, "the last row is in view");
});

test("Stop ends the query on the server, and the lake's page lists it until then", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x"]]);
  const page = await open(context, `${server.url}ui/sql`, { expected: /40[49]/ });
  await page.locator(".cm-content").waitFor();
  const endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a.value + b.value < 0";
  await write(page, endless);
  await page.getByRole("button", { name: "Run" }).click();
  const lake = await page.context().newPage();
  await lake.goto(`${server.url}ui/lake`);
  const isListed = (times) => lake.waitForFunction((times) => [...document.querySelectorAll("td code")].filter((code) => code.textContent.startsWith("SELECT count")).length === times, times);
  await isListed(1);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped").waitFor();
  await isListed(0);
  await page.getByRole("button", { name: "Run" }).click();
  await isListed(1);
  await lake.locator("tr", { hasText: /SELECT count/ }).filter({ hasNotText: "EXPLAIN" }).getByRole("button", { name: "Cancel" }).click();
  await page.locator(".sql-fault", { hasText: "cancelled" }).waitFor();
});

test("every table has a page that says what it is, without an error", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, Array.from({ length: 50 }, (_, i) => [BASE + BigInt(i) * 1_000_000_000n, [9, 17][i % 2], EVIL, { wood: EVIL }]), { service: EVIL, scope: EVIL });
  const page = await open(context, `${server.url}ui/tables?${RANGE}`);
  const sets = query(server.lake, "SELECT view_set_name AS name, description FROM list_view_sets()");
  assert.ok(sets.length > 5);
  for (const { name, description } of sets) {
    await page.locator(".side-link", { hasText: new RegExp(`^${name}$`) }).first().click();
    await page.locator("h1", { hasText: new RegExp(`^${name}$`) }).waitFor();
    assert.ok((await page.locator(".table-head").innerText()).includes(description));
    await page.waitForFunction(() => !document.body.innerText.includes("asking …"));
    assert.deepEqual(await page.locator(".fault").allInnerTexts(), [], name);
  }
  assert.equal(await page.locator("#app img, #app script").count(), 0);
  const [messages] = sets.filter(({ name }) => name.includes("log_entr"));
  await page.locator(".side-link", { hasText: messages.name }).first().click();
  await page.locator(".panel", { hasText: "rows by level" }).getByText("50 rows").waitFor();
  await page.getByRole("button", { name: "Values of level" }).click();
  await page.locator(".values-row li", { hasText: "error" }).getByText("25").waitFor();
  await page.goto(`${server.url}ui/tables/nothing`);
  await page.getByText("There is no table nothing").waitFor();
});

test("an answer that lacks the rows of blocks says so, and which", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "bad/flipped-objects");
  const streams = query(server.lake, "SELECT stream_id FROM streams WHERE array_has(tags, 'cpu')");
  const page = await open(context, `${server.url}ui/sql?range=all`);
  await page.locator(".cm-content").waitFor();
  await run(page, streams.map(({ stream_id }) => `SELECT count(*) AS n FROM view_instance('thread_spans', '${stream_id}')`).join(" UNION ALL "));
  await page.locator(".notice", { hasText: /blocks? could not be read: their rows are missing/ }).waitFor();
  await page.locator(".last-line", { hasText: /⚠ rows of \d+ blocks? are missing/ }).waitFor();
});

test("figures of the pages are those of the command line", { skip }, async (context) => {
  const server = await serve();
  await replay(server.url, "native-small");
  await replay(server.url, "otlp-small");
  const one = (sql) => Number(Object.values(query(server.lake, sql)[0])[0]);
  const [{ first, last }] = query(server.lake, "SELECT min(begin_time) AS first, max(end_time) AS last FROM blocks");
  const range = `from=${first}&to=${last}&tz=UTC`;
  const shown = async (locator) => Number((await locator.first().innerText()).replaceAll(",", "").match(/\d+/)[0]);
  const page = await open(context, `${server.url}ui/logs?${range}`);
  await page.locator(".legend").waitFor();
  const counts = { fatal: 1, error: 2, warning: 3, info: 4 };
  assert.equal(await shown(page.locator(".counts b")), one("SELECT count(*) FROM log_entries"));
  for (const [level, number] of Object.entries(counts)) {
    const expected = one(`SELECT count(*) FROM log_entries WHERE level = ${number}`);
    if (expected) assert.equal(await shown(page.locator(".legend button", { hasText: level }).locator(".number")), expected, level);
  }
  await page.goto(`${server.url}ui/processes?${range}`);
  await page.locator(".grid a").first().waitFor();
  assert.equal(await shown(page.locator(".counts b")), one("SELECT count(*) FROM processes"));
  await page.locator(".grid a", { hasText: "forged" }).click();
  await page.locator("h2", { hasText: "Streams" }).waitFor();
  const exe = "SELECT process_id FROM processes WHERE exe LIKE '%forged'";
  const panel = page.locator(".panel", { has: page.locator("h2", { hasText: "Streams" }) });
  await panel.locator("tbody tr").first().waitFor();
  const sum = async (column) => (await panel.locator(`tbody tr td:nth-of-type(${column})`).allInnerTexts()).reduce((all, text) => all + Number(text.replaceAll(",", "")), 0);
  assert.equal(await panel.locator("tbody tr").count(), one(`SELECT count(*) FROM streams WHERE process_id IN (${exe})`));
  assert.equal(await sum(2), one(`SELECT count(*) FROM blocks WHERE process_id IN (${exe})`));
  assert.equal(await sum(3), one(`SELECT sum(nb_objects) FROM blocks WHERE process_id IN (${exe})`));
  await page.goto(`${server.url}ui/lake`);
  await page.locator(".card-value", { hasText: /^1|^\d/ }).nth(2).waitFor();
  assert.equal(await shown(page.locator(".card", { hasText: "as they were sent" }).locator(".card-value")), one("SELECT count(*) FROM blocks"));
  await page.goto(`${server.url}ui/tables/measures?${range}`);
  const rows = page.locator(".panel", { has: page.locator("h2", { hasText: "rows along time" }) });
  await rows.locator("canvas").waitFor();
  assert.equal(await shown(rows.locator(".panel-head .quiet")), one("SELECT count(*) FROM measures"));
  // pictures of the recording have the first bytes of one, and no more
  await page.goto(`${server.url}ui/tables/images?${range}`);
  await page.getByText("its bytes are no picture").first().waitFor();
  await page.goto(`${server.url}ui/tables/thread_spans?${range}`);
  await page.locator(".panel", { hasText: "the longest spans, by depth" }).locator("canvas").waitFor();
  await page.goto(`${server.url}ui/sql?range=all`);
  await page.locator(".cm-content").waitFor();
  await run(page, "SELECT max(value) AS greatest, min(insert_time) AS first FROM measures");
  await page.locator(".result-table .row").first().waitFor();
  const [{ greatest }] = query(server.lake, "SELECT max(value) AS greatest FROM measures");
  assert.equal(Number((await cells(page))[0].replaceAll(",", "")), greatest);
});

test("processes are listed, and one of them says what it sent", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 17, `failed: ${EVIL}`]], { service: "shop" });
  await send(server.url, [[BASE, 9, "y"]], { service: EVIL });
  const page = await open(context, `${server.url}ui/processes?${RANGE}`);
  await page.locator(".counts b", { hasText: "2" }).waitFor();
  await page.fill("#search", "shop");
  await page.locator(".counts b", { hasText: "1" }).waitFor();
  await page.locator(".grid a", { hasText: "shop" }).click();
  await page.locator(".facts", { hasText: "ERROR" }).getByText("failed:").waitFor();
  await page.getByRole("button", { name: "Its messages" }).click();
  await page.locator(".c-msg", { hasText: "failed" }).waitFor();
  assert.equal(await page.locator(".grid-body .row").count(), 1);
  await page.goto(`${server.url}ui/processes/${encodeURIComponent("' OR 1=1")}`);
  await page.getByText("There is no such process").waitFor();
});

test("the list of messages has the columns that one chooses, and the address says which", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x", { wood: EVIL }]]);
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await page.locator(".grid-body .row").first().waitFor();
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("checkbox", { name: "exe" }).click();
  await page.getByRole("checkbox", { name: "properties", exact: true }).click();
  await page.locator(".c-properties", { hasText: "onerror" }).waitFor();
  await page.getByRole("button", { name: "msg further left" }).click();
  await page.keyboard.press("Escape");
  const heads = await page.locator(".grid-head .cell").allInnerTexts();
  assert.deepEqual(heads, ["time", "level", "message", "target", "properties"]);
  assert.match(decodeURIComponent(page.url()), /cols=time,level,msg,target,properties/);
  assert.equal(await page.locator("#app img").count(), 0);
});

test("anything is found by its name, and ranges are gone back to", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x"]]);
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await page.locator(".grid-body .row").first().waitFor();
  await page.keyboard.press("+");
  await page.waitForFunction(() => !location.search.includes("11:59:00Z"));
  await page.keyboard.press("B");
  await page.waitForFunction(() => location.search.includes("11:59:00Z"));
  await page.getByRole("button", { name: "The range after" }).click();
  await page.waitForFunction(() => !location.search.includes("11:59:00Z"));
  await page.keyboard.press("Control+k");
  await page.keyboard.type("zz qq");
  await page.getByText("nothing has that name").waitFor();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("processes");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/ui\/processes/);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("view_instance");
  await page.keyboard.press("Enter");
  await page.locator(".cm-content", { hasText: "view_instance(" }).waitFor();
});

test("what is typed right after a key that opens something goes into that", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x"]]);
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await page.locator(".grid-body .row").first().waitFor();
  for (const [key, ctrlKey, opened] of /** @type {[string, boolean, string][]} */ ([["t", false, ".menu"], ["z", false, ".menu"], ["k", true, "dialog[open]"]])) {
    const isInside = await page.evaluate(async ({ key, ctrlKey, opened }) => {
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key, ctrlKey, bubbles: true }));
      // what is done before the next key, and nothing that waits for a frame
      for (let i = 0; i < 10; i++) await Promise.resolve();
      return document.querySelector(opened)?.contains(document.activeElement);
    }, { key, ctrlKey, opened });
    assert.equal(isInside, true, key);
    await page.keyboard.press("Escape");
  }
});

test("the lines to paste name this server, with the paths that it has", { skip }, async (context) => {
  const server = await serve();
  const page = await open(context, `${server.url}ui/`);
  await page.getByText("This lake is empty").waitFor();
  const status = async (address) => (await fetch(address, { method: "POST", body: "" })).status;
  for (const [way, found, paths] of [
    ["OpenTelemetry", /OTEL_EXPORTER_OTLP_ENDPOINT=(\S+)/, ["v1/logs", "v1/traces", "v1/metrics"]],
    ["Rust", /MICROMEGAS_TELEMETRY_URL=(\S+)/, ["ingestion/insert_process", "ingestion/insert_stream", "ingestion/insert_block"]],
    ["Unreal", /InitTelemetry\(TEXT\("([^"]+)"/, ["ingestion/insert_process", "ingestion/insert_stream", "ingestion/insert_block"]],
  ]) {
    await page.getByRole("tab", { name: way }).click();
    const [, address] = found.exec(await page.locator("#way pre").innerText());
    for (const path of paths) {
      const told = await status(`${address}/${path}`);
      assert.ok(told >= 400 && told !== 404 && told !== 405, `${way}: ${address}/${path}: ${told}`);
    }
    assert.equal(await status(`${address}/no/such/path`), 404);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`nothing serious keeps people out of any page in ${colorScheme} colors`, { skip }, async (context) => {
    const server = await serve();
    await send(server.url, Array.from({ length: 60 }, (_, i) => [BASE + BigInt(i) * 1_000_000_000n, [1, 5, 9, 13, 17, 21][i % 6], `message ${i}`, { wood: "oak" }]));
    const page = await open(context, `${server.url}ui/processes?${RANGE}`, { colorScheme, expected: /400/ });
    await page.locator(".grid a").first().waitFor();
    await checkAccess(page, "processes");
    await page.locator(".grid a").first().click();
    await page.locator(".facts", { hasText: "ERROR" }).waitFor();
    await checkAccess(page, "process");
    await page.goto(`${server.url}ui/lake`);
    await page.getByText("Nobody").or(page.locator("td", { hasText: "till" })).or(page.locator(".card-value")).first().waitFor();
    await checkAccess(page, "lake");
    await page.goto(`${server.url}ui/tables?${RANGE}`);
    await page.locator(".facts").waitFor();
    await checkAccess(page, "tables");
    await page.goto(`${server.url}ui/tables/log_entries?${RANGE}`);
    await page.waitForFunction(() => !document.body.innerText.includes("asking …"));
    await page.getByRole("button", { name: "Values of level" }).click();
    await page.locator(".values-row li").first().waitFor();
    await checkAccess(page, "a table");
    await page.goto(`${server.url}ui/sql?${RANGE}`);
    await page.locator(".cm-content").waitFor();
    await run(page, "SELECT date_bin(INTERVAL '1 second', time) AS t, level, count(*) AS n FROM log_entries GROUP BY 1, 2");
    await page.locator(".result-table .row").first().waitFor();
    await checkAccess(page, "SQL");
    for (const tab of ["Chart", "Columns", "Plan"]) {
      await page.getByRole("tab", { name: tab }).click();
      await checkAccess(page, `SQL, ${tab}`);
    }
    await run(page, "SELECT nope");
    await page.locator(".sql-fault").waitFor();
    await checkAccess(page, "SQL that is wrong");
    await page.keyboard.press("Control+k");
    await page.locator(".palette li").first().waitFor();
    await checkAccess(page, "palette");
  });
}
