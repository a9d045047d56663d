//! Watches the responses on a connection for progress.
//!
//! A timeout on the socket is not enough for HTTP/2. The socket may be busy, with pings for example, while the client never
//! opens the flow-control window of one response. What was made of that response then stays in memory, in hyper's buffers
//! and in ours, and its query stays open. hyper does not tell when data was written. But it drops the data then, so each
//! chunk of a body is a `Bytes` with an owner whose `Drop` records the time.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Size of a chunk. Progress is seen only when a whole chunk is written, so chunks must be small enough for slow lines.
const CHUNK_BYTES: usize = 256 << 10;

/// The responses of a connection that have unwritten chunks.
#[derive(Debug, Default)]
pub(super) struct ResponseWatch {
    unwritten: Mutex<BTreeMap<u64, Unwritten>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Unwritten {
    chunks: usize,
    /// When the last chunk was written or added.
    since: Instant,
}

impl ResponseWatch {
    /// Watches a body.
    pub(super) fn watch(self: &Arc<Self>, body: Body) -> WatchedBody {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        WatchedBody { body, rest: Bytes::new(), id, watch: self.clone() }
    }

    /// Returns when a response made no progress for that long, or up to a quarter longer.
    pub(super) async fn stalled(&self, timeout: Duration) {
        loop {
            tokio::time::sleep(timeout / 4).await;
            if self.is_stalled(timeout, Instant::now()) {
                return;
            }
        }
    }

    fn is_stalled(&self, timeout: Duration, at: Instant) -> bool {
        self.unwritten().values().any(|unwritten| at.saturating_duration_since(unwritten.since) >= timeout)
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<u64, Unwritten>> {
        // consistent after every single operation, so one that panicked did no harm
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn track(self: &Arc<Self>, id: u64, bytes: Bytes) -> Bytes {
        let now = Instant::now();
        let mut unwritten = self.unwritten();
        let unwritten = unwritten.entry(id).or_insert(Unwritten { chunks: 0, since: now });
        unwritten.chunks += 1;
        unwritten.since = now;
        Bytes::from_owner(Chunk { bytes, id, watch: self.clone() })
    }

    fn written(&self, id: u64) {
        let mut all = self.unwritten();
        if let Some(unwritten) = all.get_mut(&id) {
            unwritten.chunks -= 1;
            unwritten.since = Instant::now();
            if unwritten.chunks == 0 {
                // now the client waits for us
                all.remove(&id);
            }
        }
    }
}

/// A part of a response that is not written yet.
struct Chunk {
    bytes: Bytes,
    id: u64,
    watch: Arc<ResponseWatch>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.watch.written(self.id);
    }
}

/// The body of a response, in chunks.
pub(super) struct WatchedBody {
    body: Body,
    /// The rest of its last frame.
    rest: Bytes,
    id: u64,
    watch: Arc<ResponseWatch>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(data) => this.rest = data,
                // trailers
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let bytes = this.rest.split_to(this.rest.len().min(CHUNK_BYTES));
        Poll::Ready(Some(Ok(Frame::data(this.watch.track(this.id, bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(rest));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(300);

    async fn next(answer: &mut WatchedBody) -> Option<Bytes> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *answer).poll_frame(context)).await?;
        Some(frame.unwrap().into_data().unwrap())
    }

    fn later() -> Instant {
        Instant::now() + TIMEOUT
    }

    #[tokio::test]
    async fn an_answer_is_stalled_as_long_as_a_piece_of_it_waits() {
        let watch = Arc::new(ResponseWatch::default());
        let (mut one, mut other) = (watch.watch(Body::from("one")), watch.watch(Body::from("other")));
        assert!(!watch.is_stalled(TIMEOUT, later()));
        let piece = next(&mut one).await.unwrap();
        assert_eq!(piece, "one");
        assert!(!watch.is_stalled(TIMEOUT, Instant::now()));
        assert!(watch.is_stalled(TIMEOUT, later()));
        // progress of another response, or the end of this one, changes nothing
        drop(next(&mut other).await);
        assert!(next(&mut one).await.is_none());
        drop(one);
        assert!(watch.is_stalled(TIMEOUT, later()));
        // a slice keeps the whole chunk
        let part = piece.slice(..1);
        drop(piece);
        assert!(watch.is_stalled(TIMEOUT, later()));
        drop(part);
        assert!(!watch.is_stalled(TIMEOUT, later()));
        assert!(watch.unwritten().is_empty());
    }

    #[tokio::test]
    async fn bodies_come_whole_and_in_pieces() {
        let watch = Arc::new(ResponseWatch::default());
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 7).map(|i| i as u8).collect();
        let mut answer = watch.watch(Body::from(bytes.clone()));
        let (mut taken, mut sizes) = (Vec::new(), Vec::new());
        while let Some(piece) = next(&mut answer).await {
            sizes.push(piece.len());
            taken.extend_from_slice(&piece);
            assert_eq!(answer.size_hint().exact(), Some((bytes.len() - taken.len()) as u64));
            assert_eq!(answer.is_end_stream(), taken.len() == bytes.len());
        }
        assert_eq!(sizes, [CHUNK_BYTES, CHUNK_BYTES, 7]);
        assert!(taken == bytes);
        assert!(watch.watch(Body::empty()).is_end_stream());
    }
}
