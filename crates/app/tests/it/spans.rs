//! Spans of real programs: what these counted, whatever order their blocks come in, however rows are kept, and when a
//! block is missing; and the pictures of them.

use crate::support::{Place, Request, recording, replay, testdata};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use belvedere::core::Lake;
use belvedere_lake::BlockFilter;
use belvedere_model::wire::BlockRequest;
use belvedere_model::{ProcessInfo, StreamInfo};
use belvedere_testkit::backend;
use belvedere_testkit::conformance::rows_do_not_depend_on_partitions;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Command;
use uuid::Uuid;

fn path(name: &str) -> PathBuf {
    match std::env::var("BELVEDERE_RECORDINGS") {
        Ok(more) if !testdata(&format!("recordings/{name}.jsonl.gz")).exists() => {
            PathBuf::from(more).join(format!("{name}.jsonl.gz"))
        }
        _ => testdata(&format!("recordings/{name}.jsonl.gz")),
    }
}

fn names() -> Vec<&'static str> {
    let mut names = vec!["native-small", "native-old", "net-small"];
    if std::env::var_os("BELVEDERE_RECORDINGS").is_some() {
        names.extend(["native-medium", "native-large"]);
    }
    names
}

async fn feed(lake: &Lake, requests: &[Request]) {
    let connection = lake.connection();
    for request in requests {
        let body = &request.body;
        if request.is("insert_process") {
            connection.insert_process(ProcessInfo::decode(body).unwrap()).await.unwrap();
        } else if request.is("insert_stream") {
            connection.insert_stream(StreamInfo::decode(body).unwrap()).await.unwrap();
        } else {
            connection.insert_block(BlockRequest::decode(body.clone().into()).unwrap()).await.unwrap();
        }
    }
}

async fn rows(lake: &Lake, sql: &str) -> Vec<Vec<String>> {
    let batches = lake.sql(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let mut rows = Vec::new();
    for batch in batches {
        let texts: Vec<_> = batch.columns().iter().map(|c| cast(c, &DataType::Utf8).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let texts = texts
                .iter()
                .map(|t| t.as_string::<i32>())
                .map(|t| if t.is_valid(row) { t.value(row).to_owned() } else { "NULL".to_owned() });
            rows.push(texts.collect());
        }
    }
    rows
}

/// Streams of the process with that tag, and their threads' names.
async fn streams(lake: &Lake, process: &str, tag: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT stream_id, property_get(properties, 'thread-name') FROM streams \
         WHERE process_id = '{process}' AND array_has(tags, '{tag}') ORDER BY 1"
    );
    rows(lake, &sql).await.into_iter().map(|r| (r[0].clone(), r[1].clone())).collect()
}

type Span = (i64, i64, i64, i64, i64, String, bool);

/// Id, parent, depth, begin, end, name and completeness of the spans of a thread, by id; the thread itself left out.
async fn spans(lake: &Lake, stream: &str) -> BTreeMap<i64, Span> {
    let sql = format!(
        "SELECT id, parent, depth, \"begin\", \"end\", name, is_complete \
         FROM view_instance('thread_spans', '{stream}') WHERE depth > 0"
    );
    let mut spans = BTreeMap::new();
    for batch in lake.sql(&sql).await.unwrap() {
        let batch: RecordBatch = batch;
        let number = |column: usize| cast(batch.column(column), &DataType::Int64).unwrap();
        let numbers: Vec<_> = (0..5).map(number).collect();
        for row in 0..batch.num_rows() {
            let n = |column: usize| numbers[column].as_primitive::<Int64Type>().value(row);
            let name = batch.column(5).as_string::<i32>().value(row).to_owned();
            let span = (n(0), n(1), n(2), n(3), n(4), name, batch.column(6).as_boolean().value(row));
            assert!(spans.insert(n(0), span).is_none(), "{} is there twice", n(0));
        }
    }
    spans
}

async fn check_threads(lake: &Lake, truth: &Value) {
    let process = truth["process"]["process_id"].as_str().unwrap();
    let (mut by_name, mut by_depth) = (BTreeMap::<String, u64>::new(), Vec::<u64>::new());
    let (mut edges, mut threads) = (BTreeMap::<String, u64>::new(), Map::new());
    for (stream, thread) in streams(lake, process, "cpu").await {
        let spans = spans(lake, &stream).await;
        assert!(spans.values().all(|s| s.6), "a span of {thread} is not complete");
        for (_, parent, depth, begin, end, name, _) in spans.values() {
            *by_name.entry(name.clone()).or_default() += 1;
            let level = *depth as usize - 1;
            by_depth.resize(by_depth.len().max(level + 1), 0);
            by_depth[level] += 1;
            let outer = match spans.get(parent) {
                Some(outer) => {
                    assert!(
                        outer.3 <= *begin && *end <= outer.4 && outer.2 + 1 == *depth,
                        "{name} of {outer:?}"
                    );
                    outer.5.as_str()
                }
                None => {
                    assert_eq!(*parent, -1);
                    ""
                }
            };
            *edges.entry(format!("{outer} > {name}")).or_default() += 1;
        }
        if !spans.is_empty() {
            let entry = threads.entry(thread).or_insert_with(|| json!({ "spans": 0, "max_depth": 0 }));
            let deepest = spans.values().map(|s| s.2).max().unwrap();
            entry["spans"] = json!(entry["spans"].as_u64().unwrap() + spans.len() as u64);
            entry["max_depth"] = json!(entry["max_depth"].as_i64().unwrap().max(deepest));
        }
    }
    assert_eq!(json!(by_name), truth["thread_spans_by_name"]);
    assert_eq!(json!(edges), truth["thread_span_edges"]);
    assert_eq!(json!(by_depth), truth["thread_spans_by_depth"]);
    assert_eq!(Value::Object(threads), truth["threads"]);
}

/// Properties that were set at the ends of spans.
async fn check_properties(lake: &Lake, truth: &Value) {
    let process = truth["process"]["process_id"].as_str().unwrap();
    let expected = truth["thread_span_properties"].as_array().unwrap();
    let keys: BTreeSet<&str> = expected
        .iter()
        .flat_map(|s| s["properties"].as_object().unwrap().keys())
        .map(String::as_str)
        .collect();
    if keys.is_empty() {
        return;
    }
    let columns: String = keys.iter().map(|k| format!(", property_get(properties, '{k}')")).collect();
    let mut found: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for (stream, _) in streams(lake, process, "cpu").await {
        for row in
            rows(lake, &format!("SELECT name{columns} FROM view_instance('thread_spans', '{stream}')")).await
        {
            *found.entry(row).or_default() += 1;
        }
    }
    for span in expected {
        let mut row = vec![span["name"].as_str().unwrap().to_owned()];
        row.extend(keys.iter().map(|k| span["properties"][k].as_str().unwrap_or("NULL").to_owned()));
        let left = found.get_mut(&row).unwrap_or_else(|| panic!("no span is like {span}"));
        *left -= 1;
        assert!(*left >= 0, "too few spans are like {span}");
    }
}

async fn check_tasks(lake: &Lake, truth: &Value) {
    let process = truth["process"]["process_id"].as_str().unwrap();
    let sql = format!(
        "SELECT name, event_type, count(*) FROM view_instance('async_events', '{process}') GROUP BY 1, 2"
    );
    let mut found: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in rows(lake, &sql).await {
        found.entry(row[0].clone()).or_default().insert(row[1].clone(), row[2].parse().unwrap());
    }
    assert_eq!(json!(found), truth["async_spans_by_name"]);
    let sql = format!(
        "SELECT name, span_id, parent_span_id FROM view_instance('async_events', '{process}') WHERE event_type = 'begin'"
    );
    let found: BTreeSet<Vec<String>> = rows(lake, &sql).await.into_iter().collect();
    for span in truth["async_spans"].as_array().unwrap() {
        let row = vec![
            span["name"].as_str().unwrap().to_owned(),
            span["span_id"].to_string(),
            span["parent_span_id"].to_string(),
        ];
        assert!(found.contains(&row), "{span}");
    }
}

async fn check_net(lake: &Lake, truth: &Value) {
    let process = truth["process"]["process_id"].as_str().unwrap();
    let net = &truth["net"];
    if net.is_null() {
        return;
    }
    let from = format!("view_instance('net_spans', '{process}')");
    for (kind, of) in
        [("connection", "connections"), ("object", "objects"), ("property", "properties"), ("rpc", "rpcs")]
    {
        let sql =
            format!("SELECT name, count(*), sum(bit_size) FROM {from} WHERE kind = '{kind}' GROUP BY name");
        let found: Map<String, Value> = rows(lake, &sql)
            .await
            .into_iter()
            .map(|r| {
                let (count, bits): (u64, u64) = (r[1].parse().unwrap(), r[2].parse().unwrap());
                (r[0].clone(), json!({ "count": count, "bits": bits }))
            })
            .collect();
        assert_eq!(Value::Object(found), net[of], "{kind}");
    }
    let depths = rows(lake, &format!("SELECT depth, count(*) FROM {from} GROUP BY 1")).await;
    let depths: Map<String, Value> =
        depths.into_iter().map(|r| (r[0].clone(), json!(r[1].parse::<u64>().unwrap()))).collect();
    assert_eq!(Value::Object(depths), net["spans_by_depth"]);
    let ways =
        rows(lake, &format!("SELECT is_outgoing, count(*) FROM {from} WHERE kind = 'connection' GROUP BY 1"))
            .await;
    for row in ways {
        let which = if row[0] == "true" { "connections_outgoing" } else { "connections_incoming" };
        assert_eq!(row[1], net[which].to_string());
    }
    // parts follow each other within the whole
    let sql = format!(
        "SELECT count(*) FROM {from} c JOIN {from} p ON c.parent_span_id = p.span_id AND c.stream_id = p.stream_id \
         WHERE c.end_bits > p.bit_size OR c.begin_bits < 0 OR c.end_bits - c.begin_bits <> c.bit_size \
         OR c.begin_time < p.begin_time OR c.end_time > p.end_time OR c.depth <> p.depth + 1 \
         OR c.connection_name <> p.connection_name OR c.is_outgoing <> p.is_outgoing"
    );
    assert_eq!(rows(lake, &sql).await, [["0"]]);
    let sql = format!(
        "SELECT count(*) FROM (SELECT p.bit_size AS whole, sum(c.bit_size) AS parts FROM {from} c \
         JOIN {from} p ON c.parent_span_id = p.span_id GROUP BY p.span_id, p.bit_size) AS sums WHERE parts > whole"
    );
    assert_eq!(rows(lake, &sql).await, [["0"]]);
}

fn truth(name: &str) -> Vec<Value> {
    let file = path(name).display().to_string().replace(".jsonl.gz", ".truth.json");
    let truth: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    truth["processes"].as_array().unwrap().clone()
}

/// The same requests in another order, blocks before their streams and processes too.
fn shuffled(requests: &[Request]) -> Vec<Request> {
    let mut requests = requests.to_vec();
    let mut seed = 42_u64;
    for i in (1..requests.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        requests.swap(i, (seed >> 33) as usize % (i + 1));
    }
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_what_the_programs_counted_in_any_order_and_however_they_are_kept() {
    for name in names() {
        let requests = recording(&path(name));
        for (how, requests) in [("shuffled", shuffled(&requests)), ("in order", requests)] {
            let lake = Lake::in_memory().await.unwrap();
            feed(&lake, &requests).await;
            for process in truth(name) {
                eprintln!("{name}, {how}: {}", process["process"]["exe"]);
                check_threads(&lake, &process).await;
                check_properties(&lake, &process).await;
                check_tasks(&lake, &process).await;
                check_net(&lake, &process).await;
                let id = process["process"]["process_id"].as_str().unwrap();
                // every way of keeping rows is much work: once for each recording
                if how == "shuffled" && !["native-medium", "native-large"].contains(&name) {
                    for (stream, _) in streams(&lake, id, "cpu").await {
                        rows_do_not_depend_on_partitions(&lake, "thread_spans", &stream).await.unwrap();
                    }
                    for set in ["async_events", "net_spans"] {
                        rows_do_not_depend_on_partitions(&lake, set, id).await.unwrap();
                    }
                }
                // from partitions now
                check_threads(&lake, &process).await;
                check_net(&lake, &process).await;
            }
            lake.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_block_costs_its_own_events_and_comes_to_light() {
    for name in ["native-small", "native-old"] {
        let requests = recording(&path(name));
        let process = truth(name)[0]["process"]["process_id"].as_str().unwrap().to_owned();
        let whole = Lake::in_memory().await.unwrap();
        feed(&whole, &requests).await;
        for (stream, thread) in streams(&whole, &process, "cpu").await {
            let id = Uuid::parse_str(&stream).unwrap();
            let of_stream = |r: &Request| {
                let block =
                    r.is("insert_block").then(|| BlockRequest::decode(r.body.clone().into()).unwrap());
                block.filter(|b| b.info.stream_id == id).map(|b| b.info)
            };
            let mut blocks: Vec<_> = requests.iter().filter_map(of_stream).collect();
            blocks.sort_by_key(|b| b.object_offset);
            if blocks.len() < 3 {
                continue;
            }
            let missing = &blocks[blocks.len() / 2];
            let without: Vec<Request> =
                requests.iter().filter(|r| of_stream(r).as_ref() != Some(missing)).cloned().collect();
            let lake = Lake::in_memory().await.unwrap();
            feed(&lake, &without).await;
            let (all, some) = (spans(&whole, &stream).await, spans(&lake, &stream).await);
            let lost = missing.object_offset..missing.object_offset + i64::from(missing.nb_objects);
            let expected: BTreeSet<i64> = all.keys().copied().filter(|id| !lost.contains(id)).collect();
            assert_eq!(some.keys().copied().collect::<BTreeSet<_>>(), expected, "{name}, {thread}");
            for (id, span) in &some {
                let same = &all[id];
                assert_eq!(span.5, same.5);
                let is_near = |a: i64, b: i64| (a - b).abs() < 100_000;
                assert!(is_near(span.3, same.3) && (!span.6 || is_near(span.4, same.4)), "{span:?} {same:?}");
                // nothing that is whole has lost a part of its way to the top in silence
                assert!(
                    span.1 == same.1 || !expected.contains(&same.1) || same.1 < lost.start,
                    "{span:?} {same:?}"
                );
            }
            let threads =
                format!("SELECT count(*) FROM view_instance('thread_spans', '{stream}') WHERE depth = 0");
            if !all.is_empty() {
                assert_eq!(rows(&lake, &threads).await, [["2"]], "{name}, {thread}");
                assert_eq!(rows(&whole, &threads).await, [["1"]], "{name}, {thread}");
            }
            rows_do_not_depend_on_partitions(&lake, "thread_spans", &stream).await.unwrap();
            // it comes at last
            let late: Vec<Request> =
                requests.iter().filter(|r| of_stream(r).as_ref() == Some(missing)).cloned().collect();
            feed(&lake, &late).await;
            assert_eq!(spans(&lake, &stream).await, all, "{name}, {thread}");
            lake.close().await;
        }
        whole.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_of_saved_queries_give_all_spans_of_a_process() {
    let lake = Lake::in_memory().await.unwrap();
    feed(&lake, &recording(&path("native-old"))).await;
    let truth = &truth("native-old")[0];
    let id = truth["process"]["process_id"].as_str().unwrap();
    let count = |what: &str| {
        format!(
            "SELECT count(*) FROM process_spans('{id}', '{what}') WHERE depth > 0 OR thread_name = 'async'"
        )
    };
    assert_eq!(rows(&lake, &count("thread")).await, [["24003"]]);
    assert_eq!(rows(&lake, &count("async")).await, [["240"]]);
    assert_eq!(rows(&lake, &count("both")).await, [["24243"]]);
    let sql = format!(
        "SELECT thread_name, count(*), max(depth) FROM process_spans('{id}', 'both') GROUP BY 1 ORDER BY 1"
    );
    let found = rows(&lake, &sql).await;
    assert_eq!(found.iter().map(|r| r[1].as_str()).collect::<Vec<_>>(), ["240", "8002", "8002", "8002"]);
    assert!(found[1][0].starts_with("saw-0-"), "{found:?}");
    // a process without threads has none, one that nobody knows is a mistake
    let other = "5ae2d1de-2701-4c09-a981-a6a8c42f4082";
    let unknown = lake.sql(&format!("SELECT * FROM process_spans('{other}', 'both')")).await.unwrap_err();
    assert!(unknown.to_string().contains("there is no process"), "{unknown}");
    let wrong = lake.sql(&format!("SELECT * FROM process_spans('{id}', 'all')")).await.unwrap_err();
    assert!(wrong.to_string().contains("'thread', 'async' or 'both'"), "{wrong}");
    let sql = format!(
        "SELECT chunk_id, chunk_data FROM perfetto_trace_chunks('{id}', 'both', TIMESTAMP '2026-01-01T00:00:00Z', \
         TIMESTAMP '2027-01-01T00:00:00Z')"
    );
    let mut next = 0;
    for batch in lake.sql(&sql).await.unwrap() {
        for row in 0..batch.num_rows() {
            assert_eq!(batch.column(0).as_primitive::<arrow::datatypes::Int32Type>().value(row), next);
            assert!(!batch.column(1).as_binary::<i32>().value(row).is_empty());
            next += 1;
        }
    }
    assert!(next > 1);
    // without one of the columns too
    let sql = sql.replace("chunk_id, chunk_data", "sum(octet_length(encode(chunk_data, 'hex')))");
    assert!(rows(&lake, &sql).await[0][0].parse::<u64>().unwrap() > 1_000_000);
    lake.close().await;
}

/// What Perfetto's own definitions read in a trace, where they are there.
fn perfetto(file: &std::path::Path) -> Option<Value> {
    let python = backend("perfetto")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_trace.py");
    let output = Command::new(python).arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["errors"], json!([]));
    Some(read)
}

#[test]
fn a_trace_shows_what_the_program_counted_and_a_flame_graph_all_of_its_time() {
    let place = Place::new();
    let server = place.serve(&["--roles", "ingest"]);
    for name in ["native-old", "net-small"] {
        assert!(replay(&server, &recording(&path(name))).iter().all(|s| *s == 200));
    }
    server.stop();
    let file = place.directory.path().join("trace.pftrace");
    let trace = |id: &str, flags: &[&str]| {
        let output = place.command("trace").arg(id).args(flags).arg("-o").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    let old = &truth("native-old")[0];
    let id = old["process"]["process_id"].as_str().unwrap();
    let said = trace(id, &[]);
    assert!(said.contains("24,246 spans"), "{said}");
    if let Some(read) = perfetto(&file) {
        let tracks = read["tracks"].as_object().unwrap();
        let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
        let mut tasks: HashMap<String, u64> = HashMap::new();
        for (track, entry) in tracks {
            let sum = |into: &mut dyn FnMut(&str, u64)| {
                for (name, count) in entry["names"].as_object().unwrap() {
                    into(name, count.as_u64().unwrap());
                }
            };
            if entry["kind"] == "thread" {
                // the thread itself is the outermost slice
                assert_eq!(entry["max_depth"], 11);
                sum(&mut |name, count| {
                    if name != track {
                        *by_name.entry(name.to_owned()).or_default() += count;
                    }
                });
            } else if track.starts_with("Async Operations") {
                sum(&mut |name, count| *tasks.entry(name.to_owned()).or_default() += count);
            }
        }
        assert_eq!(json!(by_name), old["thread_spans_by_name"]);
        for (name, counts) in old["async_spans_by_name"].as_object().unwrap() {
            assert_eq!(json!(tasks[name]), counts["begin"]);
        }
        let logs = place.number(&format!("SELECT count(*) FROM view_instance('log_entries', '{id}')"));
        assert_eq!(tracks["Log"]["instants"], json!(logs));
        for (name, metric) in old["metrics"].as_object().unwrap() {
            // one counter for each set of properties
            let with_properties = format!("{name} {{");
            let counters =
                tracks.iter().filter(|(track, _)| *track == name || track.starts_with(&with_properties));
            let values: u64 = counters.map(|(_, entry)| entry["values"].as_u64().unwrap()).sum();
            assert_eq!(json!(values), metric["count"], "{name}");
        }
    }
    // a part of it
    let bounds = format!(
        "SELECT CAST(min(\"begin\") AS BIGINT) AS a, CAST(max(\"end\") AS BIGINT) AS b FROM process_spans('{id}', 'thread')"
    );
    let bounds = &place.query(&bounds)[0];
    let (from, to) = (bounds["a"].as_i64().unwrap(), bounds["b"].as_i64().unwrap());
    let (begin, end) = (from + (to - from) / 3, from + (to - from) / 2);
    let time = belvedere_model::time::to_rfc3339;
    let (flag_a, flag_b) = (time(begin), time(end));
    trace(id, &["--begin", &flag_a, "--end", &flag_b]);
    if let Some(read) = perfetto(&file) {
        let threads: Vec<&Value> =
            read["tracks"].as_object().unwrap().values().filter(|e| e["kind"] == "thread").collect();
        assert!(threads.iter().all(|e| e["total"].as_i64().unwrap() <= end - begin));
        // those that were at work then, and no others
        let sql = format!("SELECT count(*) AS count FROM process_spans('{id}', 'thread')");
        let expected = place.query_with(&sql, &["--begin", &flag_a, "--end", &flag_b]).0;
        let slices: u64 = threads.iter().map(|e| e["slices"].as_u64().unwrap()).sum();
        assert_eq!(json!(slices), expected[0]["count"]);
        assert!(slices > 3 && slices < 24_006, "{slices}");
    }
    // network spans
    let net = "5ae2d1de-2701-4c09-a981-a6a8c42f4082";
    trace(net, &[]);
    if let Some(read) = perfetto(&file) {
        assert_eq!(read["tracks"]["Network"]["slices"], json!(9569));
        assert_eq!(read["tracks"]["Network"]["max_depth"], json!(7));
    }

    // flame graphs, of the process and of a thread
    let picture = place.directory.path().join("flame.svg");
    let all =
        format!("SELECT CAST(sum(duration) AS BIGINT) FROM process_spans('{id}', 'thread') WHERE depth = 0");
    let stream = place.query(&format!(
        "SELECT arrow_cast(stream_id, 'Utf8') AS s, duration FROM process_spans('{id}', 'thread') WHERE depth = 0 LIMIT 1"
    ));
    let of_stream = (stream[0]["s"].as_str().unwrap().to_owned(), stream[0]["duration"].as_i64().unwrap());
    for (id, total) in [(id.to_owned(), place.number(&all)), of_stream] {
        let output = place.command("flame").arg(&id).arg("-o").arg(&picture).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let svg = std::fs::read_to_string(&picture).unwrap();
        let shown = svg.split("<title>all (").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert_eq!(shown.replace(',', ""), total.to_string());
        assert!(svg.contains("traffic_gen_old::plane_board"));
    }
    let unknown = place.command("flame").arg("00000000-0000-0000-0000-000000000000").output().unwrap();
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no stream or process"));
    let unknown = place.command("trace").arg("00000000-0000-0000-0000-000000000000").output().unwrap();
    assert!(!unknown.status.success() && !place.directory.path().join("trace.pftrace.unfinished").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_block_that_is_damaged_costs_its_own_spans_and_is_said() {
    let requests = recording(&path("native-small"));
    let process = truth("native-small")[0]["process"]["process_id"].as_str().unwrap().to_owned();
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(directory.path()).await.unwrap();
    feed(&lake, &requests).await;
    let mut tried = 0;
    for (stream, thread) in streams(&lake, &process, "cpu").await {
        let filter =
            BlockFilter { stream_id: Some(Uuid::parse_str(&stream).unwrap()), ..BlockFilter::default() };
        let mut blocks = lake.connection().catalog().blocks(&filter, 0, 1000).await.unwrap();
        blocks.sort_by_key(|b| b.info.object_offset);
        if blocks.len() < 3 {
            continue;
        }
        tried += 1;
        let all = spans(&lake, &stream).await;
        let block = &blocks[blocks.len() / 2];
        let file = directory.path().join(&block.object_key);
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[block.payload_offset as usize + block.info.payload_size as usize / 2] ^= 4;
        std::fs::write(&file, damaged).unwrap();
        let lost = block.info.object_offset..block.info.object_offset + i64::from(block.info.nb_objects);
        let expected: BTreeSet<i64> = all.keys().copied().filter(|id| !lost.contains(id)).collect();
        let some = spans(&lake, &stream).await;
        assert_eq!(some.keys().copied().collect::<BTreeSet<_>>(), expected, "{thread}");
        let said = format!("SELECT count(*) FROM block_faults() WHERE block_id = '{}'", block.info.block_id);
        assert_eq!(rows(&lake, &said).await, [["1"]], "{thread}");
        rows_do_not_depend_on_partitions(&lake, "thread_spans", &stream).await.unwrap();
        std::fs::write(&file, whole).unwrap();
    }
    assert!(tried > 0);
    lake.close().await;
}
