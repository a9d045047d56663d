//! `get_payload(process_id, stream_id, block_id)`

use super::{closing, damaged, payload};
use crate::error::Error;
use crate::query::Argument;
use crate::query::QueryContext;
use arrow::array::{Array, AsArray, BinaryArray};
use arrow::datatypes::DataType;
use async_trait::async_trait;
use belvedere_lake::BlockFilter;
use belvedere_model::BlockRecord;
use belvedere_model::TRANSIT_FORMAT;
use belvedere_model::wire::PayloadParts;
use belvedere_view::decoder::{BlockReader, DecodeOptions};
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

/// Payloads that are fetched at once.
const IN_FLIGHT: usize = 10;
/// Blocks that the catalog is asked for at once.
const PAGE: usize = 500;
const KINDS: [&str; 3] = ["process", "stream", "block"];

pub(super) fn get_payload(context: QueryContext) -> ScalarUDF {
    AsyncScalarUDF::new(Arc::new(GetPayload { context, signature: Signature::any(3, Volatility::Volatile) }))
        .into_scalar_udf()
}

#[derive(Debug)]
struct GetPayload {
    context: QueryContext,
    signature: Signature,
}

// within one query there is one of it
impl PartialEq for GetPayload {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for GetPayload {}

impl Hash for GetPayload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl ScalarUDFImpl for GetPayload {
    fn name(&self) -> &str {
        "get_payload"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.iter().zip(KINDS).find(|(found, _)| !Argument::is_text(found)) {
            Some((found, kind)) => Err(DataFusionError::Plan(format!(
                "get_payload: the {kind} id must be a string, not {found}"
            ))),
            None => Ok(DataType::Binary),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("get_payload can only run asynchronously".to_owned()))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for GetPayload {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = Argument::texts(&args)?;
        let mut wanted = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            wanted.push(ids(&columns, row)?);
        }
        let blocks = self.blocks(&wanted).await?;
        let memory = MemoryConsumer::new("get_payload").register(&self.context.runtime().memory_pool);
        let payloads: Vec<Option<Bytes>> = stream::iter(wanted)
            .map(|ids| {
                let (blocks, memory) = (&blocks, &memory);
                async move {
                    match ids {
                        Some(ids) => self.payload(found(blocks, ids)?, memory).await.map(Some),
                        None => Ok(None),
                    }
                }
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let bytes = payloads.iter().flatten().map(Bytes::len).fold(0, usize::saturating_add);
        if bytes > i32::MAX as usize {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "get_payload: {} payloads have {bytes} bytes together; request fewer at once",
                payloads.len()
            )));
        }
        Ok(ColumnarValue::Array(Arc::new(BinaryArray::from_iter(payloads))))
    }
}

/// The ids in a row; `None` if one of them is NULL.
fn ids(columns: &[arrow::array::ArrayRef], row: usize) -> Result<Option<[Uuid; 3]>> {
    let mut ids = [Uuid::nil(); 3];
    if columns.len() != ids.len() {
        return Err(DataFusionError::Internal("get_payload takes three ids".to_owned()));
    }
    for ((id, column), kind) in ids.iter_mut().zip(columns).zip(KINDS) {
        if column.is_null(row) {
            return Ok(None);
        }
        let text = column.as_string::<i32>().value(row);
        *id = Uuid::try_parse(text).map_err(|_| {
            DataFusionError::Execution(format!("get_payload: '{text}' is not a valid {kind} id"))
        })?;
    }
    Ok(Some(ids))
}

/// The block of these ids.
fn found(
    blocks: &HashMap<Uuid, BlockRecord>,
    [process_id, stream_id, block_id]: [Uuid; 3],
) -> Result<&BlockRecord> {
    let is_it =
        |block: &&BlockRecord| (block.info.process_id, block.info.stream_id) == (process_id, stream_id);
    blocks.get(&block_id).filter(is_it).ok_or_else(|| {
        DataFusionError::Execution(format!(
            "get_payload: block '{block_id}' of stream '{stream_id}' of process '{process_id}' not found or not accessible"
        ))
    })
}

impl GetPayload {
    /// The blocks that are wanted, as far as there are any, by their ids.
    async fn blocks(&self, wanted: &[Option<[Uuid; 3]>]) -> Result<HashMap<Uuid, BlockRecord>> {
        let mut block_ids: Vec<Uuid> = wanted.iter().flatten().map(|[_, _, block_id]| *block_id).collect();
        block_ids.sort_unstable();
        block_ids.dedup();
        let seqs = self.context.visible().await.map_err(Error::from)?;
        let mut blocks = HashMap::new();
        for page in block_ids.chunks(PAGE) {
            let filter = BlockFilter { block_ids: Some(page.to_vec()), seqs, ..BlockFilter::default() };
            let found = self.context.connection().catalog().blocks(&filter, 0, PAGE as u32).await;
            blocks.extend(found.map_err(Error::from)?.into_iter().map(|block| (block.info.block_id, block)));
        }
        Ok(blocks)
    }

    async fn payload(&self, block: &BlockRecord, memory: &MemoryReservation) -> Result<Bytes> {
        // as it is fetched, and in the column
        memory.try_grow(usize::try_from(block.info.payload_size).unwrap_or(0).saturating_mul(2))?;
        let stored = payload(&self.context, "get_payload", block).await?;
        if block.stream.format == TRANSIT_FORMAT {
            return Ok(stored);
        }
        let options = self.context.decode_options().clone();
        let block = block.clone();
        let sent = tokio::task::spawn_blocking(move || expanded(&block, stored, &options));
        let sent = sent.await.map_err(|_| closing())??;
        memory.try_grow(sent.len().saturating_mul(2))?;
        Ok(sent)
    }
}

/// The payload of a protocol that does not compress by itself: only the lake does.
fn expanded(block: &BlockRecord, stored: Bytes, options: &DecodeOptions) -> Result<Bytes> {
    let damaged = |e| damaged("get_payload", block.info.block_id, e);
    let reader = BlockReader::new(block, stored, options);
    let objects = reader.objects().map_err(damaged)?;
    let parts = reader.payload().map_err(damaged)?;
    let sent = PayloadParts { dependencies: parts.dependencies, objects: objects.into() };
    Ok(sent.encode().into())
}
