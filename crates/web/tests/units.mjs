// Modules without a browser: node --import ./register.mjs --test units.mjs
import assert from "node:assert/strict";
import { test } from "node:test";

const { parse, write, withTerm, toSql, highlight, quoteName } = await import("../assets/app/parts/search.js");
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

test("columns of an address are those that the table has, and the usual ones are left out", () => {
  const table = { columns: new Map(["time", "level", "target", "exe", "msg", "username", "process_id"].map((name) => [name, { type: "Utf8" }])) };
  assert.deepEqual(query.readColumns("", table), ["time", "level", "target", "exe", "msg"]);
  assert.deepEqual(query.readColumns("msg,nope,time,msg,\"; DROP", table), ["msg", "time"]);
  assert.equal(query.writeColumns(query.readColumns("", table), table), "");
  assert.equal(query.writeColumns(["msg", "time"], table), "msg,time");
  assert.deepEqual(query.extraColumns(["time", "username", "process_id"]), ["username"]);
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

test("what questions read is summed over their tables", () => {
  const reads = { table: "a global", known_partitions: 3, partitions: 2, partition_bytes: 100, blocks: 1, block_bytes: 5 };
  assert.deepEqual(summary([reads, { ...reads, partitions: 1, partition_bytes: 7, blocks: 11, block_bytes: 20 }]),
    { partitions: 3, fileBytes: 107, blocks: 12, blockBytes: 25 });
});

const { statements, statementAt, parameterNames, place, valueOf } = await import("../assets/app/sql/statements.js");

test("statements end at semicolons that are not in texts or comments", () => {
  const text = "SELECT ';' AS a; -- one; two\nSELECT \"x;y\" /* ; */ FROM t;\n;-- nothing\n SELECT $$;$$";
  const found = statements(text).map(({ from, to }) => text.slice(from, to));
  assert.deepEqual(found, ["SELECT ';' AS a", "-- one; two\nSELECT \"x;y\" /* ; */ FROM t", "-- nothing\n SELECT $$;$$"]);
  const at = (place) => { const span = statementAt(text, place); return text.slice(span.from, span.to).slice(0, 10); };
  assert.deepEqual([at(0), at(20), at(text.length)], ["SELECT ';'", "-- one; tw", "-- nothing"]);
  assert.equal(statementAt("  -- only words", 3), null);
  assert.deepEqual(parameterNames("SELECT $b, '$no', $a, $b -- $no\n, $1"), ["b", "a", "1"]);
});

test("the place that a message of the server means is found, and never one in a text", () => {
  const word = (message, sql) => { const found = place(message, sql); return found && sql.slice(found.from, found.to); };
  assert.equal(word("Schema error: No field named nope. Valid fields are ticks.a.", "SELECT 'nope', nope FROM t"), "nope");
  assert.equal(word("Expected: an expression, found: FROM at Line: 2, Column: 3", "SELECT\n  FROM t"), "FROM");
  assert.equal(word("table 'log_entrees' not found; did you mean log_entries?", "SELECT * FROM log_entrees"), "log_entrees");
  assert.equal(word("Invalid function 'cuont'.", "SELECT cuont(1)"), "cuont");
  assert.equal(word("something else", "SELECT 1"), null);
  assert.equal(word("found: EOF at Line: 9, Column: 99", "SELECT"), "T");
});

test("what is in a field becomes a value of its parameter's type, with all digits", () => {
  assert.deepEqual([valueOf("9007199254740993", "Int64"), valueOf("0.5", "Float64"), valueOf("true", "Boolean"), valueOf("7", "Utf8"), valueOf("x", "Int64")],
    [9007199254740993n, 0.5, true, "7", "x"]);
  assert.equal(body({ sql: "x", parameters: { a: 9007199254740993n, b: "'" } }), '{"sql":"x","parameters":{"a":9007199254740993,"b":"\'"}}');
});

const { readJsonb } = await import("../assets/app/parts/jsonb.js");

test("JSONB is read as it was written, and what is none is not", () => {
  // {"mean":2.5,"unit":"ms"}, as the server writes it
  const bytes = Uint8Array.from([0x40, 0, 0, 2, 0x10, 0, 0, 4, 0x10, 0, 0, 4, 0x20, 0, 0, 9, 0x10, 0, 0, 2,
    ...Buffer.from("meanunit"), 0x60, 0x40, 0x04, 0, 0, 0, 0, 0, 0, ...Buffer.from("ms")]);
  assert.deepEqual(readJsonb(bytes), { mean: 2.5, unit: "ms" });
  const big = Uint8Array.from([0x20, 0, 0, 0, 0x20, 0, 0, 9, 0x40, 0, 0x20, 0, 0, 0, 0, 0, 1]);
  assert.equal(readJsonb(big), 9007199254740993n);
  for (let length = 0; length < bytes.length; length += 1) readJsonb(bytes.subarray(0, length));
  assert.equal(readJsonb(Uint8Array.from([0x8f, 255, 255, 255])), undefined);
});

const { shapeOf, linesOf, describe } = await import("../assets/app/sql/shape.js");
const rowsOf = (fields, values) => ({ rows: values.length, names: fields.map(({ name }) => name), fields, get: () => null, at: (column, row) => values[row][column] });
const BASE_TIME = 1_769_860_800_000_000_001n;
const field = (name, kind, more = {}) => ({ name, kind, type: kind, unit: null, role: null, isJsonb: false, ...more });

test("an answer is drawn by what its columns are, whatever their names", () => {
  const time = field("t", "time");
  const name = field("who", "text", { role: "name" });
  const number = field("n", "integer");
  const level = field("l", "integer", { role: "severity(fatal,error)" });
  assert.deepEqual(shapeOf([time, number]), { kind: "lines", x: 0, y: 1, by: null });
  assert.deepEqual(shapeOf([level, time, number]), { kind: "lines", x: 1, y: 2, by: 0 });
  assert.deepEqual(shapeOf([name, number]), { kind: "bars", x: 0, y: 1, by: null });
  assert.equal(shapeOf([time, name]), null);
  assert.equal(shapeOf([number]), null);
  assert.deepEqual(shapeOf([time, field("a", "number", { unit: "ns" }), field("b", "number")]).y, 1);
  const rows = rowsOf([level, time, number], [[2, BASE_TIME + 5n, 7], [1, BASE_TIME, 1], [2, BASE_TIME + 1n, null]]);
  const { base, series } = linesOf(rows, shapeOf(rows.fields));
  assert.equal(base, BASE_TIME);
  assert.deepEqual(series.map(({ name, x, y }) => [name, [...x], [...y]]), [["error", [1, 5], [NaN, 7]], ["fatal", [0], [1]]]);
  assert.deepEqual(describe(rows, 2), { nulls: 1, min: 1, max: 7, distinct: 2, isCut: false, top: [[7, 1], [1, 1]] });
});

const { cell, json, withUnit } = await import("../assets/app/parts/values.js");
const { ticks } = await import("../assets/app/parts/chart.js");

test("values are shown exactly and with their units", () => {
  const shown = (kind, value) => cell(field("x", kind), value, "UTC");
  assert.equal(shown("time", 1_769_860_800_000_000_001n), "2026-01-31 12:00:00.000000001");
  assert.equal(shown("time", 1_769_860_800_000_000_000n), "2026-01-31 12:00:00.000");
  assert.equal(shown("integer", -9007199254740993n), "-9,007,199,254,740,993");
  assert.equal(shown("number", NaN), "NaN");
  assert.equal(shown("text", "a\u202eb\n"), "a⟨202E⟩b↵");
  assert.equal(shown("text", null), "NULL");
  assert.equal(json({ a: 9007199254740993n, b: "\\u0000whole:1", c: [1n] }), '{"a":9007199254740993,"b":"\\\\u0000whole:1","c":[1]}');
  assert.deepEqual([withUnit(1500, "ns"), withUnit(0, "ns"), withUnit(1500, "bytes"), withUnit(Infinity, "ms"), withUnit(12_300_000, null), withUnit(0.5, "percent")],
    ["1.5 µs", "0 s", "1.5 kB", "Infinity", "12.3M", "0.5 %"]);
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(1, 1, 5), [1]);
  assert.ok(ticks(-1e308, 1e308, 5).length < 20);
});

const { rank } = await import("../assets/app/palette.js");

test("what has the name goes before what only mentions it", () => {
  const things = [["column", "blocks.process_id", "the process"], ["page", "Processes", ""], ["table", "processes", "runs of programs"], ["function", "f", "processes things"]]
    .map(([kind, name, about]) => ({ kind, name, about, run() {} }));
  assert.deepEqual(rank("processes", things, 9).map(({ kind }) => kind), ["page", "table", "function"]);
  assert.deepEqual(rank("process id", things, 9).map(({ kind }) => kind), ["column"]);
  assert.equal(rank("", things, 2).length, 2);
});

const { panelsOf, source, newestSql } = await import("../assets/app/tables/panels.js");
const { messages } = await import("../assets/app/catalog.js");
const column = (name, type, more = {}) => [name, { name, type, about: "", isNullable: false, time: null, unit: null, role: null, ...more }];
const tableOf = (name, columns, more = {}) => ({ name, columns: new Map(columns), about: "", instances: ["global"], crate: "c", version: "1", from: "blocks", reads: [], example: "", tags: [], ...more });
const TIME_TYPE = 'Timestamp(Nanosecond, "+00:00")';

test("what is drawn of a table follows from its columns, whatever their names", () => {
  const range = { begin: 0n, end: 60_000_000_000n };
  const kinds = (columns, more) => panelsOf(tableOf("t", columns, more), "t", range).map(({ kind }) => kind);
  const at = column("when it was", TIME_TYPE, { time: "instant" });
  const [from, to] = [column("a", TIME_TYPE, { time: "begin" }), column("b", TIME_TYPE, { time: "end" })];
  const name = column("n", "Utf8", { role: "name" });
  assert.deepEqual(kinds([at]), ["rows"]);
  assert.deepEqual(kinds([at, name, column("v", "Float64")]), ["values", "rows"]);
  assert.deepEqual(kinds([at, column("l", "Int32", { role: "severity(fatal)" }), column("m", "Utf8", { role: "message" })]), ["rows"]);
  assert.deepEqual(kinds([from, to, name, column("d", "UInt32", { role: "depth" })]), ["spans"]);
  assert.deepEqual(kinds([from, to, name, column("t", "FixedSizeBinary(16)", { role: "trace_id" }), column("p", "FixedSizeBinary(8)", { role: "parent_span_id" })]), ["spans", "traces"]);
  assert.deepEqual(kinds([at, column("c", "Binary", { role: "content" }), column("f", "Utf8", { role: "media_type" })]), ["gallery", "rows"]);
  assert.deepEqual(kinds([name]), []);
  const [panel] = panelsOf(tableOf("t", [at]), "t", range);
  assert.match(panel.sql, /"when it was"/);
  assert.match(newestSql(tableOf("t", [at, column("c", "Binary", { role: "content" })]), "t"), /^SELECT "when it was"\nFROM t\nORDER BY/);
});

test("only ids come into the text of a statement, and names are quoted", () => {
  const odd = tableOf('o"dd', []);
  assert.equal(source(odd, "global"), '"o""dd"');
  assert.equal(source(tableOf("t", []), "9b0c1d2e-0000-4000-8000-000000000001"), "view_instance('t', '9b0c1d2e-0000-4000-8000-000000000001')");
  for (const wrong of ["", "x", "' OR 1=1", "9b0c1d2e-0000-4000-8000-000000000001'", "9B0C1D2E-0000-4000-8000-000000000001\n"]) assert.equal(source(odd, wrong), null, wrong);
});

test("the table of messages is found by its roles", () => {
  const columns = [column("time", TIME_TYPE, { time: "instant" }), column("level", "Int32", { role: "severity(fatal)" }), column("target", "Utf8"), column("msg", "Utf8", { role: "message" }),
    column("process_id", "Utf8"), column("stream_id", "Utf8"), column("block_id", "Utf8"), column("insert_time", TIME_TYPE)];
  assert.equal(messages([tableOf("other", [column("time", TIME_TYPE)]), tableOf("said", columns)])?.name, "said");
  assert.equal(messages([tableOf("said", columns.slice(1))]), undefined);
});

test("a flame graph has each part within what it is a part of, and a name within itself counts once", async () => {
  const { graphOf, byName } = await import("../../views-spans/web/flame.js");
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = generator(seed);
    const count = 1 + random.below(60);
    const ways = Array.from({ length: count }, (_, node) => ({ node, parent: node === 0 || random.below(6) === 0 ? null : random.below(node), name: random.of(["a", "b", "c", "d"]), own: random.below(100) }));
    // spans of traces have parts that go on at the same time
    const isParallel = seed % 2 === 0;
    const total = (node) => (isParallel ? 40 : 0) + ways[node].own + ways.filter(({ parent }) => parent === node).reduce((sum, part) => sum + total(part.node), 0);
    const told = (node) => (isParallel && ways[node].parent !== null ? 3 * total(node) : total(node));
    const depth = (node) => (ways[node].parent === null ? 0 : 1 + depth(ways[node].parent));
    const rows = { rows: count, get: (name, row) => ({ parent: ways[row].parent, depth: depth(row), name: ways[row].name, calls: 2n, total: BigInt(told(row)), self: BigInt(ways[row].own) })[name] };
    const graph = graphOf(rows);
    assert.equal(graph.total, ways.filter(({ parent }) => parent === null).reduce((sum, { node }) => sum + told(node), 0));
    const ends = new Map();
    for (const way of graph.ways) {
      const outer = graph.ways[way.parent];
      const slack = 1e-6;
      if (outer) assert.ok(outer.first <= way.first + slack && way.first + way.wide <= outer.first + outer.wide + slack);
      if (!isParallel) assert.ok(Math.abs(way.wide - way.total) < slack);
      // of one row, none lies over another
      for (const [from, to] of ends.get(way.depth) ?? []) assert.ok(way.first >= to - slack || way.first + way.wide <= from + slack);
      ends.set(way.depth, [...(ends.get(way.depth) ?? []), [way.first, way.first + way.wide]]);
    }
    for (const of of byName(graph)) {
      const own = ways.filter(({ name }) => name === of.name);
      assert.equal(of.own, own.reduce((sum, { own }) => sum + own, 0));
      assert.equal(of.calls, 2 * own.length);
      const isInItself = (node) => { for (let at = ways[node].parent; at !== null; at = ways[at].parent) if (ways[at].name === of.name) return true; return false; };
      assert.equal(of.total, own.filter(({ node }) => !isInItself(node)).reduce((sum, { node }) => sum + told(node), 0));
    }
  }
});

test("a waterfall has each span once, behind what it is a part of, whatever a sender says", async () => {
  const { linesOf, entries } = await import("../../views-otel/web/traces.js");
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = generator(seed);
    const count = 1 + random.below(40);
    // parents that are there, that are not, that are the span itself, and circles
    const spans = Array.from({ length: count }, (_, at) => ({ id: String(at), parent: random.of(["", "99", String(random.below(count)), String(random.below(count))]), begin: at }));
    const lines = linesOf(spans, new Set());
    assert.deepEqual(lines.map(({ span }) => span.id).sort(), spans.map(({ id }) => id).sort());
    const above = [];
    for (const { span, depth, isOrphan } of lines) {
      above.length = depth;
      if (depth > 0) assert.equal(span.parent, above[depth - 1].id);
      above.push(span);
      assert.equal(isOrphan, depth === 0 && span.parent !== "");
    }
    // of what is folded, nothing that is below it is there
    const folded = spans[random.below(count)].id;
    const fewer = linesOf(spans, new Set([folded]));
    assert.ok(fewer.length <= lines.length && fewer.filter(({ span }) => span.id === folded).length <= 1);
    const at = fewer.findIndex(({ span }) => span.id === folded);
    if (at >= 0 && fewer[at + 1]) assert.ok(fewer[at + 1].depth <= fewer[at].depth);
  }
  const deep = Array.from({ length: 50_000 }, (_, at) => ({ id: String(at), parent: at ? String(at - 1) : "", begin: at }));
  assert.equal(linesOf(deep, new Set()).at(-1).depth, 49_999);
  assert.deepEqual(entries('{"a":9007199254740993,"b":"9007199254740993","c":[1,"x\\"y"],"d":null}'), [["a", "9007199254740993"], ["b", "9007199254740993"], ["c", '[1,"x\\"y"]'], ["d", "null"]]);
  assert.deepEqual(entries('[{"name":"retry","time":1769860800000000001}]')[0], ["retry", '{"name":"retry","time":"1769860800000000001"}']);
});

test("numbers on an axis are short, and say no other number", async () => {
  const { short, ticks, linesOf } = await import("../../views-metrics/web/metrics.js");
  for (const [value, shown] of [[0, "0"], [1, "1"], [16.666666, "16.67"], [9999, "9999"], [12345, "12.35 k"], [-2.5e6, "-2.5 M"], [3e9, "3 G"], [7.25e12, "7.25 T"], [1e-3, "0.001"], [1.5e-9, "1.50e-9"], [1e300, "1.00e300"], [NaN, "NaN"], [Infinity, "Infinity"]]) assert.equal(short(value), shown);
  const random = generator(7);
  for (let i = 0; i < 500; i += 1) {
    const from = (random.below(2000) - 1000) * 10 ** (random.below(12) - 6);
    const to = from + (1 + random.below(1000)) * 10 ** (random.below(12) - 6);
    const found = ticks(from, to, 4);
    assert.ok(found.length >= 1 && found.length <= 10 && found.every((at) => at >= from - 1e-9 * Math.abs(from) && at <= to + 1e-9 * Math.abs(to)), `${from} ${to} ${found}`);
  }
  assert.deepEqual(ticks(1, 1, 4), [1]);
  // of many processes, those with the most values; what is no finite number is counted and left out
  const rows = Array.from({ length: 30 }, (_, i) => ({ process_id: `p${i % 10}`, exe: "game", bin: BigInt(i), values: BigInt(1 + (i % 10)), numbers: i === 9 ? 0n : 1n, mean: 2, least: 1, most: 3 }));
  const { lines, others } = linesOf({ rows: rows.length, get: (name, row) => rows[row][name] });
  assert.deepEqual([lines.length, others, lines[0].process, lines[0].bins, lines[0].odd], [8, 2, "p9", [19, 29], 28]);
});
