//! Queries in processes of their own: what a query does to its process is its own failure, and nobody else's.

use crate::support::{Place, Server};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Asks over HTTP: the status, and the body.
fn ask(server: &Server, sql: &str) -> (u16, String) {
    let mut stream = begin(server, sql);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return (status, rest.to_owned());
    }
    let mut body = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body.push_str(&more[..length]);
        rest = more[length..].trim_start_matches("\r\n");
    }
    (status, body)
}

/// Sends a query and reads nothing.
fn begin(server: &Server, sql: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let body = json!({ "sql": sql }).to_string();
    let head = "POST /api/query HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream
}

/// The children of a process.
fn children(parent: u32) -> Vec<u32> {
    let stat = |id: u32| std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // what is behind the name in parentheses: state, parent
    let parent_of = |id| stat(id).rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

/// Processes whose server is gone notice by the end of their input.
fn wait_for_the_end_of(processes: &[u32]) {
    let is_alive = |id: &u32| Path::new(&format!("/proc/{id}/exe")).exists();
    let began = Instant::now();
    while processes.iter().any(is_alive) {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
}

fn kill(id: u32) {
    let status = std::process::Command::new("kill").args(["-9", &id.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Takes long, whatever the machine.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b \
                    WHERE a.value % 7 = b.value % 11";

#[test]
fn a_statement_that_asks_for_more_than_its_memory_fails_alone_and_says_which_limit() {
    let place = Place::new();
    let server = place.serve(&["--memory", "512", "--query-memory", "64"]);
    for sql in [
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2147483647)') FROM generate_series(1, 100000)",
        "SELECT string_agg(repeat('x', 1000), '') AS t FROM generate_series(1, 1000000)",
        "SELECT array_agg(value || repeat('x', 1000)) FROM generate_series(1, 1000000)",
    ] {
        let (status, body) = ask(&server, sql);
        assert_eq!(status, 429, "{sql}: {body}");
        assert!(body.contains("--query-memory"), "{body}");
        assert_eq!(ask(&server, "SELECT max(value) AS m FROM generate_series(1, 9)").1, "{\"m\":9}\n");
    }
    let (_, metrics) = server.connect().get("/metrics");
    assert!(metrics.contains("belvedere_query_processes_lost_total{reason=\"memory\"}"), "{metrics}");
    assert!(metrics.contains("belvedere_queries_failed_total{reason=\"resources\"} 3"), "{metrics}");
    assert!(!metrics.contains("belvedere_queries_failed_total{reason=\"internal\"}"), "{metrics}");
    server.stop();
}

#[test]
fn work_that_never_looks_up_ends_with_its_time_and_others_are_answered_at_once() {
    let place = Place::new();
    let server = place.serve(&["--query-time", "1s"]);
    let sql = "SELECT levenshtein(repeat('ab', 1000000), repeat('ba', 1000000))";
    std::thread::scope(|scope| {
        let many: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&server, sql))).collect();
        for asked in many {
            let (status, body) = asked.join().unwrap();
            // one that waited for its turn all the time is too late, too
            assert!(status == 504 && body.contains("--query-time"), "{status} {body}");
        }
    });
    let began = Instant::now();
    assert_eq!(ask(&server, "SELECT max(value) AS m FROM generate_series(1, 9)").1, "{\"m\":9}\n");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    server.stop();
}

#[test]
fn a_killed_query_process_costs_its_query_and_a_killed_server_leaves_none() {
    let place = Place::new();
    let server = place.serve(&[]);
    let (status, body) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&server, LONG));
        // its process is at work by then
        let listed = "SELECT query_id FROM list_queries() WHERE seconds > 5 AND sql LIKE '%a.value %'";
        while ask(&server, listed).1.is_empty() {}
        children(server.id()).into_iter().for_each(kill);
        asked.join().unwrap()
    });
    assert_eq!(status, 429, "{body}");
    assert_eq!(ask(&server, "SELECT max(value) AS m FROM generate_series(1, 9)").1, "{\"m\":9}\n");
    let left = children(server.id());
    assert!(!left.is_empty());
    server.kill();
    wait_for_the_end_of(&left);
}

#[test]
fn clients_that_read_nothing_keep_nobody_from_an_answer() {
    let place = Place::new();
    let server = place.serve(&["--max-queries", "2", "--reader-time", "2s"]);
    let endless = "SELECT value, repeat('x', 100) AS t FROM generate_series(1, 100000)";
    let simple = "SELECT value FROM generate_series(1, 100000000)";
    let silent: Vec<TcpStream> =
        [endless, simple].into_iter().cycle().take(12).map(|sql| begin(&server, sql)).collect();
    for sql in ["SELECT max(value) AS m FROM generate_series(1, 9)", "SELECT 9 AS m"] {
        assert_eq!(ask(&server, sql).1, "{\"m\":9}\n");
    }
    // and they are cut off
    let began = Instant::now();
    while ask(&server, "SELECT query_id FROM list_queries()").1.lines().count() > 1 {
        // the tests of this binary run at once
        assert!(began.elapsed() < Duration::from_secs(240));
    }
    drop(silent);
    server.stop();
}

#[test]
fn temporary_files_of_a_killed_server_go_with_the_next_start() {
    let place = Place::new();
    let spill = tempfile::tempdir().unwrap();
    let flags = ["--spill-dir", spill.path().to_str().unwrap()];
    let directories = || std::fs::read_dir(spill.path()).unwrap().count();
    let server = place.serve(&flags);
    assert_eq!(directories(), 1);
    let left = children(server.id());
    server.kill();
    wait_for_the_end_of(&left);
    assert_eq!(directories(), 1);
    let server = place.serve(&flags);
    assert_eq!(directories(), 1);
    server.stop();
    assert_eq!(directories(), 0);
}

#[test]
fn a_statement_about_the_server_is_no_way_around_its_limits() {
    let place = Place::new();
    let server = place.serve(&[]);
    let (status, body) = ask(&server, "SELECT repeat(sql, 100000000) FROM list_queries()");
    assert_eq!(status, 501, "{body}");
    let (status, body) = ask(&server, "SELECT sql FROM list_queries() ORDER BY sql LIMIT 1");
    assert!(status == 200 && body.contains("list_queries"), "{body}");
    let (status, body) = ask(&server, "SELECT * FROM deny_queries('repeat(sql, 100000000) = ''x''', 'no')");
    assert!(status == 400 && body.contains("lower, length"), "{status} {body}");
    server.stop();
}
