//! From a stream's blocks, one after the other, to rows: for what begins in one block and ends in another.
//!
//! A stateful decoder reads the blocks of a stream in the order of their events and carries a state from each to the
//! next. Core keeps the state with the partitions that it makes, so that decoding can go on behind them. Where a block is
//! missing or can't be read, decoding is interrupted: what is open there will never be complete, and what follows begins
//! anew.

use super::{BlockReader, DecodeError, DecodeOptions, Decoded, Rows, RowsOf};
use crate::block_source::{BlockSource, Decoder};
use crate::view_set::ViewSet;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use belvedere_model::BlockRecord;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// Turns the blocks of a stream, in the order of their events, into rows of one view set.
pub trait StatefulDecoder: Debug + Send + Sync {
    /// What is carried from one block to the next. Small: it is copied at each block, and stored with partitions.
    type State: Default + Clone + Debug + Send + Serialize + DeserializeOwned + 'static;

    /// Reads all events of the next block, and puts the columns of the rows that it completes into `rows`. Returns
    /// the number of rows. After an error the state is what it was before.
    fn decode(
        &self,
        block: &BlockReader<'_>,
        state: &mut Self::State,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError>;

    /// The rows of what is still open. `is_final` tells that it stays so, because the block that should follow is
    /// missing; otherwise it may become complete with the next block that arrives.
    fn open(&self, state: &Self::State, is_final: bool, rows: &mut Rows<'_>) -> Result<usize, DecodeError>;
}

/// A state whose type only its decoder knows.
pub trait DecoderState: Debug + Send {
    #[doc(hidden)]
    fn as_any(&self) -> &dyn Any;
    #[doc(hidden)]
    fn as_any_mut(&mut self) -> &mut dyn Any;
    #[doc(hidden)]
    fn copy(&self) -> Box<dyn DecoderState>;
    #[doc(hidden)]
    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error>;
}

impl<T: Clone + Debug + Send + Serialize + 'static> DecoderState for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn copy(&self) -> Box<dyn DecoderState> {
        Box::new(self.clone())
    }

    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }
}

/// A [`StatefulDecoder`] of any state: what registrations carry. Implemented for all of them.
pub trait AnyStatefulDecoder: Debug + Send + Sync {
    #[doc(hidden)]
    fn state(&self, saved: Option<serde_json::Value>) -> Result<Box<dyn DecoderState>, serde_json::Error>;
    #[doc(hidden)]
    fn decode(
        &self,
        block: &BlockReader<'_>,
        state: &mut dyn DecoderState,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError>;
    #[doc(hidden)]
    fn open(
        &self,
        state: &dyn DecoderState,
        is_final: bool,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError>;
}

fn not_ours() -> DecodeError {
    DecodeError::mistake("the state is not that of the decoder")
}

impl<T: StatefulDecoder> AnyStatefulDecoder for T {
    fn state(&self, saved: Option<serde_json::Value>) -> Result<Box<dyn DecoderState>, serde_json::Error> {
        Ok(match saved {
            Some(saved) => Box::new(serde_json::from_value::<T::State>(saved)?),
            None => Box::<T::State>::default(),
        })
    }

    fn decode(
        &self,
        block: &BlockReader<'_>,
        state: &mut dyn DecoderState,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError> {
        let state = state.as_any_mut().downcast_mut().ok_or_else(not_ours)?;
        StatefulDecoder::decode(self, block, state, rows)
    }

    fn open(
        &self,
        state: &dyn DecoderState,
        is_final: bool,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError> {
        let state = state.as_any().downcast_ref().ok_or_else(not_ours)?;
        StatefulDecoder::open(self, state, is_final, rows)
    }
}

/// What is stored of a decoder that is under way. Lakes keep it: its JSON is an on-disk format.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// Number of the event that the next block begins with, if it is to follow.
    next: Option<i64>,
    state: serde_json::Value,
}

/// Decodes the blocks of one stream, one after the other. Plain code: it runs on a thread that may be busy.
#[derive(Debug)]
pub struct StreamDecoder {
    target: StreamTarget,
    decoder: &'static dyn AnyStatefulDecoder,
    process: Arc<ProcessInfo>,
    stream: Arc<StreamInfo>,
    state: Box<dyn DecoderState>,
    next: Option<i64>,
}

/// What the blocks of streams are decoded into.
#[derive(Debug, Clone)]
pub struct StreamTarget {
    view_set: &'static ViewSet,
    sources: Arc<[BlockSource]>,
    projection: Vec<usize>,
    schema: SchemaRef,
    options: DecodeOptions,
}

impl StreamTarget {
    /// Rows of a view set out of blocks that one of `sources` understands: the columns `projection`, positions in the
    /// view set's columns, which `schema` has in the engine's types.
    pub fn new(
        view_set: &'static ViewSet,
        sources: Arc<[BlockSource]>,
        projection: Vec<usize>,
        schema: SchemaRef,
        options: DecodeOptions,
    ) -> Self {
        Self { view_set, sources, projection, schema, options }
    }

    /// View set of the rows.
    pub fn view_set(&self) -> &'static ViewSet {
        self.view_set
    }

    /// The wanted columns, in the engine's types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(self.view_set.columns, &self.projection, self.options.block_bytes())
    }
}

impl Clone for StreamDecoder {
    fn clone(&self) -> Self {
        Self {
            target: self.target.clone(),
            decoder: self.decoder,
            process: self.process.clone(),
            stream: self.stream.clone(),
            state: self.state.copy(),
            next: self.next,
        }
    }
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream, or where one was saved. `None` if nothing decodes such streams along
    /// their blocks.
    pub fn new(
        target: StreamTarget,
        process: Arc<ProcessInfo>,
        stream: Arc<StreamInfo>,
        saved: Option<&[u8]>,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(source) = BlockSource::for_stream(&target.sources, &stream) else { return Ok(None) };
        let Decoder::Stateful(decoder) = source.decoder else { return Ok(None) };
        let unreadable =
            |e: serde_json::Error| DecodeError::mistake(format!("a saved state can't be read: {e}"));
        let (next, state) = match saved {
            Some(saved) => {
                let saved: Saved = serde_json::from_slice(saved).map_err(unreadable)?;
                (saved.next, decoder.state(Some(saved.state)).map_err(unreadable)?)
            }
            None => (None, decoder.state(None).map_err(unreadable)?),
        };
        Ok(Some(Self { target, decoder, process, stream, state, next }))
    }

    /// What is needed to go on from here.
    pub fn save(&self) -> Result<Vec<u8>, DecodeError> {
        let failed = |e: serde_json::Error| DecodeError::mistake(format!("the state can't be saved: {e}"));
        let saved = Saved { next: self.next, state: self.state.to_json().map_err(failed)? };
        serde_json::to_vec(&saved).map_err(failed)
    }

    /// Reads the next block: the rows that it completes, those before them that will never be complete because it
    /// does not follow the one before, and why it can't be read.
    pub fn step(
        &mut self,
        record: &BlockRecord,
        payload: Result<Bytes, DecodeError>,
    ) -> (Vec<Decoded>, Option<DecodeError>) {
        let mut decoded = Vec::new();
        if self.next.is_some_and(|next| next != record.info.object_offset) {
            match self.interrupt() {
                Ok(rows) => decoded.push(rows),
                Err(e) => return (decoded, Some(e)),
            }
        }
        let before = self.state.copy();
        let outcome = payload.and_then(|payload| self.read(record, payload));
        match outcome {
            Ok(rows) => {
                decoded.push(rows);
                self.next = Some(record.info.object_offset.saturating_add(record.info.nb_objects.into()));
                (decoded, None)
            }
            Err(e) => {
                self.state = before;
                // as if it were missing: whatever follows does not follow
                match self.interrupt() {
                    Ok(rows) => decoded.push(rows),
                    Err(worse) => return (decoded, Some(worse)),
                }
                (decoded, Some(e))
            }
        }
    }

    fn read(&mut self, record: &BlockRecord, payload: Bytes) -> Result<Decoded, DecodeError> {
        let reader = BlockReader::new(record, payload, &self.target.options);
        let mut rows = self.target.rows();
        let count = self.decoder.decode(&reader, self.state.as_mut(), &mut rows)?;
        self.finish(rows, Some(&record.info), count)
    }

    /// What is open will never be complete: its rows. Decoding begins anew.
    pub fn interrupt(&mut self) -> Result<Decoded, DecodeError> {
        let rows = self.rows_of_open(true);
        self.next = None;
        self.state = self
            .decoder
            .state(None)
            .map_err(|e| DecodeError::mistake(format!("a state can't be begun: {e}")))?;
        rows
    }

    /// The rows of what is still open.
    pub fn open(&self) -> Result<RecordBatch, DecodeError> {
        self.rows_of_open(false).map(Decoded::into_rows)
    }

    fn rows_of_open(&self, is_final: bool) -> Result<Decoded, DecodeError> {
        let mut rows = self.target.rows();
        let count = self.decoder.open(self.state.as_ref(), is_final, &mut rows)?;
        self.finish(rows, None, count)
    }

    fn finish(
        &self,
        rows: Rows<'_>,
        block: Option<&BlockInfo>,
        count: usize,
    ) -> Result<Decoded, DecodeError> {
        let of = RowsOf { process: &self.process, stream: &self.stream, block };
        rows.finish(of, count, self.target.schema.clone())
    }
}
