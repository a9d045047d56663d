//! Rows that a client sends, as fast as it has to.

use super::away::away;
use super::decoder::Decoder;
use arrow_flight::FlightData;
use belvedere_core::arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// How much may come, and how slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Until the next message is there, whole.
    pub(super) message: Duration,
    /// Until the next rows are: messages may have none.
    pub(super) rows: Duration,
    /// Bytes of all messages.
    pub(super) bytes: u64,
    /// Bytes of a message when it is unpacked.
    pub(super) unpacked: u64,
}

impl Pace {
    /// A copy of a lake: any number of messages, but it has to go on.
    pub(super) const BULK: Self = Self {
        message: Duration::from_secs(30),
        rows: Duration::from_secs(300),
        bytes: u64::MAX,
        unpacked: 512 << 20,
    };

    /// One row of parameters.
    pub(super) const VALUES: Self = Self {
        message: Duration::from_secs(30),
        rows: Duration::from_secs(60),
        bytes: 4 << 20,
        unpacked: 16 << 20,
    };
}

/// The rows of one call of DoPut.
pub(super) struct Incoming {
    messages: BoxStream<'static, Result<FlightData, Status>>,
    pace: Pace,
    taken: u64,
    decoder: Decoder,
    runtime: Handle,
}

impl Incoming {
    /// Takes messages at that pace, and reads them in `runtime`.
    pub(super) fn new(
        messages: BoxStream<'static, Result<FlightData, Status>>,
        pace: Pace,
        runtime: Handle,
    ) -> Self {
        Self { messages, pace, taken: 0, decoder: Decoder::new(pace.unpacked), runtime }
    }

    /// The next rows, which are at least one; none at the end. After an error there is nothing more to be had.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, Status> {
        let rows_by = Instant::now() + self.pace.rows;
        loop {
            let now = Instant::now();
            // also if there is always another message
            if now >= rows_by {
                return Err(Status::deadline_exceeded(format!(
                    "no rows arrived within {:?}: send rows, or end the stream",
                    self.pace.rows
                )));
            }
            let by = rows_by.min(now + self.pace.message);
            let Some(data) = message(&mut self.messages, by).await? else { return Ok(None) };
            let size = data.data_header.len().saturating_add(data.data_body.len());
            self.taken = self.taken.saturating_add(size as u64);
            if self.taken > self.pace.bytes {
                return Err(Status::resource_exhausted(format!(
                    "more than {} bytes were sent, which is the limit here: shorten the values",
                    self.pace.bytes
                )));
            }
            let mut decoder = std::mem::take(&mut self.decoder);
            let read = move || decoder.take(&data).map(|rows| (decoder, rows));
            let (decoder, rows) = away(&self.runtime, read).await?;
            self.decoder = decoder;
            if let Some(rows) = rows.filter(|rows| rows.num_rows() > 0) {
                return Ok(Some(rows));
            }
        }
    }
}

/// The first message of a call, which says what it is about.
pub(super) async fn first(
    messages: &mut (impl Stream<Item = Result<FlightData, Status>> + Unpin),
) -> Result<Option<FlightData>, Status> {
    message(messages, Instant::now() + Pace::BULK.message).await
}

async fn message(
    messages: &mut (impl Stream<Item = Result<FlightData, Status>> + Unpin),
    by: Instant,
) -> Result<Option<FlightData>, Status> {
    let waited = by.saturating_duration_since(Instant::now());
    match timeout_at(by, messages.next()).await {
        Ok(message) => message.transpose(),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "the next message did not arrive within {waited:?}: send smaller ones, or end the stream"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_flight::utils::batches_to_flight_data;
    use belvedere_core::arrow::array::{ArrayRef, Int64Array};
    use futures::stream;
    use std::sync::Arc;
    use tonic::Code;

    // times are given, and those that must pass are over at once: nothing here waits

    fn messages(rows: i64) -> Vec<Result<FlightData, Status>> {
        let column: ArrayRef = Arc::new((0..rows).collect::<Int64Array>());
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let messages = batches_to_flight_data(&batch.schema(), vec![batch]).unwrap();
        messages.into_iter().map(Ok).collect()
    }

    fn incoming(
        messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
        pace: Pace,
    ) -> Incoming {
        Incoming::new(messages.boxed(), pace, Handle::current())
    }

    #[tokio::test]
    async fn rows_come_one_message_after_the_other() {
        let mut incoming = incoming(stream::iter(messages(3)), Pace::BULK);
        assert_eq!(incoming.next().await.unwrap().unwrap().num_rows(), 3);
        assert!(incoming.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_message_that_never_comes_ends_the_call() {
        let pace = Pace { message: Duration::ZERO, ..Pace::BULK };
        let mut incoming = incoming(stream::iter(messages(3)).chain(stream::pending()), pace);
        assert!(incoming.next().await.unwrap().is_some(), "what is there is taken");
        let refused = incoming.next().await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded);
        assert!(refused.message().contains("did not arrive within"), "{}", refused.message());
    }

    #[tokio::test]
    async fn empty_messages_without_end_do_not_keep_a_call_alive() {
        let [Ok(schema), Ok(empty)] = <[_; 2]>::try_from(messages(0)).unwrap() else { panic!("two") };
        let pace = Pace { rows: Duration::from_millis(20), ..Pace::BULK };
        let endless = stream::iter([Ok(schema)]).chain(stream::repeat_with(move || Ok(empty.clone())));
        let refused = incoming(endless, pace).next().await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded);
        assert!(refused.message().contains("no rows"), "{}", refused.message());
    }

    #[tokio::test]
    async fn more_bytes_than_are_allowed_are_refused() {
        let pace = Pace { bytes: 1000, ..Pace::VALUES };
        let refused = incoming(stream::iter(messages(1000)), pace).next().await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
}
