//! Table definitions.

use crate::block_source::BlockSource;
use crate::column::{Column, EventTime};
use arrow_schema::{Schema, SchemaRef};
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
    /// From wherever the maker takes them that some crate registers for the view set: see `belvedere-core`.
    Maker,
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
