//! Documented columns.

use crate::meaning::{Role, Unit};
use crate::properties::list_type;
use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// Field metadata that says which type the column has outside of the engine, where that differs.
pub const DOCUMENTED_TYPE: &str = "belvedere.type";
/// Field metadata of columns whose binary values are JSONB.
pub const JSONB: &str = "belvedere.jsonb";
/// Field metadata with the column's [`Unit`], so that the columns of answers have it too.
pub const UNIT: &str = "belvedere.unit";
/// Field metadata with the column's [`Role`].
pub const ROLE: &str = "belvedere.role";

/// One column of a view set's documented schema. It is a value with a name: the list of the view set's columns and the
/// decoder that fills the column both refer to it.
///
/// ```
/// use belvedere_view::prelude::*;
///
/// const TIME: Column = Column::time("time", "when it ticked").event_time();
/// const NUMBER: Column = Column::int64("number", "how many ticks came before");
/// const COLUMNS: &[Column] = &[Column::process_id(), TIME, NUMBER];
///
/// assert_eq!(COLUMNS[2].name, NUMBER.name);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Column {
    /// Name in SQL.
    pub name: &'static str,
    /// What it is, with its unit where it has one.
    pub about: &'static str,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// Who fills it.
    pub origin: Origin,
    /// What it says of the time of the row's event.
    pub event_time: EventTime,
    /// Whether partitions say, by a Bloom filter for each row group, which values are not in them.
    pub has_bloom_filter: bool,
    /// What its numbers count.
    pub unit: Option<Unit>,
    /// The part that it has in a row.
    pub role: Option<Role>,
}

/// The types that columns can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnType {
    /// Text. `Utf8` outside, `Utf8View` inside of the engine.
    Utf8,
    /// Text with few distinct values in a block. `Utf8` outside, a dictionary inside of the engine.
    Label,
    /// `Dictionary(Int32, Utf8)`.
    Dictionary,
    /// `Timestamp(Nanosecond, "+00:00")`.
    Time,
    /// `Int32`.
    Int32,
    /// `Int64`.
    Int64,
    /// `UInt32`.
    UInt32,
    /// `Float64`.
    Float64,
    /// `Boolean`.
    Boolean,
    /// `Binary`.
    Binary,
    /// `FixedSizeBinary` of that many bytes.
    FixedBinary(i32),
    /// `Dictionary(Int32, Binary)` of JSONB values.
    Jsonb,
    /// `List(Utf8)`.
    TextList,
    /// `List(Int64)`.
    Int64List,
    /// `List(Float64)`.
    Float64List,
    /// `List(Struct(key: Utf8, value: Utf8))`.
    PropertyList,
}

/// Who fills a column of a view set that is decoded from blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The decoder.
    Decoder,
    /// Core: id of the block's process. Queries for one process read only its blocks.
    ProcessId,
    /// Core: id of the block's stream. Queries for one stream read only its blocks.
    StreamId,
    /// Core: id of the block. Queries for one block read only that.
    BlockId,
    /// Core: when the block was received.
    InsertTime,
    /// Core: executable of the process.
    Exe,
    /// Core: user of the process.
    Username,
    /// Core: machine of the process.
    Computer,
    /// Core: properties of the process.
    ProcessProperties,
}

/// What a time column says of the row's event: what a query's time range is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventTime {
    /// Nothing.
    None,
    /// When the event happened.
    Instant,
    /// When it began; another column says when it ended.
    Begin,
    /// When it ended.
    End,
}

impl EventTime {
    /// As `list_columns()` has it: `instant`, `begin`, `end`, or nothing.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Instant => Some("instant"),
            Self::Begin => Some("begin"),
            Self::End => Some("end"),
        }
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $type:ident;)*) => {$(
        $(#[$doc])*
        pub const fn $name(name: &'static str, about: &'static str) -> Self {
            Self::new(name, about, ColumnType::$type)
        }
    )*};
}

macro_rules! block_columns {
    ($($(#[$doc:meta])* $name:ident => $type:ident, $origin:ident, $role:expr, $about:literal;)*) => {$(
        $(#[$doc])*
        pub const fn $name() -> Self {
            let mut column = Self::new(stringify!($name), $about, ColumnType::$type);
            column.origin = Origin::$origin;
            column.role = $role;
            column
        }
    )*};
}

impl Column {
    /// A column of any type.
    ///
    /// # Panics
    /// If the name or the description is empty: at compile time, for a constant.
    pub const fn new(name: &'static str, about: &'static str, column_type: ColumnType) -> Self {
        assert!(!about.is_empty(), "a column needs a description");
        Self::documented_elsewhere(name, about, column_type)
    }

    /// A column of another crate's view set, which documents it: for decoders that fill it from one more kind of blocks,
    /// see [`BlockSourceRegistration`](crate::BlockSourceRegistration). The type must be the one that it has there.
    ///
    /// # Panics
    /// If the name is empty: at compile time, for a constant.
    pub const fn of_another_crate(name: &'static str, column_type: ColumnType) -> Self {
        Self::documented_elsewhere(name, "", column_type)
    }

    const fn documented_elsewhere(name: &'static str, about: &'static str, column_type: ColumnType) -> Self {
        assert!(!name.is_empty(), "a column needs a name");
        Self {
            name,
            about,
            column_type,
            nullable: false,
            origin: Origin::Decoder,
            event_time: EventTime::None,
            has_bloom_filter: false,
            unit: None,
            role: None,
        }
    }

    constructors! {
        /// See [`ColumnType::Utf8`].
        utf8 => Utf8;
        /// See [`ColumnType::Label`].
        label => Label;
        /// See [`ColumnType::Dictionary`].
        dictionary => Dictionary;
        /// See [`ColumnType::Time`].
        time => Time;
        /// See [`ColumnType::Int32`].
        int32 => Int32;
        /// See [`ColumnType::Int64`].
        int64 => Int64;
        /// See [`ColumnType::UInt32`].
        uint32 => UInt32;
        /// See [`ColumnType::Float64`].
        float64 => Float64;
        /// See [`ColumnType::Boolean`].
        boolean => Boolean;
        /// See [`ColumnType::Binary`].
        binary => Binary;
        /// See [`ColumnType::Jsonb`].
        jsonb => Jsonb;
        /// See [`ColumnType::TextList`].
        text_list => TextList;
        /// See [`ColumnType::Int64List`].
        int64_list => Int64List;
        /// See [`ColumnType::Float64List`].
        float64_list => Float64List;
        /// See [`ColumnType::PropertyList`].
        property_list => PropertyList;
    }

    /// See [`ColumnType::FixedBinary`].
    pub const fn fixed_binary(name: &'static str, bytes: i32, about: &'static str) -> Self {
        assert!(bytes > 0, "a value has at least one byte");
        Self::new(name, about, ColumnType::FixedBinary(bytes))
    }

    block_columns! {
        /// Filled by core: see [`Origin::ProcessId`].
        process_id => Label, ProcessId, Some(Role::Process), "process that the event comes from";
        /// Filled by core: see [`Origin::StreamId`].
        stream_id => Label, StreamId, Some(Role::Stream), "stream that the event comes from";
        /// Filled by core: see [`Origin::BlockId`].
        block_id => Label, BlockId, Some(Role::Block), "block that the event came in";
        /// Filled by core: see [`Origin::InsertTime`].
        insert_time => Time, InsertTime, None, "when the server received the block";
        /// Filled by core: see [`Origin::Exe`].
        exe => Label, Exe, None, "executable of the process";
        /// Filled by core: see [`Origin::Username`].
        username => Label, Username, None, "login name of the user who ran the process";
        /// Filled by core: see [`Origin::Computer`].
        computer => Label, Computer, None, "machine that the process ran on";
        /// Filled by core: see [`Origin::ProcessProperties`].
        process_properties => Jsonb, ProcessProperties, None,
            "properties of the process, a JSONB object; read one with property_get(process_properties, 'name')";
    }

    /// The same column with NULLs.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The same column as [`ColumnType::Dictionary`]: a label that also leaves the engine as a dictionary.
    #[must_use]
    pub const fn as_dictionary(mut self) -> Self {
        assert!(matches!(self.column_type, ColumnType::Label), "only a label is a dictionary inside");
        self.column_type = ColumnType::Dictionary;
        self
    }

    /// The same column, with Bloom filters in partitions: for ids that queries ask for one at a time.
    #[must_use]
    pub const fn bloom_filter(mut self) -> Self {
        self.has_bloom_filter = true;
        self
    }

    /// The same column, with what its numbers count.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// The same column, with the part that it has in a row.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// The same column, said to be when the row's event happened.
    #[must_use]
    pub const fn event_time(mut self) -> Self {
        self.event_time = EventTime::Instant;
        self
    }

    /// The same column, said to be when the row's event began.
    #[must_use]
    pub const fn event_begin(mut self) -> Self {
        self.event_time = EventTime::Begin;
        self
    }

    /// The same column, said to be when the row's event ended.
    #[must_use]
    pub const fn event_end(mut self) -> Self {
        self.event_time = EventTime::End;
        self
    }

    /// The column as clients and files see it.
    #[doc(hidden)]
    pub fn documented_field(&self) -> Field {
        Field::new(self.name, self.column_type.documented(), self.nullable)
    }

    /// The column as the engine has it.
    #[doc(hidden)]
    pub fn engine_field(&self) -> Field {
        let (documented, engine) = (self.column_type.documented(), self.column_type.engine());
        let mut metadata = std::collections::HashMap::new();
        if documented != engine {
            metadata.insert(DOCUMENTED_TYPE.to_owned(), documented.to_string());
        }
        if self.column_type == ColumnType::Jsonb {
            metadata.insert(JSONB.to_owned(), "true".to_owned());
        }
        if let Some(unit) = self.unit {
            metadata.insert(UNIT.to_owned(), unit.name().to_owned());
        }
        if let Some(role) = self.role {
            metadata.insert(ROLE.to_owned(), role.to_string());
        }
        Field::new(self.name, engine, self.nullable).with_metadata(metadata)
    }
}

impl ColumnType {
    /// The Arrow type that clients and files see.
    pub fn documented(self) -> DataType {
        match self {
            Self::Utf8 | Self::Label => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())),
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Binary => DataType::Binary,
            Self::FixedBinary(bytes) => DataType::FixedSizeBinary(bytes),
            Self::Dictionary => dictionary(DataType::Utf8),
            Self::Jsonb => dictionary(DataType::Binary),
            Self::TextList => list(DataType::Utf8),
            Self::Int64List => list(DataType::Int64),
            Self::Float64List => list(DataType::Float64),
            Self::PropertyList => list_type(),
        }
    }

    /// The Arrow type inside of the engine.
    #[doc(hidden)]
    pub fn engine(self) -> DataType {
        match self {
            Self::Utf8 => DataType::Utf8View,
            Self::Label => dictionary(DataType::Utf8),
            other => other.documented(),
        }
    }

    /// The column type that values of an Arrow type become; `None` if there is none.
    #[doc(hidden)]
    pub fn of_engine(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Utf8,
            DataType::Dictionary(_, value) if **value == DataType::Utf8 => Self::Label,
            DataType::Dictionary(_, value) if **value == DataType::Binary => Self::Jsonb,
            DataType::Timestamp(..) => Self::Time,
            DataType::Int8 | DataType::Int16 | DataType::Int32 => Self::Int32,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Self::UInt32,
            DataType::Int64 | DataType::UInt64 => Self::Int64,
            DataType::Float32 | DataType::Float64 => Self::Float64,
            DataType::Boolean => Self::Boolean,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Binary,
            DataType::FixedSizeBinary(bytes) => Self::FixedBinary(*bytes),
            _ => return None,
        })
    }

    /// The documented type as text: `Utf8`, `Timestamp(Nanosecond, "+00:00")`, `List(Utf8)`.
    pub fn to_text(self) -> String {
        text_of(&self.documented())
    }
}

fn text_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(unit, Some(zone)) => format!("Timestamp({unit:?}, \"{zone}\")"),
        DataType::Dictionary(key, value) => format!("Dictionary({}, {})", text_of(key), text_of(value)),
        DataType::List(item) => format!("List({})", text_of(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name(), text_of(f.data_type()))).collect();
            format!("Struct({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn dictionary(value: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(value))
}
