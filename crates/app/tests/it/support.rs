//! A server to talk to, recordings to send, and queries to ask.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_testkit::{backend, postgres_database};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The binary under test.
pub const BELVEDERE: &str = env!("CARGO_BIN_EXE_belvedere");
const TIMEOUT: Duration = Duration::from_secs(60);

/// A file of the repository's test data.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// Where a lake is: what `--lake` and its sisters say.
#[derive(Debug)]
pub struct Place {
    /// The binary that works on it.
    pub binary: PathBuf,
    pub directory: TempDir,
    pub flags: Vec<String>,
    pub environment: Vec<(String, String)>,
}

impl Place {
    /// An empty directory.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags = vec!["--lake".to_owned(), directory.path().display().to_string()];
        Self { binary: BELVEDERE.into(), directory, flags, environment: Vec::new() }
    }

    /// Everything in one directory, and with each further backend that is there.
    pub fn all() -> Vec<(&'static str, Self)> {
        let mut places = vec![("SQLite and files", Self::new())];
        let s3 = backend("s3");
        if let Some(url) = postgres_database() {
            places.push(("PostgreSQL and files", Self::new().with_postgres(url)));
        }
        if let Some(s3) = &s3 {
            places.push(("SQLite and S3", Self::new().with_s3(s3)));
        }
        if let (Some(postgres), Some(s3)) = (postgres_database(), &s3) {
            places.push(("PostgreSQL and S3", Self::new().with_postgres(postgres).with_s3(s3)));
        }
        places
    }

    fn with_postgres(mut self, url: String) -> Self {
        self.flags.extend(["--database".to_owned(), url]);
        self
    }

    fn with_s3(mut self, endpoint: &str) -> Self {
        let prefix = uuid::Uuid::new_v4().simple();
        self.flags.extend(["--objects".to_owned(), format!("s3://belvedere/{prefix}")]);
        for (key, value) in [
            ("AWS_ENDPOINT", endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
        ] {
            self.environment.push((key.to_owned(), value.to_owned()));
        }
        self
    }

    /// The binary with a subcommand and the lake's flags.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(subcommand).args(&self.flags).envs(self.environment.iter().cloned());
        command
    }

    /// The binary with `keys` and a subcommand of that, and the lake's flags.
    pub fn keys(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("keys").args(arguments).args(&self.flags).envs(self.environment.iter().cloned());
        command
    }

    /// Starts a server with more flags.
    pub fn serve(&self, flags: &[&str]) -> Server {
        let elsewhere = ["--otlp-http", "--otlp-grpc", "--flight-sql"].map(|flag| [flag, "127.0.0.1:0"]);
        self.serve_exactly(&[elsewhere.as_flattened(), flags].concat())
    }

    /// Starts a server where SDKs of OpenTelemetry send by default, or, if another program listens there, elsewhere.
    #[cfg(feature = "otel")]
    pub fn serve_at_usual_addresses(&self) -> Server {
        let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(4317) && is_free(4318) { self.serve_exactly(&[]) } else { self.serve(&[]) }
    }

    fn serve_exactly(&self, flags: &[&str]) -> Server {
        let mut child = self
            .command("serve")
            .args(["--http", "127.0.0.1:0"])
            .args(flags)
            .env("BELVEDERE_LOG", "warn")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, listening) = mpsc::channel();
        // the rest of what it says must be read too, or it would wait for us
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                match line.strip_prefix("listening ").and_then(|line| line.split_once(' ')) {
                    Some((name, address)) => drop(sender.send((name.to_owned(), address.to_owned()))),
                    None => eprintln!("[serve] {line}"),
                }
            }
        });
        let mut wanted = vec!["http"];
        if cfg!(feature = "otel") {
            wanted.extend(["otlp-http", "otlp-grpc"]);
        }
        let roles = flags.iter().position(|flag| *flag == "--roles").and_then(|i| flags.get(i + 1));
        let answers = roles.is_none_or(|roles| roles.contains("query"));
        if cfg!(feature = "flight-sql") && answers && flags.contains(&"--flight-sql") {
            wanted.push("flight-sql");
        }
        let mut addresses = HashMap::new();
        while let Some(missing) = wanted.iter().find(|name| !addresses.contains_key(**name)) {
            let heard = listening.recv_timeout(TIMEOUT);
            let (name, address) = heard.unwrap_or_else(|_| panic!("the server does not listen {missing}"));
            addresses.insert(name, address);
        }
        let mut address_of = |name: &str| addresses.remove(name).unwrap_or_default();
        let (address, flight_sql) = (address_of("http"), address_of("flight-sql"));
        let [otlp_http, otlp_grpc] = ["otlp-http", "otlp-grpc"].map(address_of);
        Server { child, address, flight_sql, otlp_http, otlp_grpc }
    }

    /// Asks one query; the rows as JSON objects.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        self.query_with(sql, &[]).0
    }

    /// Asks one query with more flags; the rows, and what was said on stderr.
    pub fn query_with(&self, sql: &str, flags: &[&str]) -> (Vec<Value>, String) {
        let output = self.try_query(sql, flags);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{sql}: {stderr}");
        let rows = String::from_utf8(output.stdout).unwrap();
        (rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), stderr)
    }

    /// Asks one query that may fail.
    pub fn try_query(&self, sql: &str, flags: &[&str]) -> Output {
        self.command("query").arg(sql).args(["--format", "ndjson"]).args(flags).output().unwrap()
    }

    /// A query's only number.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql);
        rows[0].as_object().unwrap().values().next().unwrap().as_i64().unwrap()
    }
}

/// Runs a command to its end, with a text on its standard input.
#[cfg(feature = "prompt")]
pub fn with_input(mut command: Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // one that fails early leaves the rest unread
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A running `belvedere serve`. Killed when dropped.
#[derive(Debug)]
#[cfg_attr(
    not(all(feature = "otel", feature = "flight-sql")),
    allow(dead_code, reason = "nobody asks there")
)]
pub struct Server {
    child: Child,
    pub address: String,
    /// Empty if it was built without.
    pub flight_sql: String,
    /// Empty if it was built without.
    pub otlp_http: String,
    /// Empty if it was built without.
    pub otlp_grpc: String,
}

impl Server {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connect(&self) -> Connection {
        Self::connect_to(&self.address)
    }

    /// The same to another of its addresses.
    pub fn connect_to(address: &str) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection(BufReader::new(stream))
    }

    /// Id of the server's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// `kill -9`
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP/1.1 connection that is kept alive.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Sends a request and waits for the answer: status and body.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.exchange(&format!("{head}\r\n"), body)
    }

    /// Posts with one header line that says how long the body is.
    pub fn send_raw(&mut self, path: &str, header: &str, body: &[u8]) -> (u16, String) {
        self.exchange(&format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n"), body)
    }

    fn exchange(&mut self, head: &str, body: &[u8]) -> (u16, String) {
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        // a server that refuses a body by its announced length may answer before it is there
        let _ = stream.write_all(body);
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}")).parse().unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub fn post(&mut self, path: &str, body: &[u8]) -> (u16, String) {
        self.send("POST", path, &[], body)
    }

    pub fn get(&mut self, path: &str) -> (u16, String) {
        self.send("GET", path, &[], b"")
    }
}

/// One recorded request.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// What the path's last part says: `insert_block`, say.
    pub fn is(&self, route: &str) -> bool {
        self.path.ends_with(route)
    }
}

/// The requests of a recording, in order.
pub fn recording(path: &Path) -> Vec<Request> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let parse = |line: String| {
        let request: Value = serde_json::from_str(&line).unwrap();
        let headers = request["headers"].as_object().unwrap().iter();
        Request {
            path: request["path"].as_str().unwrap().to_owned(),
            headers: headers.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect(),
            body: STANDARD.decode(request["body_b64"].as_str().unwrap()).unwrap(),
        }
    };
    BufReader::new(GzDecoder::new(file)).lines().map(|line| parse(line.unwrap())).collect()
}

/// Sends requests in order on one connection; the statuses.
pub fn replay(server: &Server, requests: &[Request]) -> Vec<u16> {
    let mut connection = server.connect();
    let mut statuses = Vec::new();
    for request in requests {
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let (status, body) = connection.send("POST", &request.path, &headers, &request.body);
        if status != 200 {
            eprintln!("{}: {status} {}", request.path, body.trim_end());
        }
        statuses.push(status);
        // after an early refusal the rest of the body is still on its way, or the server has closed the connection
        if status != 200 {
            connection = server.connect();
        }
    }
    statuses
}

/// The id that makes a request what it is, by its route.
pub fn main_id(request: &Request) -> Option<uuid::Uuid> {
    use belvedere_model::{ProcessInfo, StreamInfo};
    if request.is("insert_process") {
        ProcessInfo::decode(&request.body).ok().map(|p| p.process_id)
    } else if request.is("insert_stream") {
        StreamInfo::decode(&request.body).ok().map(|s| s.stream_id)
    } else {
        BlockRequest::decode(request.body.clone().into()).ok().map(|b| b.info.block_id)
    }
}

/// The same requests with new process, stream and block ids.
pub fn with_fresh_ids(requests: &[Request]) -> Vec<Request> {
    use belvedere_model::{ProcessInfo, StreamInfo};
    let mut ids = HashMap::new();
    let mut fresh = |old: uuid::Uuid| *ids.entry(old).or_insert_with(uuid::Uuid::new_v4);
    let mut renamed = Vec::with_capacity(requests.len());
    for request in requests {
        let body = if request.is("insert_process") {
            let mut process = ProcessInfo::decode(&request.body).unwrap();
            process.process_id = fresh(process.process_id);
            process.encode()
        } else if request.is("insert_stream") {
            let mut stream = StreamInfo::decode(&request.body).unwrap();
            stream.process_id = fresh(stream.process_id);
            stream.stream_id = fresh(stream.stream_id);
            stream.encode().unwrap()
        } else {
            let block = BlockRequest::decode(request.body.clone().into()).unwrap();
            let payload = block.payload();
            let parts = PayloadParts::split(&payload).unwrap();
            let mut info = block.info.clone();
            info.process_id = fresh(info.process_id);
            info.stream_id = fresh(info.stream_id);
            info.block_id = fresh(info.block_id);
            BlockRequest::encode(info, &parts).body().to_vec()
        };
        renamed.push(Request { body, ..request.clone() });
    }
    renamed
}

/// `kill -9` of a server that others still use.
pub fn kill_by_address(server: &Server) {
    let status = Command::new("kill").args(["-9", &server.id().to_string()]).status().unwrap();
    assert!(status.success());
}
