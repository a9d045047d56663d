//! What the values of a column are: their unit, and the part that the column has in a row. Pages, charts and clients go
//! by these, so that nothing has to know a column by its name.

use std::fmt;

/// What the numbers of a column count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Bits.
    Bits,
    /// Hundredths.
    Percent,
    /// Things of a kind, such as messages or events.
    Count,
    /// Cycles in a second.
    Hertz,
}

impl Unit {
    /// The unit as `list_columns()` and the metadata of Arrow fields have it: `ns`, `ms`, `bytes`, `bits`, `percent`,
    /// `count`, `hertz`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
            Self::Bits => "bits",
            Self::Percent => "percent",
            Self::Count => "count",
            Self::Hertz => "hertz",
        }
    }
}

/// The part that a column has in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// How grave it is: 1 is the first of these names, and the gravest.
    Severity(&'static [&'static str]),
    /// What is said, for people.
    Message,
    /// What the row is about, with few distinct values: the name of a function or of a metric.
    Name,
    /// A wider name than [`Role::Name`]: the part of the program.
    Group,
    /// The unit of the row's value, as text.
    UnitOfValue,
    /// How many spans enclose it.
    Depth,
    /// Identifies a trace.
    TraceId,
    /// Identifies a span within its trace, stream or process.
    SpanId,
    /// [`Role::SpanId`] of the enclosing span.
    ParentSpanId,
    /// The media type of the content, or the last part of one.
    MediaType,
    /// Bytes that a program can show, such as a picture.
    Content,
    /// The id of a process.
    Process,
    /// The id of a stream.
    Stream,
    /// The id of a block.
    Block,
}

/// As `list_columns()` and the metadata of Arrow fields have it: `message`, or `severity(fatal,error)`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Severity(names) => return write!(f, "severity({})", names.join(",")),
            Self::Message => "message",
            Self::Name => "name",
            Self::Group => "group",
            Self::UnitOfValue => "unit",
            Self::Depth => "depth",
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
            Self::ParentSpanId => "parent_span_id",
            Self::MediaType => "media_type",
            Self::Content => "content",
            Self::Process => "process",
            Self::Stream => "stream",
            Self::Block => "block",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, ColumnType, DOCUMENTED_TYPE, ROLE, UNIT};

    #[test]
    fn the_fields_of_the_engine_carry_what_a_column_means() {
        const LEVEL: Column =
            Column::int32("level", "how grave").role(Role::Severity(&["fatal", "error"])).unit(Unit::Count);
        let field = LEVEL.engine_field();
        assert_eq!(field.metadata()[ROLE], "severity(fatal,error)");
        assert_eq!(field.metadata()[UNIT], "count");
        // what is kept in files and compared stays as it was
        assert!(LEVEL.documented_field().metadata().is_empty());
        let plain = Column::new("x", "y", ColumnType::Int32).engine_field();
        assert!(plain.metadata().is_empty());
        assert_eq!(Column::process_id().engine_field().metadata()[ROLE], "process");
        assert!(Column::process_id().engine_field().metadata().contains_key(DOCUMENTED_TYPE));
    }
}
