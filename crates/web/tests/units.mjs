// Modules without a browser: node --import ./register.mjs --test units.mjs
import assert from "node:assert/strict";
import { test } from "node:test";

const { parse, write, withTerm, toSql, highlight, quoteName } = await import("../assets/app/search.js");
const time = await import("../assets/app/time.js");
const format = await import("../assets/app/format.js");
const query = await import("../assets/app/logs/query.js");
const { completeLength } = await import("../assets/app/arrow.js");
const { encode, decode } = await import("../assets/app/route.js");
const { body } = await import("../assets/app/api.js");
const { summary } = await import("../assets/app/lastline.js");

/** Numbers that are the same in each run. */
function generator(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return { below: (n) => Math.floor(next() * n), of: (all) => all[Math.floor(next() * all.length)] };
}
const ODD = ["a", "B", "7", " ", "-", ":", "/", "\\", '"', "'", "%", "_", "$", "1", "(", ")", ";", "\u202e", "😀", "\n", "ß", "[", "*", ".", "level:", "target:", "wood:", "x"];
const text = (random, most) => Array.from({ length: random.below(most) }, () => random.of(ODD)).join("");
const TABLE = {
  columns: [{ name: "msg", kind: "text" }, { name: "target", kind: "text" }, { name: "level", kind: "number" }, { name: "time", kind: "other" }, { name: "properties", kind: "properties" }],
  message: "msg", properties: "properties", level: "level",
};

test("whatever is typed makes SQL of known shapes, and what was typed is in parameters only", () => {
  const shape = /^(\()?("msg"|"target"|property_get\("properties", \$\d+\)) (ILIKE|=|~\*) \$\d+(\) IS NOT TRUE)?$|^(\()?"level" (= \$\d+|BETWEEN \$\d+ AND \$\d+)(\) IS NOT TRUE)?$/;
  for (let seed = 0; seed < 20_000; seed += 1) {
    const typed = text(generator(seed), 24);
    const { conditions, parameters } = toSql(parse(typed), TABLE);
    for (const condition of conditions) assert.match(condition, shape, typed);
    const used = conditions.flatMap((condition) => [...condition.matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)));
    assert.deepEqual(used, parameters.map((_, index) => index + 1), typed);
  }
});

test("terms that are written are read as they were", () => {
  for (let seed = 0; seed < 20_000; seed += 1) {
    const terms = parse(text(generator(seed), 24));
    assert.deepEqual(parse(terms.map(write).join(" ")), terms, JSON.stringify(terms));
  }
  for (let seed = 0; seed < 20_000; seed += 1) {
    const value = text(generator(seed), 12);
    if (value === "") continue;
    const term = { not: seed % 2 === 0, column: "target", kind: "exact", text: value };
    assert.deepEqual(parse(write(term)), [term]);
  }
});

test("a search has a term once, and never with its opposite", () => {
  const term = { not: false, column: "target", kind: "exact", text: 'a "b"' };
  const once = withTerm("x", term);
  assert.equal(withTerm(once, term), once);
  assert.deepEqual(parse(withTerm(once, { ...term, not: true })).map(({ not }) => not), [false, true]);
});

test("each form of the grammar means what the help says", () => {
  const sql = (typed) => toSql(parse(typed), TABLE);
  assert.deepEqual(sql("timeout"), { conditions: ['"msg" ILIKE $1'], parameters: ["%timeout%"], faults: [] });
  assert.deepEqual(sql("50%_\\").parameters, ["%50\\%\\_\\\\%"]);
  assert.deepEqual(sql('"a b"').parameters, ["%a b%"]);
  assert.deepEqual(sql("-x").conditions, ['("msg" ILIKE $1) IS NOT TRUE']);
  assert.deepEqual(sql("/a(b)?/").conditions, ['"msg" ~* $1']);
  assert.deepEqual(sql("/var/log").parameters, ["%/var/log%"], "a path is no regular expression");
  assert.deepEqual(sql('target:"net::tcp"'), { conditions: ['"target" = $1'], parameters: ["net::tcp"], faults: [] });
  assert.deepEqual(sql("level:err").parameters, [2]);
  assert.deepEqual(sql("level:1-3"), { conditions: ['"level" BETWEEN $1 AND $2'], parameters: [1, 3], faults: [] });
  assert.deepEqual(sql("wood:oak"), { conditions: ['property_get("properties", $1) ILIKE $2'], parameters: ["wood", "%oak%"], faults: [] });
  assert.equal(sql("level:often").faults.length, 1);
  assert.equal(sql("time:x").faults.length, 1);
  assert.equal(sql("/(/").faults.length, 1);
  assert.deepEqual(parse("- a: :b http://x").map(({ column, text }) => [column, text]), [[null, "-"], [null, "a:"], [null, ":b"], ["http", "//x"]]);
  assert.equal(quoteName('a"b'), '"a""b"');
});

test("what is marked in messages is what was searched", () => {
  const found = (typed, message) => [...message.matchAll(highlight(parse(typed)) ?? /$^/g)].map(([part]) => part);
  assert.deepEqual(found("a.b -c target:d", "xA.B c d a-b"), ["A.B"]);
  assert.deepEqual(found("/x+/", "xxy"), ["xx"]);
  assert.equal(highlight(parse("-a")), null);
});

test("times are exact to the nanosecond, whatever the zone", () => {
  for (let seed = 0; seed < 3000; seed += 1) {
    const random = generator(seed);
    const at = BigInt(random.below(2 ** 31)) * 1_000_000_000n + BigInt(random.below(1e9));
    assert.equal(time.parseTime(time.toRfc3339(at), 0n, "UTC"), at);
    assert.equal(time.parseTime(String(at), 0n, "UTC"), String(at).length >= 18 ? at : time.parseTime(String(at), 0n, "UTC"));
    const zone = random.of(["UTC", "Asia/Kathmandu", "America/St_Johns"]);
    const shown = time.parseTime(time.formatTime(at, zone), 0n, zone);
    // of an hour that clocks show twice, the first is meant
    assert.ok(shown === at || at - shown === time.HOUR || at - shown === 1_800_000_000_000n, `${at} ${zone}`);
  }
});

test("what people type for a time is understood, and what is none is refused", () => {
  const now = time.parseTime("2026-03-29T12:00:00Z", 0n, "UTC");
  const read = (typed, zone = "Europe/Berlin") => {
    const found = time.parseTime(typed, now, zone);
    return found === null ? null : time.toRfc3339(found).replace(/\.?0*Z$/, "Z");
  };
  assert.equal(read("now-1h30m"), "2026-03-29T10:30:00Z");
  assert.equal(read("14:02"), "2026-03-29T12:02:00Z");
  assert.equal(read("yesterday 9:00"), "2026-03-28T08:00:00Z", "before clocks were put forward");
  assert.equal(read("today 02:30"), "2026-03-29T01:30:00Z", "a time that clocks leave out");
  assert.equal(read("2026-10-25 02:30"), "2026-10-25T00:30:00Z", "of two, the first");
  assert.equal(read("2026-01-31 12:00:00.5"), "2026-01-31T11:00:00.5Z");
  assert.equal(read("2026-01-31T12:00:00.123456789+02:00"), "2026-01-31T10:00:00.123456789Z");
  assert.equal(read("1769860800"), "2026-01-31T12:00:00Z");
  assert.equal(read("1769860800123"), "2026-01-31T12:00:00.123Z");
  assert.equal(read("1769860800.25"), "2026-01-31T12:00:00.25Z");
  for (const none of ["", "soon", "25:00", "2026-02-30", "now-", "now-5", "12", "9999999-01-01"]) assert.equal(read(none), null, none);
});

test("durations and counts read well and lose nothing", () => {
  assert.equal(time.formatDuration(900n), "900 ns");
  assert.equal(time.formatDuration(1_500n), "1.5 µs");
  assert.equal(time.formatDuration(15n * time.MINUTE), "15 min");
  assert.equal(time.formatDuration(3n * time.HOUR + 12n * time.MINUTE), "3 h 12 min");
  assert.equal(format.formatCount(9007199254740993n), "9,007,199,254,740,993");
  assert.equal(format.formatBytes(999), "999 B");
  assert.equal(format.formatBytes(3_100_000), "3.1 MB");
});

test("whole numbers beyond 2⁵³ keep their digits, in properties and in parameters", () => {
  assert.equal(body({ title: "", sql: "s", parameters: [9007199254740993n, "a"] }), '{"sql":"s","parameters":[9007199254740993,"a"]}');
  assert.deepEqual(format.parseJson('{"a":9007199254740993,"b":"9007199254740993 \\" 9007199254740993","c":[1,-2.5e3,-9007199254740993]}'),
    { a: 9007199254740993n, b: '9007199254740993 " 9007199254740993', c: [1, -2500, -9007199254740993n] });
});

test("marks that change the order of texts are shown, not obeyed", () => {
  assert.equal(format.visible("a\u202eb\u2066\u0000\n"), "a⟨202E⟩b⟨2066⟩⟨0000⟩↵");
  assert.equal(format.visibleLines("a\r\n\u200fb\tc"), "a\n⟨200F⟩b\tc");
});

test("an address says a state, and a state its address", () => {
  for (let seed = 0; seed < 3000; seed += 1) {
    const random = generator(seed);
    const parameters = {};
    for (const name of ["from", "q", "at"]) {
      const value = text(random, 12).toWellFormed?.() ?? "x";
      if (value) parameters[name] = value;
    }
    const state = { page: random.of(["logs", "process/1/timeline", "a b"]), parameters };
    const url = new URL(encode(state, "/x/ui/"), "http://h");
    assert.deepEqual(decode(url, "/x/ui/"), state);
  }
});

test("levels of an address are the shortest that mean the same", () => {
  for (let mask = 1; mask < 64; mask += 1) {
    const levels = new Set([1, 2, 3, 4, 5, 6].filter((level) => mask & (1 << level)));
    if (levels.size) assert.deepEqual(query.readLevels(query.writeLevels(levels)), levels);
  }
  assert.equal(query.writeLevels(new Set([1, 2, 3, 5])), "1-3,5");
  assert.equal(query.readLevels("nonsense").size, 6);
});

test("bins cover a range, are round, and are not many", () => {
  for (let seed = 0; seed < 3000; seed += 1) {
    const random = generator(seed);
    const begin = BigInt(random.below(2 ** 31)) * 1_000_000_000n + BigInt(random.below(1e9));
    const end = begin + BigInt(random.below(10 ** random.below(16)));
    const zone = random.of(["UTC", "Asia/Kathmandu"]);
    const bins = query.bins({ begin, end }, 120, zone);
    assert.ok(bins.begin <= begin && bins.begin + bins.width * BigInt(bins.count) > end && bins.count <= 122, `${begin} ${end}`);
    assert.equal(time.roundStep(bins.width), bins.width);
    const { times } = time.roundTimes(begin, end, 8, zone);
    assert.ok(times.length <= 9 && times.every((at) => at >= begin && at <= end));
  }
});

test("of an answer that broke off, whole messages are taken", () => {
  const end = new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0]);
  assert.deepEqual(completeLength(end), { length: 8, isEnded: true });
  for (let length = 0; length < 8; length += 1) assert.equal(completeLength(end.subarray(0, length)).length, 0);
  for (let seed = 0; seed < 5000; seed += 1) {
    const random = generator(seed);
    const bytes = Uint8Array.from({ length: random.below(64) }, (_, index) => (index < 4 ? 255 : random.of([0, 1, 8, 16, 255, random.below(256)])));
    assert.ok(completeLength(bytes).length <= bytes.length);
  }
});

test("what a question reads is summed over its tables", () => {
  assert.deepEqual(summary(["a global: 2 of 3 partitions (100 bytes of files), 1 block to decode (5 bytes)", "b: 1 of 1 partition (7 bytes of files), 11 blocks to decode (20 bytes)"]),
    { partitions: 3, fileBytes: 107, blocks: 12, blockBytes: 25 });
});
