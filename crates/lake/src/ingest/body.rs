//! Reading bodies: within limits of size, memory and time.
//!
//! A body that arrives too slowly is answered as unavailable, not with 408: native clients take each 4xx for their own
//! mistake and drop the data, and clients of OTLP don't retry a 408 either. A slow line is nobody's mistake.

use super::memory::Reservation;
use super::{Body, IngestError, IngestLimits, IngestionService};
use crate::Cause;
use axum::body::HttpBody;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// A buffer for a body of unknown length begins with at least this size.
const FIRST_BUFFER: usize = 4 << 10;

impl IngestionService {
    /// Reads a body of at most `limit` bytes, and reserves memory for it as it arrives.
    pub async fn read_body(&self, body: axum::body::Body, limit: usize) -> Result<Body, IngestError> {
        let limit = limit.min(self.limits().body_bytes);
        let announced = body.size_hint().exact().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if let Some(bytes) = announced.filter(|bytes| *bytes > limit) {
            let message = format!("the body has {bytes} bytes, at most {limit} are allowed");
            return Err(IngestError::TooLarge(message.into()));
        }
        let mut reserved = self.memory().nothing(announced.unwrap_or(0));
        let mut pace = Pace::new(self.limits());
        let mut buffer = Buffer::default();
        let mut body = pin!(body);
        // one timer for all of a body, which is set only when there is something to wait for
        let mut timer = pin!(tokio::time::sleep_until(pace.deadline()));
        loop {
            let mut next = body.frame();
            // a timer wakes a thread: a body that has arrived already gets none
            let frame = match futures::poll!(&mut next) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    if timer.deadline() != pace.deadline() {
                        timer.as_mut().reset(pace.deadline());
                    }
                    tokio::select! {
                        biased;
                        frame = next => frame,
                        () = &mut timer => return Err(pace.too_slow()),
                    }
                }
            };
            let chunk = match frame {
                None => break,
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(e)) if Self::is_length_limit(&e) => {
                    let message = format!("the body has more than {limit} bytes");
                    return Err(IngestError::TooLarge(Cause::new(message, e)));
                }
                Some(Err(e)) => {
                    let message = format!("the body could not be read: {e}");
                    return Err(IngestError::BadRequest(Cause::new(message, e)));
                }
            };
            let length = buffer.len() + chunk.len();
            if length > limit {
                let message = format!("the body has more than {limit} bytes");
                return Err(IngestError::TooLarge(message.into()));
            }
            let capacity = buffer.capacity_for(chunk.len(), announced.unwrap_or(limit));
            if self.memory().grow(&mut reserved, capacity, pace.end).await? {
                // that was not the sender's time
                pace.restart();
            }
            pace.arrived(chunk.len())?;
            buffer.push(chunk, capacity);
        }
        let bytes = buffer.into_bytes();
        self.count_bytes(bytes.len());
        reserved.shrink(usize::MAX);
        Ok(Body { bytes, reserved: Some(reserved) })
    }

    /// Reserves memory for a body of `bytes` bytes, beside what `held` has already; both together are at most the largest
    /// body. Waits until it is free.
    pub async fn reserve(&self, held: Option<Reservation>, bytes: usize) -> Result<Reservation, IngestError> {
        let mut reserved = held.unwrap_or_else(|| self.memory().nothing(bytes));
        let bytes = reserved.bytes().saturating_add(bytes).min(self.limits().body_bytes);
        self.memory().grow(&mut reserved, bytes, Instant::now() + self.limits().timeout).await?;
        Ok(reserved)
    }

    /// Whether reading a body failed because it is longer than the limit.
    pub fn is_length_limit(error: &axum::Error) -> bool {
        let first: &(dyn std::error::Error + 'static) = error;
        std::iter::successors(Some(first), |e| e.source()).any(|e| e.is::<LengthLimitError>())
    }
}

/// What has arrived of a body. One that arrives in one piece is not copied.
#[derive(Debug, Default)]
struct Buffer {
    first: Bytes,
    all: Vec<u8>,
}

impl Buffer {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Memory that is needed with another chunk. It grows in steps, so that few bytes are copied often, but not beyond
    /// what the body can have.
    fn capacity_for(&self, more: usize, at_most: usize) -> usize {
        let needed = self.len() + more;
        if self.len() == 0 || needed <= self.all.capacity() {
            return needed.max(self.all.capacity());
        }
        needed.max(self.all.capacity().saturating_mul(2).max(FIRST_BUFFER).min(at_most))
    }

    fn push(&mut self, chunk: Bytes, capacity: usize) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        self.all.reserve_exact(capacity.saturating_sub(self.all.len()));
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

/// Whether a body arrives fast enough: in each span of time some bytes, and all of it before the end.
#[derive(Debug)]
struct Pace {
    span: Duration,
    /// Bytes for each span.
    wanted: usize,
    span_end: Instant,
    missing: usize,
    end: Instant,
}

impl Pace {
    fn new(limits: &IngestLimits) -> Self {
        let now = Instant::now();
        let wanted = (limits.min_rate as f64 * limits.rate_span.as_secs_f64()) as usize;
        let span = if wanted == 0 { limits.timeout } else { limits.rate_span };
        Self { span, wanted, span_end: now + span, missing: wanted, end: now + limits.timeout }
    }

    fn deadline(&self) -> Instant {
        self.span_end.min(self.end)
    }

    fn restart(&mut self) {
        self.span_end = Instant::now() + self.span;
        self.missing = self.wanted;
    }

    fn arrived(&mut self, bytes: usize) -> Result<(), IngestError> {
        self.missing = self.missing.saturating_sub(bytes);
        if self.missing == 0 && self.wanted > 0 {
            self.restart();
        }
        if Instant::now() > self.deadline() { Err(self.too_slow()) } else { Ok(()) }
    }

    fn too_slow(&self) -> IngestError {
        let message = match Instant::now() < self.end {
            true => {
                let (bytes, span) = (self.wanted, self.span);
                format!("the body arrives too slowly: fewer than {bytes} bytes in {span:?}")
            }
            false => "the body took too long to arrive".to_owned(),
        };
        IngestError::Unavailable(message.into())
    }
}
