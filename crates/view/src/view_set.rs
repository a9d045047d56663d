//! Table definitions.

use crate::block_source::BlockSource;
use crate::column::{Column, EventTime};
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;

/// A named table definition: one schema, many instances. Readable without a lake.
///
/// ```
/// use belvedere_view::prelude::*;
///
/// const LONG_CALLS: ViewSet = ViewSet::new("long_calls")
///     .about("Calls of a thread that took longer than a millisecond")
///     .columns(const { &[Column::utf8("name", "the function"), Column::int64("duration", "nanoseconds that it took")] })
///     .instances(Instances::PerStream)
///     .depends_on(&["calls"])
///     .query("SELECT name, duration FROM calls WHERE duration > 1000000")
///     .example("SELECT * FROM view_instance('long_calls', '<stream id>')");
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
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
#[non_exhaustive]
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
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct SqlSource {
    /// The rows of some blocks. Columns are taken by name.
    pub extract: &'static str,
    /// From the table `partials` to the rows that a query sees. Columns are taken by name.
    pub merge: &'static str,
    /// Columns that partitions are sorted by: those that rows are grouped by, the time first.
    pub sort: &'static [&'static str],
}

impl SqlSource {
    /// What makes the rows of some blocks; [`SqlSource::merge`] and [`SqlSource::sort`] are needed too.
    pub const fn new(extract: &'static str) -> Self {
        Self { extract, merge: "", sort: &[] }
    }

    /// Says how rows of different blocks that are about the same thing become one.
    #[must_use]
    pub const fn merge(mut self, sql: &'static str) -> Self {
        self.merge = sql;
        self
    }

    /// Names the columns that partitions are sorted by.
    #[must_use]
    pub const fn sort(mut self, columns: &'static [&'static str]) -> Self {
        self.sort = columns;
        self
    }
}

impl ViewSet {
    /// A view set of that name, of version 1 and with a global table; the setters say the rest. Without one of
    /// [`ViewSet::blocks`], [`ViewSet::sql`] and [`ViewSet::query`] it comes from a maker.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            about: "",
            columns: &[],
            instances: Instances::Global,
            depends_on: &[],
            source: Source::Maker,
            version: 1,
            example: "",
        }
    }

    /// Says what a row is, in one line without a final period.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Gives the documented schema, in order.
    #[must_use]
    pub const fn columns(mut self, columns: &'static [Column]) -> Self {
        self.columns = columns;
        self
    }

    /// Says which instances there are.
    #[must_use]
    pub const fn instances(mut self, instances: Instances) -> Self {
        self.instances = instances;
        self
    }

    /// Names the view sets that it reads. What is decoded from blocks reads `processes`, `streams` and `blocks`.
    #[must_use]
    pub const fn depends_on(mut self, view_sets: &'static [&'static str]) -> Self {
        self.depends_on = view_sets;
        self
    }

    /// Takes rows from blocks: see [`Source::Blocks`]. The decoder fills every column that core does not fill.
    #[must_use]
    pub const fn blocks(mut self, source: BlockSource) -> Self {
        self.source = Source::Blocks(source);
        self
    }

    /// Takes rows from other view sets, and keeps them: see [`Source::Sql`].
    #[must_use]
    pub const fn sql(mut self, sql: SqlSource) -> Self {
        self.source = Source::Sql(sql);
        self
    }

    /// Takes rows from other view sets whenever somebody asks: see [`Source::Query`].
    #[must_use]
    pub const fn query(mut self, sql: &'static str) -> Self {
        self.source = Source::Query(sql);
        self
    }

    /// Takes rows from wherever the maker takes them that some crate registers: see [`Source::Maker`].
    #[must_use]
    pub const fn made_by_maker(mut self) -> Self {
        self.source = Source::Maker;
        self
    }

    /// Sets the version, which is 1 at first. Raise it whenever the same blocks give other rows than before.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Gives a query that shows what the view set is good for. In it `<process id>` and `<stream id>` stand for ids.
    #[must_use]
    pub const fn example(mut self, sql: &'static str) -> Self {
        self.example = sql;
        self
    }

    /// The same view set if nothing is missing.
    ///
    /// # Panics
    /// At compile time, when it lacks something that documentation needs.
    #[doc(hidden)]
    #[must_use]
    pub const fn complete(self) -> Self {
        assert!(!self.name.is_empty(), "a view set needs a name");
        assert!(!self.about.is_empty(), "a view set needs a description: `.about(…)`");
        assert!(!self.columns.is_empty(), "a view set needs columns: `.columns(…)`");
        assert!(!self.example.is_empty(), "a view set needs an example: `.example(…)`");
        if let Source::Sql(sql) = self.source {
            assert!(!sql.merge.is_empty(), "what is kept in parts needs SQL that merges them: `.merge(…)`");
            assert!(!sql.sort.is_empty(), "what is kept in parts needs columns to sort by: `.sort(…)`");
        }
        let mut i = 0;
        while i < self.columns.len() {
            assert!(!self.columns[i].about.is_empty(), "each column of a view set needs a description");
            i += 1;
        }
        self
    }

    /// The schema that clients and files see.
    pub fn documented_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::documented_field).collect::<Vec<_>>()))
    }

    /// The schema that the engine sees: the same columns, in the types that are quickest to work with.
    #[doc(hidden)]
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
    #[doc(hidden)]
    pub fn event_time_columns(&self) -> Option<(&'static str, &'static str)> {
        let find = |what| self.columns.iter().find(|c| c.event_time == what).map(|c| c.name);
        match find(EventTime::Instant) {
            Some(name) => Some((name, name)),
            None => Some((find(EventTime::Begin)?, find(EventTime::End)?)),
        }
    }
}
