//! The threads whose spans a function of one id is about: those of a process, or one.

use belvedere_core::Error;
use belvedere_core::datafusion::execution::SendableRecordBatchStream;
use belvedere_core::query::{QueryContext, QueryError};
use belvedere_model::StreamInfo;
use uuid::Uuid;

/// The streams with spans of the process with that id, or the stream with that id, which may have none.
///
/// # Errors
///
/// If there is neither, or the catalog can't be asked.
pub(super) async fn threads(context: &QueryContext, id: Uuid) -> Result<Vec<StreamInfo>, Error> {
    let catalog = context.connection().catalog();
    let mut streams = match catalog.process(id).await? {
        Some(_) => catalog.streams_of(id).await?,
        None => match catalog.stream(id).await? {
            Some(stream) => vec![(*stream).clone()],
            None => {
                let mistake = format!(
                    "there is no process or stream {id} in this lake: SELECT process_id FROM processes and \
                     SELECT stream_id FROM streams list them"
                );
                return Err(QueryError::Sql(mistake).into());
            }
        },
    };
    streams.retain(|stream| stream.tags.iter().any(|tag| tag == "cpu"));
    Ok(streams)
}

/// The rows of a statement, within the context's range.
pub(super) async fn rows(context: &QueryContext, sql: &str) -> Result<SendableRecordBatchStream, Error> {
    let frame =
        context.session()?.sql(sql).await.map_err(|e| Error::from(e).during(format!("planning {sql}")))?;
    Ok(frame.execute_stream().await?)
}
