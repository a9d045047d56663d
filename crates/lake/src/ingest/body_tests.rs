//! Bodies that arrive slowly, in parts, or not at all.

use super::{IngestError, IngestLimits, IngestionService};
use crate::{LakeConnection, LakeOptions};
use axum::body::Body;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::{FutureExt, StreamExt};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const MIB: usize = 1 << 20;

async fn service(limits: IngestLimits) -> Arc<IngestionService> {
    let lake = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
    Arc::new(IngestionService::new(lake, limits))
}

async fn listen(service: &Arc<IngestionService>) -> SocketAddr {
    let router = super::http::routes(service.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn connect(address: SocketAddr, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /ingestion/insert_block HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

async fn status(mut stream: TcpStream) -> String {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    String::from_utf8_lossy(&start[9..]).into_owned()
}

/// How long a sender of a good block waits for its 200.
async fn good_sender(address: SocketAddr) -> Duration {
    let block = crate::tests::block(Uuid::new_v4(), 1000);
    let began = Instant::now();
    let head = format!("content-length: {}", block.body().len());
    assert_eq!(status(connect(address, &head, block.body()).await).await, "200");
    began.elapsed()
}

#[tokio::test]
async fn who_announces_much_and_sends_little_delays_nobody() {
    let address = listen(&service(IngestLimits::default()).await).await;
    let mut stalled = Vec::new();
    for _ in 0..6 {
        stalled.push(connect(address, "content-length: 104857600", b"abc").await);
        stalled.push(connect(address, "transfer-encoding: chunked", b"3\r\nabc\r\n").await);
    }
    let waited = good_sender(address).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_and_can_be_sent_again() {
    let limits = IngestLimits { rate_span: Duration::from_millis(50), ..IngestLimits::default() };
    let address = listen(&service(limits).await).await;
    for head in ["content-length: 500", "transfer-encoding: chunked"] {
        assert_eq!(status(connect(address, head, b"3\r\nabc\r\n").await).await, "503", "{head}");
    }
    good_sender(address).await;
}

/// A body of unknown length, and where to put its parts.
fn channel() -> (mpsc::UnboundedSender<Bytes>, Body) {
    let (sender, parts) = mpsc::unbounded::<Bytes>();
    (sender, Body::from_stream(parts.map(Ok::<_, Infallible>)))
}

#[tokio::test]
async fn bodies_that_grow_stay_within_the_memory_and_all_arrive() {
    let limits = IngestLimits { body_bytes: 2 * MIB, pending_bytes: 8 * MIB, ..IngestLimits::default() };
    let service = service(limits).await;
    let mut growing = Vec::new();
    for _ in 0..10 {
        let (sender, body) = channel();
        growing.push((sender, Box::pin(service.read_body(body, usize::MAX))));
    }
    let mut arrived = vec![None; growing.len()];
    // each brings a part of 64 KiB in turn
    for _ in 0..32 {
        for (i, (sender, read)) in growing.iter_mut().enumerate() {
            sender.unbounded_send(vec![7; 64 << 10].into()).unwrap();
            assert!(arrived[i].is_none() && read.now_or_never().is_none());
        }
        assert!(service.memory().reserved() <= 8 * MIB, "{}", service.memory().reserved());
    }
    assert!(service.memory().reserved() > 4 * MIB);
    // nobody sends any more: those that have room end, and make room for the others
    let mut left = growing.len();
    let mut reading: Vec<_> = growing.into_iter().map(|(_, read)| Some(read)).collect();
    while left > 0 {
        let before = left;
        for (i, slot) in reading.iter_mut().enumerate() {
            if let Some(body) = slot.as_mut().and_then(|read| read.now_or_never()) {
                assert_eq!(body.unwrap().bytes.len(), 2 * MIB);
                arrived[i] = Some(());
                *slot = None;
                left -= 1;
            }
            assert!(service.memory().reserved() <= 8 * MIB);
        }
        assert!(left < before, "{left} bodies wait for each other");
    }
    assert_eq!(service.memory().reserved(), 0);
}

#[tokio::test]
async fn a_body_comes_back_as_it_was_sent_and_one_byte_too_many_is_refused() {
    let limits = IngestLimits { body_bytes: MIB, ..IngestLimits::default() };
    let service = service(limits).await;
    for parts in [vec![0], vec![1], vec![3, 5], vec![1, 10_000, 0, 1, MIB - 10_002]] {
        let (sender, body) = channel();
        let expected: Vec<u8> = (0..parts.iter().sum()).map(|i: usize| (i % 251) as u8).collect();
        let mut rest = Bytes::from(expected.clone());
        for size in parts {
            sender.unbounded_send(rest.split_to(size)).unwrap();
        }
        drop(sender);
        let body = service.read_body(body, usize::MAX).await.unwrap();
        assert!(body.bytes == expected);
        let reserved = body.reserved.as_ref().unwrap().bytes();
        assert!(reserved >= expected.len() && reserved <= 2 * expected.len() + 8192, "{reserved}");
    }
    let (sender, body) = channel();
    for size in [MIB, 1] {
        sender.unbounded_send(vec![0; size].into()).unwrap();
    }
    let refused = service.read_body(body, usize::MAX).await;
    assert!(matches!(refused, Err(IngestError::TooLarge(_))), "{refused:?}");
    let refused = service.read_body(Body::from(vec![0; 11]), 10).await;
    assert!(matches!(refused, Err(IngestError::TooLarge(_))), "{refused:?}");
}
