//! Clients that are slow, silent, many or wordy.

use super::*;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const SHORT: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn start(limits: ConnectionLimits) -> Running {
    start_with(limits, None).await
}

async fn start_with(limits: ConnectionLimits, tls: Option<Tls>) -> Running {
    start_router(routes(), limits, tls).await
}

fn routes() -> Router {
    Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route(
            "/slow",
            get(async || {
                sleep(2 * SHORT).await;
                "done"
            }),
        )
        .route("/echo", post(async |body: Bytes| body))
}

async fn start_router(router: Router, limits: ConnectionLimits, tls: Option<Tls>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve(listener, router, tls, limits, async {
        let _ = stopped.await;
    }));
    Running { address, stop, serving }
}

fn hasty() -> ConnectionLimits {
    ConnectionLimits { head: SHORT, ping: SHORT, pong: SHORT, ..ConnectionLimits::default() }
}

impl Running {
    async fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// Everything until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // a connection that is reset is closed too
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn requests_know_where_they_come_from() {
    let server = start(hasty()).await;
    let answer = rest(server.connect(ASK).await).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn who_says_nothing_or_stops_amid_a_head_loses_the_connection() {
    let server = start(hasty()).await;
    for begin in
        [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\na: "]
    {
        let answer = rest(server.connect(begin).await).await;
        assert!(!answer.contains("200"), "{answer}");
    }
    // the preface of HTTP/2 and nothing behind it: pings stay without an answer
    rest(server.connect(first_byte_timeout::PREFACE).await).await;
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_does_not_get_more_time() {
    let server = start(hasty()).await;
    let mut stream = server.connect(b"GET / HTTP/1.1\r\n").await;
    let dripping = async {
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    };
    timeout(TIMEOUT, dripping).await.expect("the connection stays open");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_head() {
    let server = start(hasty()).await;
    let answer = rest(server.connect(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await).await;
    assert!(answer.ends_with("done"), "{answer}");
    // the shortest of all requests: the bytes that tell the version never get complete
    let answer = rest(server.connect(b"GET /slow HTTP/1.0\r\n\r\n").await).await;
    assert!(answer.ends_with("done"), "{answer}");
}

/// An answer without an end, and what says that it was dropped: nothing more can come.
fn endless() -> (Router, mpsc::Receiver<()>) {
    let (sender, dropped) = mpsc::channel(1);
    let held = Arc::new(std::sync::Mutex::new(Some(sender)));
    let answer = move || {
        let sender = held.lock().unwrap().take();
        let pieces = std::iter::repeat_with(move || {
            assert!(sender.is_some(), "it is asked for once");
            Ok::<_, std::convert::Infallible>(Bytes::from(vec![0; 1 << 16]))
        });
        std::future::ready(Body::from_stream(futures::stream::iter(pieces)))
    };
    (routes().route("/endless", get(answer)), dropped)
}

#[tokio::test]
async fn an_answer_of_which_nothing_is_taken_ends() {
    let (router, mut dropped) = endless();
    let server = start_router(router, ConnectionLimits { answer: SHORT, ..Default::default() }, None).await;
    let unread = server.connect(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(timeout(TIMEOUT, dropped.recv()).await.expect("the answer waits").is_none());
    drop(unread);
}

/// The beginning of HTTP/2 by a client that takes so many bytes of each answer, and its first request.
fn request_with_window(path: &str, window: u16) -> Vec<u8> {
    let [high, low] = window.to_be_bytes();
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, high, low];
    [first_byte_timeout::PREFACE, &settings, &request_2(path, 1)].concat()
}

/// A request of HTTP/2.
fn request_2(path: &str, stream: u8) -> Vec<u8> {
    // GET, http, the path and the authority 'a': indices of HPACK's table, and texts with their lengths
    let mut head = vec![0x82, 0x86, 0x44, path.len() as u8];
    head.extend_from_slice(path.as_bytes());
    head.extend_from_slice(&[0x41, 1, b'a']);
    // with its end, and nothing behind it
    let frame = [0, 0, head.len() as u8, 1, 5, 0, 0, 0, stream];
    [&frame[..], &head].concat()
}

#[tokio::test]
async fn an_answer_that_waits_for_a_window_of_http_2_costs_the_connection() {
    let limits = ConnectionLimits { answer: SHORT, ..Default::default() };
    for window in [0, 4] {
        let server = start(limits.clone()).await;
        // the socket goes on being read
        rest(server.connect(&request_with_window("/", window)).await).await;
        let (router, mut dropped) = endless();
        let server = start_router(router, limits.clone(), None).await;
        let connection = server.connect(&request_with_window("/endless", window)).await;
        assert!(timeout(TIMEOUT, dropped.recv()).await.expect("the answer waits").is_none());
        rest(connection).await;
    }
}

/// Reads until so many bytes came that only answers have.
async fn take_marks(stream: &mut TcpStream, count: usize) {
    let (mut taken, mut bytes) = (0, [0; 1 << 10]);
    while taken < count {
        let length = timeout(TIMEOUT, stream.read(&mut bytes)).await.expect("no answer").unwrap();
        assert_ne!(length, 0, "the connection ended");
        taken += bytes[..length].iter().filter(|byte| **byte == b'#').count();
    }
}

#[tokio::test]
async fn an_answer_that_was_taken_is_forgotten_and_its_connection_may_idle() {
    let limits = ConnectionLimits { answer: SHORT, ..Default::default() };
    for size in [7, 10_000] {
        let router = routes().route("/marks", get(move || async move { "#".repeat(size) }));
        let server = start_router(router, limits.clone(), None).await;
        let ask = b"GET /marks HTTP/1.1\r\nhost: a\r\n\r\n";
        let (mut one, mut two) =
            (server.connect(ask).await, server.connect(&request_with_window("/marks", 20_000)).await);
        take_marks(&mut one, size).await;
        take_marks(&mut two, size).await;
        sleep(2 * SHORT).await;
        one.write_all(ask).await.unwrap();
        two.write_all(&request_2("/marks", 3)).await.unwrap();
        take_marks(&mut one, size).await;
        take_marks(&mut two, size).await;
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let limits = ConnectionLimits { head_bytes: 8 << 10, ..hasty() };
    let server = start(limits).await;
    let mut stream = server.connect(b"GET / HTTP/1.1\r\na: ").await;
    let _ = stream.write_all(&vec![b'a'; 64 << 10]).await;
    let answer = rest(stream).await;
    assert!(!answer.contains("200"), "{answer}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500));
    let answer = rest(server.connect(many.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let server = start(ConnectionLimits { connections: 2, ..hasty() }).await;
    let idle = [server.connect(b"").await, server.connect(b"").await];
    // the silent ones are thrown out, and their places are free
    let answer = rest(server.connect(ASK).await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(idle);
}

#[tokio::test]
async fn what_is_under_way_comes_to_its_end_and_what_idles_does_not_delay_the_stop() {
    let patient = ConnectionLimits { head: Duration::from_secs(600), ..ConnectionLimits::default() };
    let server = start(patient).await;
    let slow = server.connect(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let silent = server.connect(b"").await;
    let mut idle = server.connect(ASK).await;
    idle.read_exact(&mut [0; 12]).await.unwrap();
    sleep(SHORT / 2).await;
    server.stop.send(()).unwrap();
    let (answer, served) = tokio::join!(rest(slow), timeout(TIMEOUT, server.serving));
    assert!(answer.ends_with("done"), "{answer}");
    served.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(silent);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn who_does_not_shake_hands_loses_the_connection_and_delays_no_stop() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (directory.path().join("certificate"), directory.path().join("key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = crate::access::acceptor(&certificate, &key).unwrap();
    let server = start_with(ConnectionLimits { handshake: SHORT, ..hasty() }, Some(tls.clone())).await;
    // the second is the beginning of a handshake
    for begin in [&b""[..], b"\x16\x03\x01\x02\x00\x01", ASK] {
        let answer = rest(server.connect(begin).await).await;
        assert!(!answer.contains("200"), "{answer}");
    }
    let patient = ConnectionLimits { handshake: Duration::from_secs(600), ..ConnectionLimits::default() };
    let server = start_with(patient, Some(tls)).await;
    let silent = server.connect(b"").await;
    sleep(SHORT / 2).await;
    server.stop.send(()).unwrap();
    timeout(TIMEOUT, server.serving).await.unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn heads_with_bare_line_feeds_are_refused_on_every_request_of_a_connection() {
    let server = start(hasty()).await;
    for bad in [
        "GET / HTTP/1.1\nhost: a\n\n",
        "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let answer = rest(server.connect(bad.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?}: {answer}");
        let good = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n\n\n\r\n\n\n";
        let answer = rest(server.connect([good, bad].concat().as_bytes()).await).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\r\n\r\n\n\n\r\n\n\nHTTP/1.1 400"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn line_feeds_in_bodies_arrive_as_they_were_sent() {
    let server = start(hasty()).await;
    let chunked = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\n\n\na\n\r\n2\r\n\n\n\r\n0\r\n\r\n";
    let whole = "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\n\nb\n";
    let answer = rest(server.connect([chunked, whole].concat().as_bytes()).await).await;
    assert!(
        answer.contains("\r\n\r\n\n\na\n\n\nHTTP/1.1 200") && answer.ends_with("\r\n\r\n\nb\n"),
        "{answer:?}"
    );
}
