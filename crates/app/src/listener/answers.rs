//! The answers on a connection, and how long it is since somebody took a part of them.
//!
//! Over HTTP/2 a socket can be as lively as it wants, with pings for one, while nobody takes a certain answer: what was
//! made of it waits in memory, in hyper's hands and in ours, and nothing ends that. So every piece of an answer that is
//! handed to hyper tells when it is gone: when its last byte was written, since it is not kept any longer.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Bytes of a piece: a whole one has to be taken to count, however thin the line is.
const PIECE: usize = 256 << 10;

/// Those of a connection of which pieces wait.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    pieces: usize,
    /// When the last one was taken, or wanted.
    since: Instant,
}

impl Answers {
    /// The same body, with an eye on it.
    pub(super) fn watch(self: &Arc<Self>, body: Body) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Answer { body, rest: Bytes::new(), id, answers: self.clone() }
    }

    /// Comes back when nothing was taken of some answer for that long, or a little longer.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            tokio::time::sleep(patience / 4).await;
            if self.is_stalled(patience, Instant::now()) {
                return;
            }
        }
    }

    fn is_stalled(&self, patience: Duration, at: Instant) -> bool {
        self.waiting().values().any(|waiting| at.saturating_duration_since(waiting.since) >= patience)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        // what is in it is whole after every single operation on it
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(self: &Arc<Self>, id: u64, bytes: Bytes) -> Bytes {
        let now = Instant::now();
        let mut waiting = self.waiting();
        let waiting = waiting.entry(id).or_insert(Waiting { pieces: 0, since: now });
        waiting.pieces += 1;
        waiting.since = now;
        Bytes::from_owner(Piece { bytes, id, answers: self.clone() })
    }

    fn taken(&self, id: u64) {
        let mut all = self.waiting();
        if let Some(waiting) = all.get_mut(&id) {
            waiting.pieces -= 1;
            waiting.since = Instant::now();
            if waiting.pieces == 0 {
                // what comes next is up to us
                all.remove(&id);
            }
        }
    }
}

/// A part of an answer that is on its way.
struct Piece {
    bytes: Bytes,
    id: u64,
    answers: Arc<Answers>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.answers.taken(self.id);
    }
}

/// The body of an answer, in pieces.
pub(super) struct Answer {
    body: Body,
    /// What is left of its last frame.
    rest: Bytes,
    id: u64,
    answers: Arc<Answers>,
}

impl HttpBody for Answer {
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
        let bytes = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(this.answers.piece(this.id, bytes)))))
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

    const PATIENCE: Duration = Duration::from_secs(300);

    async fn next(answer: &mut Answer) -> Option<Bytes> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *answer).poll_frame(context)).await?;
        Some(frame.unwrap().into_data().unwrap())
    }

    fn later() -> Instant {
        Instant::now() + PATIENCE
    }

    #[tokio::test]
    async fn an_answer_is_stalled_as_long_as_a_piece_of_it_waits() {
        let answers = Arc::new(Answers::default());
        let (mut one, mut other) = (answers.watch(Body::from("one")), answers.watch(Body::from("other")));
        assert!(!answers.is_stalled(PATIENCE, later()));
        let piece = next(&mut one).await.unwrap();
        assert_eq!(piece, "one");
        assert!(!answers.is_stalled(PATIENCE, Instant::now()));
        assert!(answers.is_stalled(PATIENCE, later()));
        // that others move, and that the answer has come to its end, changes nothing
        drop(next(&mut other).await);
        assert!(next(&mut one).await.is_none());
        drop(one);
        assert!(answers.is_stalled(PATIENCE, later()));
        // a part of the bytes is enough to keep all
        let part = piece.slice(..1);
        drop(piece);
        assert!(answers.is_stalled(PATIENCE, later()));
        drop(part);
        assert!(!answers.is_stalled(PATIENCE, later()));
        assert!(answers.waiting().is_empty());
    }

    #[tokio::test]
    async fn bodies_come_whole_and_in_pieces() {
        let answers = Arc::new(Answers::default());
        let bytes: Vec<u8> = (0..PIECE * 2 + 7).map(|i| i as u8).collect();
        let mut answer = answers.watch(Body::from(bytes.clone()));
        let (mut taken, mut sizes) = (Vec::new(), Vec::new());
        while let Some(piece) = next(&mut answer).await {
            sizes.push(piece.len());
            taken.extend_from_slice(&piece);
            assert_eq!(answer.size_hint().exact(), Some((bytes.len() - taken.len()) as u64));
            assert_eq!(answer.is_end_stream(), taken.len() == bytes.len());
        }
        assert_eq!(sizes, [PIECE, PIECE, 7]);
        assert!(taken == bytes);
        assert!(answers.watch(Body::empty()).is_end_stream());
    }
}
