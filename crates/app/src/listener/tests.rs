//! Clients that are slow, silent, many or wordy.

use super::*;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const SHORT: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn start(limits: ConnectionLimits) -> Running {
    start_with(limits, None).await
}

async fn start_with(limits: ConnectionLimits, tls: Option<Tls>) -> Running {
    let router = Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route(
            "/slow",
            get(async || {
                sleep(2 * SHORT).await;
                "done"
            }),
        )
        .route("/echo", post(async |body: axum::body::Bytes| body));
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
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
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
    rest(server.connect(opening::PREFACE).await).await;
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
    timeout(PATIENCE, dripping).await.expect("the connection stays open");
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
    let (answer, served) = tokio::join!(rest(slow), timeout(PATIENCE, server.serving));
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
    timeout(PATIENCE, server.serving).await.unwrap().unwrap();
    drop(silent);
}
