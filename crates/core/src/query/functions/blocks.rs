//! Single blocks as they were sent: `get_payload(…)` and `parse_block(…)`.

mod get_payload;
pub(crate) mod native_parser;
mod parse_block;

use crate::query::SqlFunction;
use crate::query::{QueryContext, QueryError};
use belvedere_lake::LakeError;
use belvedere_model::BlockRecord;
use bytes::Bytes;
use datafusion::error::DataFusionError;
use std::sync::Arc;
use uuid::Uuid;

crate::register_functions! {
    SqlFunction::scalar("get_payload(process_id, stream_id, block_id)", |context| get_payload::get_payload(context.clone()))
        .about(
            "The payload of a block as it was sent: CBOR with the byte strings dependencies and objects, \
             which are compressed for native clients and not for other protocols. NULL if an id is NULL; \
             an error if the block does not exist.",
        ),
    SqlFunction::table("parse_block('block')", |context| Arc::new(parse_block::ParseBlockFunction::new(context.clone())))
        .about(
            "Table: the objects of a block, which must be in the query's time range: object_index \
             (number in the stream), type_name, and value (a JSONB object with all fields, and the type \
             as __type).",
        ),
}

/// The lake can't do what is asked of it.
fn failure(text: String) -> DataFusionError {
    DataFusionError::External(Box::new(QueryError::Internal(text)))
}

/// The lake ends while somebody waits for it.
fn closing() -> DataFusionError {
    failure(LakeError::Closed.to_string())
}

/// What a block's sender put into it can't be understood. That is for whoever asks: it will not be better next time, and
/// a query that leaves the block out is answered.
fn damaged(function: &str, block_id: Uuid, why: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(format!("{function}: block '{block_id}' is damaged: {why}"))
}

/// The payload of a block, for the function of that name. Where in the store it lies is for the log, not for callers.
async fn payload(
    context: &QueryContext,
    function: &str,
    block: &BlockRecord,
) -> Result<Bytes, DataFusionError> {
    let block_id = block.info.block_id;
    let payload = context.connection().payload(block).await.map_err(|e| {
        tracing::error!(%block_id, object = block.object_key, "the payload of a block can't be read: {e}");
        let why = match e {
            LakeError::Corrupt(_) | LakeError::Missing(_) => "was deleted or is damaged",
            _ => "can't be read at the moment, try again",
        };
        // the lake took it, and so the lake must have it: whoever asks for it makes no mistake
        failure(format!("{function}: the payload of block '{block_id}' {why}"))
    })?;
    context.report().add_block(payload.len() as u64);
    Ok(payload)
}
