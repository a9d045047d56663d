//! Names and types of parameters.

use belvedere_core::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use prost::Message;
use std::sync::Arc;

/// Types without parameters. Their indexes are in handles, so a new type must be appended.
const PLAIN: &[DataType] = &[
    DataType::Null,
    DataType::Boolean,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float16,
    DataType::Float32,
    DataType::Float64,
    DataType::Utf8,
    DataType::LargeUtf8,
    DataType::Utf8View,
    DataType::Binary,
    DataType::LargeBinary,
    DataType::BinaryView,
    DataType::Date32,
    DataType::Date64,
    DataType::Time32(TimeUnit::Second),
    DataType::Time32(TimeUnit::Millisecond),
    DataType::Time64(TimeUnit::Microsecond),
    DataType::Time64(TimeUnit::Nanosecond),
    DataType::Duration(TimeUnit::Second),
    DataType::Duration(TimeUnit::Millisecond),
    DataType::Duration(TimeUnit::Microsecond),
    DataType::Duration(TimeUnit::Nanosecond),
    DataType::Interval(IntervalUnit::YearMonth),
    DataType::Interval(IntervalUnit::DayTime),
    DataType::Interval(IntervalUnit::MonthDayNano),
];

// types with parameters have numbers far above those indexes
const FIXED_SIZE_BINARY: u32 = 1000;
const DECIMAL_32: u32 = 1001;
const DECIMAL_64: u32 = 1002;
const DECIMAL_128: u32 = 1003;
const DECIMAL_256: u32 = 1004;
const TIMESTAMP_S: u32 = 1005;
const TIMESTAMP_MS: u32 = 1006;
const TIMESTAMP_US: u32 = 1007;
const TIMESTAMP_NS: u32 = 1008;
const DICTIONARY: u32 = 1009;
const LIST: u32 = 1010;
const LARGE_LIST: u32 = 1011;
const STRUCT: u32 = 1012;

/// A column: a parameter, or what is nested in one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Column {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    is_nullable: bool,
    #[prost(uint32, tag = "3")]
    kind: u32,
    /// Bytes of a value, or digits of a decimal.
    #[prost(sint32, tag = "4")]
    width: i32,
    /// Those of them after the point.
    #[prost(sint32, tag = "5")]
    scale: i32,
    #[prost(string, optional, tag = "6")]
    zone: Option<String>,
    #[prost(message, repeated, tag = "7")]
    children: Vec<Column>,
}

impl Column {
    /// Encodes a field.
    pub(super) fn from_field(field: &Field) -> Result<Self, String> {
        let mut column =
            Self { name: field.name().clone(), is_nullable: field.is_nullable(), ..Self::default() };
        let decimal = |precision: &u8, scale: &i8| (i32::from(*precision), i32::from(*scale));
        let unnamed = |data_type: &DataType| Self::from_field(&Field::new("", data_type.clone(), true));
        column.kind = match field.data_type() {
            DataType::FixedSizeBinary(width) => {
                column.width = *width;
                FIXED_SIZE_BINARY
            }
            DataType::Decimal32(precision, scale) => {
                (column.width, column.scale) = decimal(precision, scale);
                DECIMAL_32
            }
            DataType::Decimal64(precision, scale) => {
                (column.width, column.scale) = decimal(precision, scale);
                DECIMAL_64
            }
            DataType::Decimal128(precision, scale) => {
                (column.width, column.scale) = decimal(precision, scale);
                DECIMAL_128
            }
            DataType::Decimal256(precision, scale) => {
                (column.width, column.scale) = decimal(precision, scale);
                DECIMAL_256
            }
            DataType::Timestamp(unit, zone) => {
                column.zone = zone.as_ref().map(|zone| zone.to_string());
                match unit {
                    TimeUnit::Second => TIMESTAMP_S,
                    TimeUnit::Millisecond => TIMESTAMP_MS,
                    TimeUnit::Microsecond => TIMESTAMP_US,
                    TimeUnit::Nanosecond => TIMESTAMP_NS,
                }
            }
            DataType::Dictionary(key, value) => {
                column.children = vec![unnamed(key)?, unnamed(value)?];
                DICTIONARY
            }
            DataType::List(item) => {
                column.children = vec![Self::from_field(item)?];
                LIST
            }
            DataType::LargeList(item) => {
                column.children = vec![Self::from_field(item)?];
                LARGE_LIST
            }
            DataType::Struct(fields) => {
                column.children =
                    fields.iter().map(|field| Self::from_field(field)).collect::<Result<_, _>>()?;
                STRUCT
            }
            other => {
                let place = PLAIN.iter().position(|plain| plain == other);
                place.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| {
                    format!("the type {other} of '{}' is not supported for parameters", field.name())
                })?
            }
        };
        Ok(column)
    }

    /// Decodes the field.
    pub(super) fn field(&self) -> Result<Field, String> {
        let unknown = || format!("the type of '{}' is not one that there is", self.name);
        let zone = || self.zone.as_deref().map(Arc::from);
        let decimal = |most: u8| {
            let (precision, scale) = (u8::try_from(self.width).ok()?, i8::try_from(self.scale).ok()?);
            let digits = i32::from(precision);
            let is_there = (1..=most).contains(&precision) && (-digits..=digits).contains(&self.scale);
            is_there.then_some((precision, scale))
        };
        let child = || match self.children.as_slice() {
            [child] => child.field(),
            _ => Err(unknown()),
        };
        let data_type = match self.kind {
            FIXED_SIZE_BINARY if self.width >= 0 => DataType::FixedSizeBinary(self.width),
            DECIMAL_32 => decimal(9).map(|(p, s)| DataType::Decimal32(p, s)).ok_or_else(unknown)?,
            DECIMAL_64 => decimal(18).map(|(p, s)| DataType::Decimal64(p, s)).ok_or_else(unknown)?,
            DECIMAL_128 => decimal(38).map(|(p, s)| DataType::Decimal128(p, s)).ok_or_else(unknown)?,
            DECIMAL_256 => decimal(76).map(|(p, s)| DataType::Decimal256(p, s)).ok_or_else(unknown)?,
            TIMESTAMP_S => DataType::Timestamp(TimeUnit::Second, zone()),
            TIMESTAMP_MS => DataType::Timestamp(TimeUnit::Millisecond, zone()),
            TIMESTAMP_US => DataType::Timestamp(TimeUnit::Microsecond, zone()),
            TIMESTAMP_NS => DataType::Timestamp(TimeUnit::Nanosecond, zone()),
            DICTIONARY => {
                let [key, value] = self.children.as_slice() else { return Err(unknown()) };
                let (key, value) = (key.field()?, value.field()?);
                if !key.data_type().is_dictionary_key_type() {
                    return Err(unknown());
                }
                DataType::Dictionary(Box::new(key.data_type().clone()), Box::new(value.data_type().clone()))
            }
            LIST => DataType::List(Arc::new(child()?)),
            LARGE_LIST => DataType::LargeList(Arc::new(child()?)),
            STRUCT => DataType::Struct(self.children.iter().map(Self::field).collect::<Result<_, _>>()?),
            plain => {
                let place = usize::try_from(plain).ok();
                place.and_then(|place| PLAIN.get(place)).cloned().ok_or_else(unknown)?
            }
        };
        Ok(Field::new(&self.name, data_type, self.is_nullable))
    }
}
