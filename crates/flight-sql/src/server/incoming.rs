//! Rows that a client sends with DoPut, within limits of size and time. Why they are not decoded by `arrow-flight` itself is
//! said in `decoder`.

use super::decoder::Decoder;
use super::runtime::on_query_runtime;
use arrow_flight::FlightData;
use belvedere_core::arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// Limits of a call of DoPut.
#[derive(Debug, Clone, Copy)]
pub(super) struct PutLimits {
    /// How long the next message may take to arrive.
    pub(super) message_timeout: Duration,
    /// How long the next rows may take: messages may have none.
    pub(super) rows_timeout: Duration,
    /// Size of all messages together.
    pub(super) max_bytes: u64,
    /// Unpacked size of a message.
    pub(super) max_unpacked_bytes: u64,
}

impl PutLimits {
    /// For replication of a lake: any number of messages, but without pauses.
    pub(super) const BULK: Self = Self {
        message_timeout: Duration::from_secs(30),
        rows_timeout: Duration::from_secs(300),
        max_bytes: u64::MAX,
        max_unpacked_bytes: 512 << 20,
    };

    /// For one row of parameters.
    pub(super) const VALUES: Self = Self {
        message_timeout: Duration::from_secs(30),
        rows_timeout: Duration::from_secs(60),
        max_bytes: 4 << 20,
        max_unpacked_bytes: 16 << 20,
    };
}

/// The rows of one call of DoPut.
pub(super) struct Incoming {
    messages: BoxStream<'static, Result<FlightData, Status>>,
    limits: PutLimits,
    taken: u64,
    decoder: Decoder,
    runtime: Handle,
}

impl Incoming {
    /// Receives messages within limits, and decodes them on `runtime`.
    pub(super) fn new(
        messages: BoxStream<'static, Result<FlightData, Status>>,
        limits: PutLimits,
        runtime: Handle,
    ) -> Self {
        Self { messages, limits, taken: 0, decoder: Decoder::new(limits.max_unpacked_bytes), runtime }
    }

    /// The next batch, which has at least one row; `None` at the end. Must not be called after an error.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, Status> {
        let rows_by = Instant::now() + self.limits.rows_timeout;
        loop {
            let now = Instant::now();
            // checked here, since a client may send empty messages without end
            if now >= rows_by {
                return Err(Status::deadline_exceeded(format!(
                    "no rows arrived within {:?}: send rows, or end the stream",
                    self.limits.rows_timeout
                )));
            }
            let by = rows_by.min(now + self.limits.message_timeout);
            let Some(data) = message(&mut self.messages, by).await? else { return Ok(None) };
            let size = data.data_header.len().saturating_add(data.data_body.len());
            self.taken = self.taken.saturating_add(size as u64);
            if self.taken > self.limits.max_bytes {
                return Err(Status::resource_exhausted(format!(
                    "more than {} bytes were sent, which is the limit here: shorten the values",
                    self.limits.max_bytes
                )));
            }
            let mut decoder = std::mem::take(&mut self.decoder);
            let read = move || decoder.decode(&data).map(|rows| (decoder, rows));
            let (decoder, rows) = on_query_runtime(&self.runtime, read).await?;
            self.decoder = decoder;
            if let Some(rows) = rows.filter(|rows| rows.num_rows() > 0) {
                return Ok(Some(rows));
            }
        }
    }
}

/// The first message of a call, which has the descriptor.
pub(super) async fn first(
    messages: &mut (impl Stream<Item = Result<FlightData, Status>> + Unpin),
) -> Result<Option<FlightData>, Status> {
    message(messages, Instant::now() + PutLimits::BULK.message_timeout).await
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
        limits: PutLimits,
    ) -> Incoming {
        Incoming::new(messages.boxed(), limits, Handle::current())
    }

    #[tokio::test]
    async fn rows_come_one_message_after_the_other() {
        let mut incoming = incoming(stream::iter(messages(3)), PutLimits::BULK);
        assert_eq!(incoming.next().await.unwrap().unwrap().num_rows(), 3);
        assert!(incoming.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_message_that_never_comes_ends_the_call() {
        let limits = PutLimits { message_timeout: Duration::ZERO, ..PutLimits::BULK };
        let mut incoming = incoming(stream::iter(messages(3)).chain(stream::pending()), limits);
        assert!(incoming.next().await.unwrap().is_some(), "what is there is taken");
        let refused = incoming.next().await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded);
        assert!(refused.message().contains("did not arrive within"), "{}", refused.message());
    }

    #[tokio::test]
    async fn empty_messages_without_end_do_not_keep_a_call_alive() {
        let [Ok(schema), Ok(empty)] = <[_; 2]>::try_from(messages(0)).unwrap() else { panic!("two") };
        let limits = PutLimits { rows_timeout: Duration::from_millis(20), ..PutLimits::BULK };
        let endless = stream::iter([Ok(schema)]).chain(stream::repeat_with(move || Ok(empty.clone())));
        let refused = incoming(endless, limits).next().await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded);
        assert!(refused.message().contains("no rows"), "{}", refused.message());
    }

    #[tokio::test]
    async fn more_bytes_than_are_allowed_are_refused() {
        let limits = PutLimits { max_bytes: 1000, ..PutLimits::VALUES };
        let refused = incoming(stream::iter(messages(1000)), limits).next().await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
}
