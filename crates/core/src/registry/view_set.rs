//! Table definitions and the wire formats that feed them.

use super::{Column, EventTime, MakerContext, ViewMaker};
use crate::decode::{AnyChainDecoder, BlockDecoder};
use crate::lake::BlockRecord;
use crate::model::{StreamInfo, TRANSIT_FORMAT};
use arrow::datatypes::{Schema, SchemaRef};
use std::sync::Arc;

/// A named table definition: one schema, many instances. Readable without a lake.
#[derive(Debug)]
pub struct ViewSet {
    /// Name in SQL.
    pub name: &'static str,
    /// What a row is, in one line.
    pub about: &'static str,
    /// The documented schema, in order.
    pub columns: &'static [Column],
    /// Which instances there are.
    pub instances: Instances,
    /// View sets that this one reads.
    pub depends_on: &'static [&'static str],
    /// Where rows come from.
    pub source: Source,
    /// To be raised whenever the same blocks give other rows than before.
    pub version: u32,
    /// A query that shows what the view set is good for.
    pub example: &'static str,
}

/// Which instances a view set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// One table of everything.
    Global,
    /// One table for each process.
    PerProcess,
    /// One table for each stream.
    PerStream,
    /// One table of everything, and one for each process.
    GlobalAndPerProcess,
}

impl Instances {
    /// Whether there is a table of everything.
    pub fn has_global(self) -> bool {
        matches!(self, Self::Global | Self::GlobalAndPerProcess)
    }

    /// Names of the kinds: `global`, `process`, `stream`.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Global => &["global"],
            Self::PerProcess => &["process"],
            Self::PerStream => &["stream"],
            Self::GlobalAndPerProcess => &["global", "process"],
        }
    }
}

/// Where a view set's rows come from.
#[derive(Debug)]
pub enum Source {
    /// From blocks, by this source and all that others register for the view set.
    Blocks(BlockSource),
    /// From the rows of other view sets, kept in partitions of its own.
    Sql(SqlSource),
    /// From the rows of other view sets, by this query, made anew whenever somebody asks. Columns are taken by name.
    /// A view set without a global table reads those of the same process or stream: in the query of instance
    /// `'<stream id>'`, a view set of `depends_on` that has tables of streams is the table of that stream.
    Query(&'static str),
    /// From wherever the maker takes them.
    Maker(fn(MakerContext) -> anyhow::Result<Arc<dyn ViewMaker>>),
}

/// A view set that is SQL over others, kept in parts that SQL puts together.
///
/// Its rows for some blocks are what `extract` gives over the rows that the view sets it depends on have for these
/// blocks. Rows for different blocks may be about the same thing: the minute in which one block ends is the one in
/// which the next begins. `merge` makes one row of them; it runs over the table `partials`, which has the view set's
/// columns, and what it gives must not depend on how the blocks were divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlSource {
    /// The rows of some blocks. Columns are taken by name.
    pub extract: &'static str,
    /// From the table `partials` to the rows that a query sees. Columns are taken by name.
    pub merge: &'static str,
    /// Columns that partitions are sorted by: those that rows are grouped by, the time first.
    pub sort: &'static [&'static str],
}

/// Blocks of one kind, and the decoder that turns them into rows.
#[derive(Debug, Clone, Copy)]
pub struct BlockSource {
    /// Tag that the blocks' streams have.
    pub tag: &'static str,
    /// Format that the blocks' streams have.
    pub format: &'static str,
    /// What makes rows of them.
    pub decoder: Decoder,
}

/// What makes rows of blocks.
#[derive(Debug, Clone, Copy)]
pub enum Decoder {
    /// Each block by itself.
    Block(&'static dyn BlockDecoder),
    /// The blocks of a stream one after the other. All sources of a view set are of one kind.
    Chain(&'static dyn AnyChainDecoder),
}

impl Decoder {
    /// Names of the columns that it fills.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Block(decoder) => decoder.columns(),
            Self::Chain(decoder) => decoder.columns(),
        }
    }
}

impl BlockSource {
    /// Blocks of native clients with that tag, each decoded by itself.
    pub const fn transit(tag: &'static str, decoder: &'static dyn BlockDecoder) -> Self {
        Self { tag, format: TRANSIT_FORMAT, decoder: Decoder::Block(decoder) }
    }

    /// Blocks of native clients with that tag, decoded along their streams.
    pub const fn transit_chain(tag: &'static str, decoder: &'static dyn AnyChainDecoder) -> Self {
        Self { tag, format: TRANSIT_FORMAT, decoder: Decoder::Chain(decoder) }
    }

    /// The first of some sources that understands the blocks of a stream.
    pub(crate) fn for_stream<'a>(sources: &'a [Self], stream: &StreamInfo) -> Option<&'a Self> {
        sources
            .iter()
            .find(|source| source.format == stream.format && stream.tags.iter().any(|t| t == source.tag))
    }

    /// The first of some sources that understands a block by itself, its decoder.
    pub(crate) fn for_block(sources: &[Self], block: &BlockRecord) -> Option<&'static dyn BlockDecoder> {
        match Self::for_stream(sources, &block.stream)?.decoder {
            Decoder::Block(decoder) => Some(decoder),
            Decoder::Chain(_) => None,
        }
    }
}

/// One more block source for a view set, which may be another crate's.
#[derive(Debug)]
pub struct BlockSourceRegistration {
    /// View set that gets the rows.
    pub view_set: &'static str,
    /// Whether a program may be without that view set: the source is left out then.
    pub is_optional: bool,
    /// The blocks and their decoder.
    pub source: BlockSource,
}

impl ViewSet {
    /// The schema that clients and files see.
    pub fn documented_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::documented_field).collect::<Vec<_>>()))
    }

    /// The schema that the engine sees: the same columns, in the types that are quickest to work with.
    pub fn engine_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::engine_field).collect::<Vec<_>>()))
    }

    /// Changes when the columns, the SQL or the version change, and only then: the same on every platform and with
    /// every version of Arrow. 16 bytes.
    pub fn schema_hash(&self) -> Vec<u8> {
        let mut text = format!("{}\n{}\n", self.name, self.version);
        for column in self.columns {
            let nullable = if column.nullable { " NULL" } else { "" };
            text.push_str(&format!("{} {}{nullable}\n", column.name, column.column_type.to_text()));
        }
        if let Source::Sql(sql) = &self.source {
            text.push_str(&format!("{}\n{}\n{}\n", sql.extract, sql.merge, sql.sort.join(",")));
        }
        if let Source::Query(sql) = &self.source {
            text.push_str(sql);
        }
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).as_bytes().to_vec()
    }

    /// Names of the columns with the bounds of a row's event: the same one twice for an instant.
    pub fn event_time_columns(&self) -> Option<(&'static str, &'static str)> {
        let find = |what| self.columns.iter().find(|c| c.event_time == what).map(|c| c.name);
        match find(EventTime::Instant) {
            Some(name) => Some((name, name)),
            None => Some((find(EventTime::Begin)?, find(EventTime::End)?)),
        }
    }
}
