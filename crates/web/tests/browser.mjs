// The page of messages in a real browser, against the real binary: see helpers.mjs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { BASE, RANGE, binary, checkAccess, open, query, rowsOf, send, serve, skip } from "./helpers.mjs";

test("an empty lake shows lines with this server's address, and turns into rows at the first block", { skip }, async (context) => {
  const server = await serve();
  const page = await open(context, `${server.url}ui/`);
  await page.getByText("This lake is empty").waitFor();
  const lines = await page.locator("#way pre").innerText();
  assert.ok(lines.includes(`${server.url}v1/logs`), lines);
  // what is to be pasted works
  execFileSync("bash", ["-c", lines], { stdio: "ignore" });
  await page.locator(".c-msg", { hasText: "hello, lake" }).waitFor();
});

test("rows are exact to the nanosecond, in order, and as many as the command line says", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, Array.from({ length: 2500 }, (_, i) => [BASE + BigInt(i >> 2), i % 9 === 0 ? 17 : 9, `message ${i}`, { number: 9007199254740993n }]));
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await page.locator(".counts b", { hasText: "2,500" }).waitFor();
  const [{ n }] = query(server.lake, "SELECT count(*) AS n FROM log_entries WHERE level <= 2");
  assert.equal(Number((await page.locator(".legend button", { hasText: "error" }).locator(".number").innerText()).replace(",", "")), n);
  // four rows have each instant: where pages of rows meet, none is lost or shown twice
  const seen = new Set();
  let times = [];
  for (let i = 0; i < 500 && seen.size < 2500; i += 1) {
    for (const [time, text] of await rowsOf(page).evaluateAll((all) => all.map((row) => [row.querySelector("time").title.slice(0, 30), row.querySelector(".c-msg").textContent]))) {
      if (!seen.has(text)) times.push(time);
      seen.add(text);
    }
    await page.locator(".grid").evaluate((grid) => { grid.scrollTop += 15 * 22; });
    // what is in view is drawn, however slow this machine is
    await page.waitForFunction(() => {
      const grid = document.querySelector(".grid");
      const all = Math.round(grid.querySelector(".grid-body").clientHeight / 22);
      const drawn = (index) => grid.querySelector(`[data-index="${Math.max(0, Math.min(all - 1, index))}"]`);
      return drawn(Math.floor(grid.scrollTop / 22)) && drawn(Math.floor((grid.scrollTop + grid.clientHeight) / 22) + 3);
    });
  }
  assert.equal(seen.size, 2500);
  assert.deepEqual(times, [...times].sort().reverse());
  assert.equal(times.at(-1), "2026-01-31T12:00:00.000000000Z");
  assert.ok(await page.locator(".grid *").count() <= 400, "only rows in view are elements");
  // the drawer has the number with all digits
  await page.locator(".grid").evaluate((grid) => { grid.scrollTop = 0; });
  await rowsOf(page).first().click();
  await page.locator(".drawer", { hasText: "9007199254740993" }).waitFor();
});

test("a search finds what the command line finds, and its SQL is shown", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "50% of it"], [BASE + 1n, 9, "500 of it"], [BASE + 2n, 17, "Timeout of 'x'", { wood: "oak" }], [BASE + 3n, 9, "a\\b_c"]]);
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await rowsOf(page).first().waitFor();
  const [half, all, timeout, path] = ["50% of it", "500 of it", "Timeout of 'x'", "a\\b_c"];
  // no search finds what the one before it found: what is waited for is an answer to this one
  for (const [typed, ...found] of [["50%", half], ["timeout", timeout], ["-timeout", path, all, half], ["wood:oak", timeout], ["-wood:oak", path, all, half], ["level:error", timeout], ["a\\b_", path], ["/t.meout/", timeout], ['target:"till"', path, timeout, all, half], ["'x'", timeout]]) {
    await page.fill("#search", typed);
    await page.keyboard.press("Enter");
    await page.waitForFunction((wanted) => {
      const shown = [...document.querySelectorAll(".grid-body .row .c-msg")].map((cell) => cell.textContent);
      return String(shown) === String(wanted) && document.querySelector(".counts b")?.textContent === String(wanted.length);
    }, found, { timeout: 15_000 }).catch(() => assert.fail(`${typed}: not ${found}`));
  }
  await page.fill("#search", "nowhere");
  await page.keyboard.press("Enter");
  await page.getByText("The search leaves nothing").waitFor();
  await page.getByRole("button", { name: "4 rows" }).first().click();
  await rowsOf(page).nth(3).waitFor();
  await page.getByRole("button", { name: "= SQL" }).click();
  await page.locator("pre.sql", { hasText: "ORDER BY time DESC" }).waitFor();
});

test("what is typed while the search before it is drawn stays, and is what is searched", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "first"], [BASE + 1n, 9, "second"]]);
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await rowsOf(page).nth(1).waitFor();
  const kept = await page.evaluate(async () => {
    const input = document.getElementById("search");
    const type = (text) => { input.value = text; input.dispatchEvent(new Event("input", { bubbles: true })); };
    type("first");
    input.form.requestSubmit();
    await new Promise((rendered) => setTimeout(rendered));
    type("second");
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 200)));
    const { value } = input;
    // what was typed counts, drawn or not
    type("secon");
    input.form.requestSubmit();
    return value;
  });
  assert.equal(kept, "second");
  await page.waitForFunction(() => new URLSearchParams(location.search).get("q") === "secon");
  await rowsOf(page).locator(".c-msg", { hasText: "second" }).waitFor();
});

test("an empty range says where the newest row is, and goes there", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "long ago"]]);
  const page = await open(context, `${server.url}ui/logs?tz=UTC`);
  await page.getByText("Nothing in this range").waitFor();
  await page.getByRole("button", { name: "Go there" }).click();
  await page.locator(".c-msg", { hasText: "long ago" }).waitFor();
});

test("each press of a key counts, however fast they come", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, Array.from({ length: 9 }, (_, i) => [BASE + BigInt(i), 9, `message ${i}`]));
  const page = await open(context, `${server.url}ui/logs?${RANGE}`);
  await rowsOf(page).nth(8).waitFor();
  await page.evaluate(async () => {
    for (let i = 0; i < 5; i += 1) {
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true }));
      await new Promise((rendered) => setTimeout(rendered));
    }
  });
  await page.locator('.grid-body .row[aria-selected="true"] .c-msg', { hasText: "message 4" }).waitFor();
});

test("markup, marks of direction and megabytes in messages are text, and do no harm", { skip }, async (context) => {
  const server = await serve();
  const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script></script>';
  await send(server.url, [[BASE, 9, evil, { [evil]: evil }], [BASE + 1n, 9, "a\u202egnp.exe"], [BASE + 2n, 9, `long ${"x".repeat(1_500_000)} end`]], { service: evil, scope: `s\u2066${evil}` });
  const page = await open(context, `${server.url}ui/logs?${RANGE}&q=${encodeURIComponent("-<b>nothing</b>")}`);
  await rowsOf(page).nth(2).waitFor();
  await rowsOf(page).nth(2).click();
  await page.locator(".drawer .values", { hasText: "onerror" }).first().waitFor();
  assert.equal(await page.locator("#app img, #app script, .c-msg b").count(), 0);
  assert.equal(await page.title(), "Logs · Belvedere");
  assert.match(await rowsOf(page).nth(1).locator(".c-msg").innerText(), /a⟨202E⟩gnp\.exe/);
  await rowsOf(page).nth(0).click();
  await page.getByRole("button", { name: "Show all 1.5 MB" }).click();
  assert.ok((await page.locator(".drawer .message").textContent()).endsWith("x end"));
});

test("what is sent while following is there within two seconds, and a reader elsewhere is told", { skip }, async (context) => {
  const server = await serve();
  const now = () => BigInt(Date.now()) * 1_000_000n;
  await send(server.url, Array.from({ length: 300 }, (_, i) => [now() - BigInt(i) * 1_000_000n, 9, `old ${i}`]));
  const page = await open(context, `${server.url}ui/logs?follow=1`);
  await rowsOf(page).first().waitFor();
  await send(server.url, [[now(), 9, "new one"]]);
  const sent = Date.now();
  await rowsOf(page).first().locator(".c-msg", { hasText: "new one" }).waitFor({ timeout: 10_000 });
  console.log(`followed after ${Date.now() - sent} ms`);
  await page.locator(".grid").evaluate((grid) => { grid.scrollTop = 2000; });
  await page.getByText("paused").waitFor();
  await send(server.url, [[now(), 9, "newer"]]);
  await page.locator(".paused b", { hasText: "1" }).waitFor();
  await page.keyboard.press("G");
  await rowsOf(page).first().locator(".c-msg", { hasText: "newer" }).waitFor();
});

test("a server that asks for keys gets one from the page, and the page's state stays", { skip }, async (context) => {
  const { lake, kill } = await serve();
  await kill();
  const key = execFileSync(binary, ["keys", "create", "reader", "--rights", "read", "--lake", lake], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  const server = await serve({ lake, flags: ["--require-keys"] });
  const page = await open(context, `${server.url}ui/logs?q=x`, { expected: /401/ });
  await page.getByText("This server asks for a key").waitFor();
  await page.fill("input[type=password]", "bvk_wrong");
  await page.keyboard.press("Enter");
  await page.getByText("does not know this key").waitFor();
  await page.fill("input[type=password]", key);
  await page.keyboard.press("Enter");
  await page.getByText("This lake is empty").waitFor();
  assert.ok(page.url().endsWith("/ui/logs?q=x"));
});

test("a server that goes away is told, what is shown stays, and the page goes on when it is back", { skip }, async (context) => {
  const first = await serve();
  await send(first.url, [[BASE, 9, "still here"]]);
  const page = await open(context, `${first.url}ui/logs?${RANGE}`, { expected: /ERR_CONNECTION|503/ });
  await rowsOf(page).first().waitFor();
  await page.locator(".last-line", { hasText: "read" }).waitFor();
  await first.kill();
  await page.getByRole("button", { name: "Ask again" }).first().click();
  await page.getByText("The server does not answer").first().waitFor();
  await serve({ lake: first.lake, address: new URL(first.url).host });
  await page.locator(".c-msg", { hasText: "still here" }).waitFor({ timeout: 20_000 });
});

test("a page that is not there, and a range that is none, are told", { skip }, async (context) => {
  const server = await serve();
  await send(server.url, [[BASE, 9, "x"]]);
  const page = await open(context, `${server.url}ui/no/such?from=soon`);
  await page.getByText("There is no such page").waitFor();
  await page.getByText("“soon” is no time").waitFor();
});

for (const colorScheme of ["light", "dark"]) {
  test(`nothing serious keeps people out of the page in ${colorScheme} colors`, { skip }, async (context) => {
    const server = await serve();
    await send(server.url, Array.from({ length: 60 }, (_, i) => [BASE + BigInt(i), [1, 5, 9, 13, 17, 21][i % 6], `message ${i}`, { wood: "oak" }]));
    const page = await open(context, `${server.url}ui/logs?${RANGE}`, { colorScheme });
    await rowsOf(page).first().waitFor();
    await page.locator(".last-line", { hasText: "read" }).waitFor();
    await checkAccess(page, "rows");
    await rowsOf(page).nth(3).click();
    await page.locator(".drawer .values", { hasText: "wood" }).waitFor();
    await checkAccess(page, "drawer");
    await page.locator("#range-button").click();
    await checkAccess(page, "range");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await checkAccess(page, "help");
  });
}
