//! Rows as Flight messages.

use super::status;
use arrow_flight::FlightData;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::error::FlightError;
use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::datatypes::{Schema, SchemaRef};
use belvedere_core::service::Answer;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;

/// The stream that DoGet returns.
pub(super) type DataStream = BoxStream<'static, Result<FlightData, Status>>;

/// Messages that are encoded before the client asks for them; each has about 2 MiB.
const MESSAGES_AHEAD: usize = 4;

/// Key of a schema's metadata: how many blocks are known to be missing before the first row.
const MISSING_BLOCKS: &str = "missing_blocks";

/// Streams an answer. Dropping the stream cancels the query.
pub(super) fn stream_answer(answer: Answer, keeps_dictionaries: bool, runtime: &Handle) -> DataStream {
    let Answer { query_id, schema, rows, report } = answer;
    let rows = rows.map_err(move |e| FlightError::from(status::from_query_error(&e, Some(query_id))));
    let schema = with_known_missing(schema, report.fault_count());
    let handling = if keeps_dictionaries { DictionaryHandling::Resend } else { DictionaryHandling::Hydrate };
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_dictionary_handling(handling)
        .build(rows)
        .map_err(Status::from);
    // each message waits for the next one, so that the last can say what is missing: it is known then
    let next = messages.map(Some).chain(futures::stream::iter([None]));
    let messages = next.scan(None, move |held: &mut Option<Result<FlightData, Status>>, next| {
        let ready = match next {
            Some(message) => held.replace(message),
            None => held.take().map(|last| last.map(|last| with_missing(last, report.fault_count()))),
        };
        std::future::ready(Some(ready))
    });
    encode_ahead(messages.filter_map(std::future::ready).boxed(), runtime)
}

/// The schema of an answer, with metadata if it is known by now that the rows of blocks are missing: who reads it need not
/// wait for the last message to know that.
fn with_known_missing(schema: SchemaRef, blocks: u64) -> SchemaRef {
    if blocks == 0 {
        return schema;
    }
    let mut metadata = schema.metadata().clone();
    metadata.insert(MISSING_BLOCKS.to_owned(), blocks.to_string());
    Arc::new(Schema::clone(&schema).with_metadata(metadata))
}

/// The last message of an answer, with `app_metadata` if the rows of blocks are missing. A message of its own is more than
/// some clients take.
fn with_missing(last: FlightData, blocks: u64) -> FlightData {
    match blocks {
        0 => last,
        _ => last.with_app_metadata(format!("{{\"missing_blocks\":{blocks}}}")),
    }
}

/// Streams one batch.
pub(super) fn stream_batch(batch: RecordBatch, runtime: &Handle) -> DataStream {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .build(futures::stream::iter([Ok(batch)]))
        .map_err(Status::from);
    encode_ahead(messages, runtime)
}

/// Runs the stream in a task on the runtime of queries. Encoding may cost as much as the query: so it continues while the
/// connection's task writes earlier messages to the network, and neither connections nor ingestion wait for it.
fn encode_ahead(
    mut messages: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
    runtime: &Handle,
) -> DataStream {
    let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
    // aborts its task when it is dropped, also while that waits for rows
    let mut task = JoinSet::new();
    let work = async move {
        while let Some(message) = messages.next().await {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    };
    task.spawn_on(work, runtime);
    let taken = futures::stream::unfold((receiver, task), |(mut receiver, mut task)| async move {
        let message = match receiver.recv().await {
            Some(message) => message,
            // the channel also closes when the task panics: that must not look like the end of the rows
            None => match task.join_next().await? {
                Ok(()) => return None,
                Err(e) => Err(Status::internal(format!("the query failed: {e}"))),
            },
        };
        Some((message, (receiver, task)))
    });
    taken.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    #[tokio::test]
    async fn a_stream_that_is_dropped_ends_what_feeds_it_and_nothing_runs_far_ahead() {
        let made = Arc::new(AtomicUsize::new(0));
        let (alive, mut ended) = mpsc::channel::<()>(1);
        let counter = made.clone();
        let messages = futures::stream::repeat_with(move || {
            let _held = &alive;
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(FlightData::default())
        });
        let mut taken = encode_ahead(messages, &Handle::current());
        assert!(taken.next().await.is_some());
        tokio::task::yield_now().await;
        assert!(made.load(Ordering::Relaxed) <= MESSAGES_AHEAD + 3);
        drop(taken);
        assert!(ended.recv().await.is_none(), "the task is gone, with all that it held");
    }

    #[tokio::test]
    async fn a_failure_inside_is_no_end() {
        let broken =
            futures::stream::poll_fn(|_| -> Poll<Option<Result<FlightData, Status>>> { panic!("a bug") });
        let messages = futures::stream::iter([Ok(FlightData::default())]).chain(broken);
        let taken: Vec<_> = encode_ahead(messages.boxed(), &Handle::current()).collect().await;
        assert_eq!(taken.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    }
}
