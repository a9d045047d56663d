//! Reads what a handler left of a request.
//!
//! A handler may answer before it has read the whole request: it is too large, say, or not allowed. If the answer went
//! out at once, hyper would close the stream, and clients that are still sending would see a broken connection instead of
//! the answer: curl over HTTP/2, and Node's over HTTP/1. So the rest is read first, and thrown away, within limits.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that are read and thrown away. Who sends more may not see the answer.
const MOST: usize = 64 << 20;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(10);
/// In each such span something must arrive: who was refused for being slow does not get more time.
const SPAN: Duration = Duration::from_secs(1);
/// How much must arrive in a span.
const WANTED: usize = 64 << 10;

/// Where the body of a request is put when its handler is done with it.
#[derive(Debug, Default)]
pub(super) struct RestOfBody {
    left: Arc<Mutex<Option<Body>>>,
}

impl RestOfBody {
    /// The body, for the handler.
    pub(super) fn of(&self, body: Body) -> Body {
        Body::new(Lent { body, left: self.left.clone() })
    }

    /// Reads the rest if the handler has dropped the body.
    pub(super) async fn read(self) {
        self.read_by(SPAN).await;
    }

    async fn read_by(self, span: Duration) {
        let Some(mut body) = self.left.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let end = Instant::now() + LONGEST;
        let mut room = MOST;
        while room > 0 && Instant::now() < end {
            let enough = room.saturating_sub(WANTED);
            let some = async {
                while room > enough {
                    let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await?.ok()?;
                    room = room.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                }
                Some(())
            };
            // it is over, or too slow
            if !matches!(tokio::time::timeout(span, some).await, Ok(Some(()))) {
                return;
            }
        }
    }
}

/// A body that comes back.
struct Lent {
    body: Body,
    left: Arc<Mutex<Option<Body>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use futures::StreamExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const PIECE: usize = 1 << 20;

    /// A body of that many pieces, and how many were taken.
    fn pieces(count: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let all = futures::stream::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(vec![0_u8; PIECE])
        });
        (Body::from_stream(all.take(count)), taken)
    }

    #[tokio::test]
    async fn what_a_handler_left_is_read_but_not_for_ever() {
        for (count, expected) in [(0, 0), (5, 5), (usize::MAX, MOST / PIECE)] {
            let (body, taken) = pieces(count);
            let rest = RestOfBody::default();
            drop(rest.of(body));
            rest.read().await;
            assert_eq!(taken.load(Ordering::Relaxed), expected);
        }
        // nothing is left of what was read, and what is being read is the handler's
        let rest = RestOfBody::default();
        let (body, taken) = pieces(3);
        assert_eq!(to_bytes(rest.of(body), usize::MAX).await.unwrap().len(), 3 * PIECE);
        rest.read().await;
        assert_eq!(taken.load(Ordering::Relaxed), 3);
        let rest = RestOfBody::default();
        let (body, taken) = pieces(3);
        let held = rest.of(body);
        rest.read().await;
        assert_eq!(taken.load(Ordering::Relaxed), 0);
        drop(held);
    }

    #[tokio::test]
    async fn who_is_slow_is_not_waited_for() {
        // some bytes at every turn, and never enough of them
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let drip = futures::stream::unfold(counted, |counted| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            counted.fetch_add(1, Ordering::Relaxed);
            Some((Ok::<_, std::io::Error>(vec![0_u8; 100]), counted))
        });
        let rest = RestOfBody::default();
        drop(rest.of(Body::from_stream(drip)));
        rest.read_by(Duration::from_millis(20)).await;
        assert!(taken.load(Ordering::Relaxed) <= WANTED / 100);
    }
}
