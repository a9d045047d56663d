//! What a server answers while its lake is being opened.

use crate::support::{Place, Server, recording, replay, testdata};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);

struct Starting {
    child: Child,
    address: String,
}

impl Starting {
    /// Starts a server, and waits until it can be connected to.
    fn serve(place: &Place) -> Self {
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
        let child = place
            .command("serve")
            .args(["--http", &address, "--otlp-http", "off", "--otlp-grpc", "off", "--flight-sql", "off"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let starting = Self { child, address };
        let began = Instant::now();
        while TcpStream::connect(&starting.address).is_err() {
            assert!(began.elapsed() < TIMEOUT, "it does not listen");
            std::thread::yield_now();
        }
        starting
    }

    fn get(&self, path: &str) -> (u16, String) {
        Server::connect_to(&self.address).get(path)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_answers_from_the_beginning_and_takes_requests_when_its_lake_is_open() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = recording(&testdata("recordings/native-small.jsonl.gz"));
    replay(&server, &requests);
    server.kill();
    // a lake that another program is just bringing up to date
    let lock = File::create(place.directory.path().join("recovery.lock")).unwrap();
    lock.lock().unwrap();
    let starting = Starting::serve(&place);
    assert_eq!(starting.get("/health").0, 200);
    let (status, body) = starting.get("/ready");
    assert!(status == 503 && body.starts_with("starting: "), "{status} {body}");
    for path in ["/ingestion/insert_process", "/api/query"] {
        let (status, body) = Server::connect_to(&starting.address).post(path, b"x");
        assert!(status == 503 && body.contains("the server is starting"), "{path}: {status} {body}");
    }
    assert_eq!(starting.get("/metrics").0, 503);
    // one connection sees both states
    let mut kept = Server::connect_to(&starting.address);
    assert_eq!(kept.get("/ready").0, 503);
    lock.unlock().unwrap();
    let began = Instant::now();
    while kept.get("/ready").0 != 200 {
        assert!(began.elapsed() < TIMEOUT, "it does not get ready");
        std::thread::yield_now();
    }
    for request in &requests {
        assert_eq!(kept.post(&request.path, &request.body).0, 200);
    }
    assert_eq!(starting.get("/metrics").0, 200);
}
