//! Who gets into a server, and who does not.

use crate::support::{BELVEDERE, Connection, Place, Server, recording, testdata};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// `belvedere keys` with the lake's flags.
fn keys(place: &Place, args: &[&str]) -> Output {
    place.keys(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn make_key(place: &Place, name: &str, rights: &str) -> String {
    let output = keys(place, &["create", name, "--rights", rights]);
    let stderr = text(&output.stderr);
    assert!(output.status.success() && stderr.contains(name), "{stderr}");
    let stdout = text(&output.stdout);
    let key = stdout.strip_suffix('\n').unwrap();
    assert!(key.starts_with("bvk_") && key.len() == 47 && !stderr.contains(key), "{stdout} {stderr}");
    key.to_owned()
}

/// A lake, and a server on it that asks for keys.
struct Guarded {
    place: Place,
    server: Server,
    send: String,
    read: String,
}

impl Guarded {
    fn start(flags: &[&str]) -> Self {
        let place = Place::new();
        place.serve(&[]).stop();
        let (send, read) = (make_key(&place, "sender", "send"), make_key(&place, "reader", "read"));
        let server = place.serve(&[&["--require-keys"], flags].concat());
        Self { place, server, send, read }
    }

    /// The status of the first recorded request, sent with this header, if any.
    fn send(&self, path: Option<&str>, authorization: Option<&str>) -> u16 {
        let request = &recording(&testdata("recordings/native-small.jsonl.gz"))[0];
        let mut headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        headers.extend(authorization.map(|value| ("authorization", value)));
        let path = path.unwrap_or(&request.path);
        self.server.connect().send("POST", path, &headers, &request.body).0
    }

    fn metrics(&self, authorization: Option<&str>) -> (u16, String) {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        self.server.connect().send("GET", "/metrics", &headers, b"")
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[test]
fn each_key_lets_in_where_its_rights_do() {
    let guarded = Guarded::start(&[]);
    let revoked = make_key(&guarded.place, "revoked", "send,read,admin");
    assert!(keys(&guarded.place, &["revoke", "revoked"]).status.success());
    let unknown = format!("bvk_{}", "A".repeat(43));
    for refused in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer abc"),
        Some(&*bearer(&unknown)),
        Some(&*bearer(&revoked)),
    ] {
        assert_eq!(guarded.send(None, refused), 401, "{refused:?}");
        let (status, body) = guarded.metrics(refused);
        assert_eq!(
            (status, body.as_str()),
            (
                401,
                "{\"error\":{\"kind\":\"rights\",\"message\":\"a valid key is required: 'Authorization: Bearer KEY'\",\
                 \"query_id\":null}}\n"
            )
        );
    }
    assert_eq!(guarded.send(None, Some(&bearer(&guarded.read))), 403);
    assert_eq!(guarded.place.number("SELECT count(*) FROM processes"), 0);
    assert_eq!(guarded.send(None, Some(&bearer(&guarded.send))), 200);
    assert_eq!(guarded.place.number("SELECT count(*) FROM processes"), 1);
    let (status, body) = guarded.metrics(Some(&bearer(&guarded.send)));
    assert!(status == 403 && body.contains("'sender' lacks the right 'read'"), "{status} {body}");
    assert_eq!(guarded.metrics(Some(&bearer(&guarded.read))).0, 200);
    let administrator = make_key(&guarded.place, "administrator", "admin");
    assert_eq!(guarded.metrics(Some(&bearer(&administrator))).0, 200);
    assert_eq!(guarded.send(None, Some(&bearer(&administrator))), 403);
    // probers have no keys
    for path in ["/", "/health", "/ready"] {
        assert_eq!(guarded.server.connect().get(path).0, 200, "{path}");
    }
}

#[test]
#[cfg(all(feature = "flight-sql", feature = "cli-client"))]
fn the_command_line_asks_with_a_key_and_hears_why_it_may_not() {
    let guarded = Guarded::start(&[]);
    let url = format!("grpc://{}", guarded.server.flight_sql);
    let ask = |key: Option<&str>| {
        let mut command = Command::new(BELVEDERE);
        command.args(["query", "SELECT 1 AS one", "--format", "csv", "--url", &url]);
        command.env_remove("BELVEDERE_API_KEY").args(key.into_iter().flat_map(|key| ["--api-key", key]));
        let output = command.output().unwrap();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(ask(Some(&guarded.read)), (true, "one\n1\n".to_owned(), String::new()));
    for (key, why) in [
        (None, "a valid key is required"),
        (Some("bvk_wrong"), "a valid key is required"),
        (Some(&*guarded.send), "'sender' lacks the right 'read'"),
    ] {
        let (is_answered, _, stderr) = ask(key);
        assert!(!is_answered && stderr.contains(why), "{key:?}: {stderr}");
    }
}

#[test]
fn no_way_of_writing_an_address_leads_around_the_gate() {
    let guarded = Guarded::start(&[]);
    for path in [
        "/ingestion/insert_process/health",
        "/ingestion/insert_process/",
        "//ingestion/insert_process",
        "/./ingestion/insert_process",
        "/health/../ingestion/insert_process",
        "/ingestion/%69nsert_process",
        "/ingestion/insert_process%2fhealth",
        "/ingestion/insert_process%00/health",
        "/ingestion/insert_process;/health",
        "/ingestion/insert_process?/health",
        "/ingestion/insert_process?path=/health",
        "/INGESTION/INSERT_PROCESS",
        "/health/ingestion/insert_process",
        "http://test/ingestion/insert_process",
        "http://test/ingestion/insert_process?/health",
    ] {
        let status = guarded.send(Some(path), None);
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    for path in ["/metrics/", "//metrics", "/metrics?/health", "/metrics%2f..%2fhealth", "/health/../metrics"]
    {
        let status = guarded.server.connect().get(path).0;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    // what only an authentication in front would say
    let claims = [("x-auth-is-admin", "true"), ("x-auth-subject", "root"), ("x-allow-delegation", "true")];
    assert_eq!(guarded.server.connect().send("GET", "/metrics", &claims, b"").0, 401);
    assert_eq!(guarded.place.number("SELECT count(*) FROM processes"), 0);
}

/// Bytes to a server, and what it answers until it closes or has nothing more to say.
fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = vec![0; 4096];
    // a connection that is reset has no answer
    let length = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn who_has_no_key_is_refused_before_a_body_is_read_and_heads_are_bounded() {
    let guarded = Guarded::start(&["--max-body", "1"]);
    let address = &guarded.server.address;
    // the body never comes
    let head = "POST /ingestion/insert_block HTTP/1.1\r\nhost: a\r\n";
    for length in ["content-length: 1000000", "transfer-encoding: chunked"] {
        let answer = exchange(address, format!("{head}{length}\r\n\r\n").as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Bearer"),
            "{answer}"
        );
    }
    // a body without an end, from somebody who may send
    let authorization = bearer(&guarded.send);
    let mut endless = format!("{head}authorization: {authorization}\r\ntransfer-encoding: chunked\r\n\r\n");
    endless.push_str(&format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(20));
    let answer = exchange(address, endless.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    // heads without an end
    for line in [format!("a: {}", "a".repeat(1 << 20)), "a: b\r\n".repeat(10_000)] {
        let answer = exchange(address, format!("GET /health HTTP/1.1\r\n{line}\r\n\r\n").as_bytes());
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    let long = format!("bvk_{}", "a".repeat(20_000));
    assert_eq!(guarded.metrics(Some(&bearer(&long))).0, 401);
    assert_eq!(guarded.server.connect().get("/health").0, 200);
}

#[test]
fn keys_are_shown_once_listed_without_their_text_and_revoked_by_name_or_id() {
    let place = Place::new();
    let output = keys(&place, &["create", "early"]);
    assert!(!output.status.success() && text(&output.stderr).contains("no lake in"));
    place.serve(&[]).stop();
    let key = make_key(&place, "one", "read,send");
    let output = keys(&place, &["create", "one"]);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(text(&output.stderr).contains("a key 'one' already exists"));
    assert!(keys(&place, &["create", "two", "--expires", "90d"]).status.success());
    assert!(!keys(&place, &["create", "three", "--rights", "write"]).status.success());
    let list = || -> Vec<serde_json::Value> {
        let output = keys(&place, &["list", "--format", "ndjson"]);
        let rows = text(&output.stdout);
        assert!(output.status.success() && !rows.contains("bvk_") && !rows.contains(&key[4..]), "{rows}");
        rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let rows = list();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["rights"], &rows[0]["state"]),
        (&"one".into(), &"send,read".into(), &"live".into())
    );
    assert!(rows[0]["expires"].is_null() && rows[1]["expires"].is_string() && rows.len() == 2);
    assert!(keys(&place, &["revoke", rows[1]["key_id"].as_str().unwrap()]).status.success());
    assert!(keys(&place, &["revoke", "one"]).status.success());
    let output = keys(&place, &["revoke", "one"]);
    assert!(!output.status.success() && text(&output.stderr).contains("no key 'one' to revoke"));
    assert!(list().iter().all(|row| row["state"] == "revoked"));
}

/// What a server says until it listens, and then what it says of itself.
fn serve_and_listen(place: &Place, flags: &[&str]) -> (std::process::Child, Vec<String>) {
    let mut command = place.command("serve");
    command.args(flags).args(["--otlp-http", "off", "--otlp-grpc", "off", "--flight-sql", "off"]);
    let mut child = command.env("BELVEDERE_LOG", "warn").stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines {
        let is_last = line.starts_with("listening http ");
        said.push(line);
        if is_last {
            break;
        }
    }
    (child, said)
}

#[test]
fn off_loopback_keys_are_asked_for_and_without_any_there_is_no_server() {
    let place = Place::new();
    let reachable = ["--http", "0.0.0.0:0"];
    let (mut child, said) = serve_and_listen(&place, &reachable);
    assert!(!child.wait().unwrap().success());
    let line = said.last().unwrap();
    assert!(line.contains("belvedere keys create") && line.contains("--insecure"), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.starts_with("belvedere: ")).count(), 1, "{said:?}");
    let key = make_key(&place, "only", "read");
    let (mut child, said) = serve_and_listen(&place, &reachable);
    assert!(said.iter().any(|line| line.contains("keys are sent in clear text")), "{said:?}");
    let port = said.last().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let mut connection: Connection = Server::connect_to(&format!("127.0.0.1:{port}"));
    assert_eq!(connection.get("/metrics").0, 401);
    let authorization = bearer(&key);
    assert_eq!(connection.send("GET", "/metrics", &[("authorization", &authorization)], b"").0, 200);
    child.kill().unwrap();
    child.wait().unwrap();
    // a key that is revoked is none
    assert!(keys(&place, &["revoke", "only"]).status.success());
    assert!(!serve_and_listen(&place, &reachable).0.wait().unwrap().success());
    let (mut child, said) = serve_and_listen(&place, &["--http", "0.0.0.0:0", "--insecure"]);
    assert!(said.last().unwrap().starts_with("listening http "), "{said:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let output = place.command("serve").args(["--insecure", "--require-keys"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn no_web_page_asks_or_sends_where_nobody_is_asked_for_a_key() {
    let place = Place::new();
    let server = place.serve(&[]);
    let made = &recording(&testdata("recordings/native-small.jsonl.gz"))[0];
    // what browsers send without asking first
    let simple = ("content-type", "text/plain");
    let mut targets = vec![
        (&server.address, "/api/query", &b"SELECT 1 AS one"[..]),
        (&server.address, "/gateway/query", &b"{\"sql\": \"SELECT 1\"}"[..]),
        (&server.address, made.path.as_str(), made.body.as_slice()),
    ];
    if cfg!(feature = "otel") {
        targets.push((&server.otlp_http, "/v1/traces", &b"{}"[..]));
    }
    for (address, path, body) in targets {
        for told in [("origin", "https://example.com"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let (status, answer) = Server::connect_to(address).send("POST", path, &[simple, told], body);
            assert!(
                status == 403 && answer.contains("a web page of another origin"),
                "{path}: {status} {answer}"
            );
        }
    }
    let mut connection = server.connect();
    assert_eq!(connection.send("POST", "/api/query", &[simple], b"SELECT 1 AS one").0, 200);
    assert_eq!(place.number("SELECT count(*) FROM processes"), 0);
    // a name that leads here does not make a page ours
    let rebound = b"GET /metrics HTTP/1.1\r\nhost: example.com\r\norigin: http://example.com\r\n\r\n";
    let answer = exchange(&server.address, rebound);
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("'example.com' is not a local host name"),
        "{answer}"
    );
    server.stop();
    // who starts it so is reached by any name, but not by others' pages
    let server = place.serve(&["--insecure"]);
    let named = b"GET /metrics HTTP/1.1\r\nhost: lake.example.com\r\n\r\n";
    assert!(exchange(&server.address, named).starts_with("HTTP/1.1 200"));
    let page = [("origin", "https://example.com")];
    assert_eq!(server.connect().send("GET", "/metrics", &page, b"").0, 403);
}

#[cfg(feature = "otel")]
mod grpc {
    use super::*;
    use axum::body::Body;
    use tonic::transport::Channel;
    use tower::Service;

    /// What an empty export is answered: status of HTTP, and of gRPC if it stands among the headers.
    pub(super) async fn export(channel: &mut Channel, key: Option<&str>) -> (u16, Option<String>) {
        let mut request =
            axum::http::Request::post("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        if let Some(key) = key {
            request = request.header("authorization", bearer(key));
        }
        let body = tonic::body::Body::new(Body::from(vec![0; 5]));
        std::future::poll_fn(|context| {
            Service::<axum::http::Request<tonic::body::Body>>::poll_ready(channel, context)
        })
        .await
        .unwrap();
        let response = channel.call(request.body(body).unwrap()).await.unwrap();
        let status = response.headers().get("grpc-status").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), status)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn grpc_is_refused_in_its_own_words() {
        let guarded = Guarded::start(&[]);
        let url = format!("http://{}", guarded.server.otlp_grpc);
        let mut channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        assert_eq!(export(&mut channel, None).await, (200, Some("16".to_owned())));
        assert_eq!(export(&mut channel, Some("bvk_wrong")).await, (200, Some("16".to_owned())));
        assert_eq!(export(&mut channel, Some(&guarded.read)).await, (200, Some("7".to_owned())));
        assert_eq!(export(&mut channel, Some(&guarded.send)).await, (200, None));
    }
}

#[cfg(feature = "flight-sql")]
mod flight_sql;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "oidc")]
mod oidc;
