//! A file on its way into the object store: encoded on a thread for CPU work, uploaded as it grows.

use super::encode::{Encoder, FileFacts};
use crate::error::{Context, Error, Result};
use crate::scan::Instance;
use arrow::array::RecordBatch;
use belvedere_lake::LakeConnection;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use object_store::buffered::BufWriter;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// The folder of all partitions in the object store.
pub(crate) const FOLDER: &str = "partitions";

/// Bytes that are handed to the upload at once, and the size from which on it has several parts.
const PART: usize = 8 << 20;

/// Where a new file goes: `partitions/{view set}/{instance}/{day}/{time}_{first block}-{last block}_{unique}.parquet`,
/// day and time of the earliest reception of its blocks, in UTC.
pub(crate) fn new_key(instance: &Instance, insert_begin: i64, seqs: belvedere_model::SeqRange) -> String {
    let time = chrono::DateTime::from_timestamp_nanos(insert_begin);
    format!(
        "{FOLDER}/{}/{}/{}_{}-{}_{}.parquet",
        instance.view_set.name,
        instance.id,
        time.format("%Y-%m-%d/%H-%M-%S"),
        seqs.begin,
        seqs.end,
        uuid::Uuid::new_v4().simple()
    )
}

/// Takes the rows of one file, in order.
pub(crate) struct RowSink {
    encoder: Encoder,
    ready: Vec<u8>,
    upload: mpsc::Sender<Bytes>,
}

impl RowSink {
    /// Adds rows. Waits while the upload is behind: for threads that may wait.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.write(batch)?;
        self.ready.append(&mut self.encoder.take());
        if self.ready.len() >= PART {
            self.send()?;
        }
        Ok(())
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.encoder.memory() + self.ready.capacity()
    }

    fn send(&mut self) -> Result<()> {
        let bytes = Bytes::from(std::mem::take(&mut self.ready));
        if self.upload.blocking_send(bytes).is_err() {
            return Err(Error::other("the upload has ended"));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<FileFacts> {
        let (mut last, facts) = self.encoder.finish()?;
        self.ready.append(&mut last);
        if facts.rows > 0 {
            let bytes = Bytes::from(self.ready);
            if self.upload.blocking_send(bytes).is_err() {
                return Err(Error::other("the upload has ended"));
            }
        }
        Ok(facts)
    }
}

/// What was written, and what its producer has to say of it.
pub(crate) struct Written<T> {
    pub(crate) outcome: T,
    pub(crate) facts: FileFacts,
    /// Bytes of the file; there is none if there are no rows.
    pub(crate) size: i64,
}

/// Writes the rows of `produce`, which runs on a thread for CPU work, to `key`. Without rows there will be no file.
/// If this ends early, what was uploaded is not visible under the key.
pub(crate) async fn write_file<T: Send + 'static>(
    lake: &Arc<LakeConnection>,
    instance: &Instance,
    key: &str,
    produce: impl FnOnce(&mut RowSink) -> Result<T> + Send + 'static,
) -> Result<Written<T>> {
    let (upload, mut parts) = mpsc::channel::<Bytes>(2);
    let encoder = Encoder::new(instance.view_set, &instance.sort_order())?;
    let mut sink = RowSink { encoder, ready: Vec::new(), upload };
    let task = SpawnedTask::spawn_blocking(move || -> Result<(T, FileFacts)> {
        let outcome = produce(&mut sink)?;
        Ok((outcome, sink.finish()?))
    });
    let mut file = BufWriter::with_capacity(lake.store().clone(), key.into(), PART).with_max_concurrency(2);
    let mut size = 0;
    let mut failure = None;
    while let Some(part) = parts.recv().await {
        size += part.len() as i64;
        if let Err(e) = file.put(part).await {
            failure = Some(e);
            break;
        }
    }
    drop(parts);
    let produced = match task.await {
        Ok(produced) => produced,
        Err(e) if e.is_panic() => Err(Error::other(format!("making rows of {} panicked", instance.name()))),
        Err(e) => Err(e.into()),
    };
    let outcome = match (failure, produced) {
        (Some(e), _) => Err(e).with_context(|| format!("{key} could not be written")),
        (None, Ok(produced)) => Ok(produced),
        (None, Err(e)) => Err(e),
    };
    let (outcome, facts) = match outcome {
        Ok(produced) => produced,
        Err(e) => {
            // there may be nothing to abort; the first error is the one to tell
            let _ = file.abort().await;
            return Err(e);
        }
    };
    if facts.rows > 0 {
        file.shutdown().await.with_context(|| format!("{key} could not be written"))?;
        lake.make_durable(key).await?;
    }
    let size = if facts.rows > 0 { size } else { 0 };
    Ok(Written { outcome, facts, size })
}
