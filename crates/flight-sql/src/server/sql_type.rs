//! What SQL calls the types of columns, and what drivers want to know of them: in the keys of the protocol, which JDBC reads,
//! and in those that the ADBC drivers in Go fill their `xdbc_…` columns from.

use arrow_flight::sql::XdbcDataType;
use belvedere_core::arrow::datatypes::{DataType, TimeUnit};

/// The type of a column.
pub(super) struct SqlType {
    pub(super) name: String,
    /// The number of the type in ODBC and JDBC, where they have one.
    code: Option<XdbcDataType>,
    /// Digits or bits of a number, characters of a time, bytes of binary values.
    precision: Option<i32>,
    /// Digits behind the point.
    scale: Option<i32>,
    /// What the precision of a number counts: bits or decimal digits.
    radix: Option<i32>,
}

impl SqlType {
    /// What SQL calls a type.
    pub(super) fn of(data_type: &DataType) -> Self {
        use XdbcDataType::{
            XdbcBigint, XdbcBinary, XdbcBit, XdbcDate, XdbcDecimal, XdbcDouble, XdbcInteger, XdbcReal,
            XdbcSmallint, XdbcTimestamp, XdbcTinyint, XdbcVarbinary, XdbcVarchar,
        };
        let new = |name: &str, code| Self {
            name: name.to_owned(),
            code,
            precision: None,
            scale: None,
            radix: None,
        };
        let number =
            |name: &str, code, bits| Self { precision: Some(bits), radix: Some(2), ..new(name, Some(code)) };
        match data_type {
            DataType::Boolean => Self { precision: Some(1), ..new("BOOLEAN", Some(XdbcBit)) },
            DataType::Int8 => number("TINYINT", XdbcTinyint, 8),
            DataType::Int16 => number("SMALLINT", XdbcSmallint, 16),
            DataType::Int32 => number("INTEGER", XdbcInteger, 32),
            DataType::Int64 => number("BIGINT", XdbcBigint, 64),
            // the smallest type that has all values
            DataType::UInt8 => number("TINYINT UNSIGNED", XdbcSmallint, 8),
            DataType::UInt16 => number("SMALLINT UNSIGNED", XdbcInteger, 16),
            DataType::UInt32 => number("INTEGER UNSIGNED", XdbcBigint, 32),
            DataType::UInt64 => number("BIGINT UNSIGNED", XdbcDecimal, 64),
            DataType::Float16 | DataType::Float32 => number("REAL", XdbcReal, 24),
            DataType::Float64 => number("DOUBLE", XdbcDouble, 53),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => Self {
                precision: Some(i32::from(*precision)),
                scale: Some(i32::from(*scale)),
                radix: Some(10),
                ..new("DECIMAL", Some(XdbcDecimal))
            },
            DataType::Date32 | DataType::Date64 => {
                Self { precision: Some(10), ..new("DATE", Some(XdbcDate)) }
            }
            DataType::Timestamp(unit, _) => {
                let digits = match unit {
                    TimeUnit::Second => 0,
                    TimeUnit::Millisecond => 3,
                    TimeUnit::Microsecond => 6,
                    TimeUnit::Nanosecond => 9,
                };
                let precision = Some(20 + digits);
                Self { precision, scale: Some(digits), ..new("TIMESTAMP", Some(XdbcTimestamp)) }
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => new("VARCHAR", Some(XdbcVarchar)),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                new("VARBINARY", Some(XdbcVarbinary))
            }
            DataType::FixedSizeBinary(bytes) => {
                Self { precision: Some(*bytes), ..new("BINARY", Some(XdbcBinary)) }
            }
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                new(&format!("{} ARRAY", Self::of(item.data_type()).name), None)
            }
            DataType::Struct(_) => new("ROW", None),
            DataType::Map(..) => new("MAP", None),
            other => new(&other.to_string().to_uppercase(), None),
        }
    }

    /// Keys and values of the metadata of a column of this type.
    pub(super) fn metadata(&self, is_nullable: bool) -> Vec<(String, String)> {
        let is = |yes: bool| if yes { "1" } else { "0" };
        let flight = [
            ("TYPE_NAME", Some(self.name.clone())),
            ("PRECISION", self.precision.map(|p| p.to_string())),
            ("SCALE", self.scale.map(|s| s.to_string())),
            ("IS_AUTO_INCREMENT", Some(is(false).to_owned())),
            ("IS_CASE_SENSITIVE", Some(is(self.code == Some(XdbcDataType::XdbcVarchar)).to_owned())),
            ("IS_READ_ONLY", Some(is(true).to_owned())),
            ("IS_SEARCHABLE", Some(is(true).to_owned())),
        ];
        let code = self.code.map(|code| (code as i32).to_string());
        let xdbc = [
            ("TYPE_NAME", Some(self.name.clone())),
            ("DATA_TYPE", code.clone()),
            ("SQL_DATA_TYPE", code),
            ("NULLABLE", Some(is(is_nullable).to_owned())),
            ("IS_NULLABLE", Some(if is_nullable { "YES" } else { "NO" }.to_owned())),
            ("PRECISION", self.precision.map(|p| p.to_string())),
            ("SCALE", self.scale.map(|s| s.to_string())),
            ("NUM_PREC_RADIX", self.radix.map(|r| r.to_string())),
        ];
        let flight = flight.into_iter().map(|(key, value)| (format!("ARROW:FLIGHT:SQL:{key}"), value));
        let xdbc = xdbc.into_iter().map(|(key, value)| (format!("XDBC_{key}"), value));
        flight.chain(xdbc).filter_map(|(key, value)| Some((key, value?))).collect()
    }
}
