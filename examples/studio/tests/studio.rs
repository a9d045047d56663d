//! The programs of this studio: its lake, fed by its game and by what real clients sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const STUDIO: &str = env!("CARGO_BIN_EXE_studio");
const GAME: &str = env!("CARGO_BIN_EXE_game");

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/recordings").join(name)
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the server; it and its address.
fn serve(lake: &Path) -> (Server, String) {
    let child = Command::new(STUDIO)
        .args(["serve", "--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--lake"])
        .arg(lake)
        .stderr(Stdio::piped())
        .spawn();
    let mut server = Server(child.unwrap());
    let lines = BufReader::new(server.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut lines = lines.skip_while(|line| !line.starts_with("listening http"));
    let address = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    // what it says later must be read too
    std::thread::spawn(move || lines.count());
    (server, address)
}

/// Sends all requests of a recording.
fn replay(address: &str, name: &str) {
    let recording = flate2::read::GzDecoder::new(File::open(testdata(name)).unwrap());
    for line in BufReader::new(recording).lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let body = STANDARD.decode(request["body_b64"].as_str().unwrap()).unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        let path = request["path"].as_str().unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}

fn query(lake: &Path, sql: &str) -> Vec<Value> {
    let output = Command::new(STUDIO).args(["query", sql, "--format", "ndjson", "--lake"]).arg(lake).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn it_has_the_crates_that_it_links_and_its_own() {
    let output = Command::new(STUDIO).args(["schema", "--format", "json"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sets: Vec<&String> = schema["view_sets"].as_object().unwrap().keys().collect();
    let expected = [
        "async_events",
        "blocks",
        "frame_times",
        "images",
        "log_entries",
        "log_stats",
        "player_notes",
        "processes",
        "streams",
        "thread_spans",
    ];
    assert_eq!(sets, expected);
    let functions = schema["functions"].as_array().unwrap();
    assert!(functions.iter().any(|f| f["name"] == "image_size"));
    assert_eq!(schema["view_sets"]["player_notes"]["crate"], "views-notes");

    let docs = tempfile::tempdir().unwrap();
    let made = Command::new(STUDIO).args(["schema", "--output"]).arg(docs.path()).status().unwrap();
    assert!(made.success());
    let page = std::fs::read_to_string(docs.path().join("player_notes.md")).unwrap();
    assert!(page.contains("| `note` | Utf8 |  | what the player wrote |"), "{page}");
    let index = std::fs::read_to_string(docs.path().join("index.md")).unwrap();
    assert!(index.contains("blocks --> player_notes"), "{index}");
}

#[test]
fn an_address_for_a_part_that_it_does_not_contain_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, address) = serve(directory.path());
    assert!(address.starts_with("127.0.0.1:"));
}

/// What the server answers to a GET: head and body.
fn get(address: &str, path: &str) -> (String, String) {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_web_application_has_the_page_of_the_crate_and_those_of_the_crates_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, address) = serve(directory.path());
    let (_, manifest) = get(&address, "/ui/manifest.json");
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let pages = manifest["pages"].as_array().unwrap();
    let names: Vec<&str> = pages.iter().map(|page| page["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["timeline", "flame", "notes"]);
    let notes = &pages[2];
    assert_eq!((&notes["subject"], &notes["crate"]), (&json!("lake"), &json!("views-notes")));
    let module = format!("/ui/{}/{}", manifest["build"].as_str().unwrap(), notes["module"].as_str().unwrap());
    let (head, source) = get(&address, &module);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/javascript"), "{head}");
    assert_eq!(source, include_str!("../../views-notes/web/notes.js"));
}

#[test]
fn notes_that_the_game_sent_are_rows() {
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path();
    let (server, address) = serve(lake);
    let output = Command::new(GAME).arg(format!("http://{address}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let process = String::from_utf8(output.stdout).unwrap();
    let sql = "SELECT exe, level, x, y, player, note FROM player_notes ORDER BY time";
    let expected = [
        json!({"exe": "trail", "level": "Caves", "x": 3.5, "y": 8.0, "player": "Ada", "note": "I can walk through this wall"}),
        json!({"exe": "trail", "level": "Caves", "x": 4.0, "y": 8.25, "player": "Grace", "note": "Too dark here"}),
        json!({"exe": "trail", "level": "Harbor", "x": 120.0, "y": -1.5, "player": "Ada", "note": "Schönes Schiff! ⛵"}),
    ];
    assert_eq!(query(lake, sql), expected);
    let of_process = format!("SELECT count(*) AS n FROM view_instance('player_notes', '{}')", process.trim());
    assert_eq!(query(lake, &of_process)[0]["n"], 3);
    drop(server);

    // as rows of a file they are the same
    let made = Command::new(STUDIO).args(["maintain", "--once", "--lake"]).arg(lake).output().unwrap();
    assert!(String::from_utf8_lossy(&made.stdout).contains("player_notes global: 1 new partitions, 3 rows"));
    assert_eq!(query(lake, sql), expected);
}

#[test]
fn pictures_of_real_clients_are_those_that_were_taken() {
    for name in ["native-small", "native-old"] {
        let directory = tempfile::tempdir().unwrap();
        let lake = directory.path();
        let (server, address) = serve(lake);
        replay(&address, &format!("{name}.jsonl.gz"));
        drop(server);
        let truth: Value =
            serde_json::from_reader(File::open(testdata(&format!("{name}.truth.json"))).unwrap()).unwrap();
        let process = &truth["processes"][0];
        let id = process["process"]["process_id"].as_str().unwrap();
        let rows = query(lake, &format!("SELECT * FROM view_instance('images', '{id}') ORDER BY time"));
        let taken = process["images"].as_array().unwrap();
        assert_eq!(rows.len(), taken.len(), "{name}");
        for (row, taken) in rows.iter().zip(taken) {
            let data = STANDARD.decode(row["data"].as_str().unwrap()).unwrap();
            assert_eq!((&row["name"], &row["format"]), (&taken["name"], &taken["format"]));
            assert_eq!(row["size"], taken["bytes"]);
            assert_eq!(data.len() as u64, taken["bytes"].as_u64().unwrap());
            assert_eq!(data.iter().map(|b| u64::from(*b)).sum::<u64>(), taken["byte_sum"].as_u64().unwrap());
        }
        // threads have frames
        let threads =
            "SELECT stream_id FROM streams WHERE array_to_string(tags, ',') LIKE '%cpu%' ORDER BY 1";
        let mut frames = 0;
        for stream in query(lake, threads) {
            let stream = stream["stream_id"].as_str().unwrap();
            let sql = format!(
                "SELECT count(*) AS n FROM view_instance('frame_times', '{stream}') WHERE milliseconds >= 0"
            );
            frames += query(lake, &sql)[0]["n"].as_i64().unwrap();
        }
        assert_eq!(frames, process["thread_spans_by_depth"][0].as_i64().unwrap(), "{name}");
    }
}
