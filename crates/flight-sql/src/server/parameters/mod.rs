//! Values of parameters as bytes, in a format of our own.
//!
//! They come back in handles, so a client can send any bytes here. Decoding must never allocate more than a constant times
//! the size of its input, which Arrow's IPC format can't promise. Types and values are separate: a type costs more memory
//! than it has bytes, so types have a smaller limit.

mod columns;
mod values;

use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::datafusion::common::ScalarValue;
use bytes::Bytes;
use columns::Column;
use prost::Message;
use tonic::Status;
use values::Value;

/// Size of the values of one statement: they are sent with each use of its handle.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// Size of their names and types.
const MAX_TYPE_BYTES: usize = 256 << 10;

/// The one row of values that a statement runs with.
#[derive(Clone, PartialEq, Message)]
struct Row {
    /// [`Columns`].
    #[prost(bytes = "bytes", tag = "1")]
    columns: Bytes,
    /// [`Values`], as many.
    #[prost(bytes = "bytes", tag = "2")]
    values: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Columns {
    #[prost(message, repeated, tag = "1")]
    columns: Vec<Column>,
}

/// Several values: those of a row, the items of a list, the fields of a struct.
#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

/// Encodes a row.
pub(super) fn write(row: &RecordBatch) -> Result<Bytes, Status> {
    let unsupported = |e: String| Status::unimplemented(format!("the parameters can't be bound: {e}"));
    let columns: Result<_, String> =
        row.schema().fields().iter().map(|field| Column::from_field(field)).collect();
    let columns = Columns { columns: columns.map_err(unsupported)? }.encode_to_vec();
    let values: Result<_, String> =
        row.columns().iter().map(|column| Value::from_array(column.as_ref(), 0)).collect();
    let values = Values { values: values.map_err(unsupported)? }.encode_to_vec();
    for (name, length, most) in
        [("values", values.len(), MAX_VALUE_BYTES), ("types", columns.len(), MAX_TYPE_BYTES)]
    {
        if length > most {
            return Err(Status::resource_exhausted(format!(
                "the {name} of the parameters have {length} bytes, at most {most} are allowed: shorten them"
            )));
        }
    }
    let bytes: Bytes = Row { columns: columns.into(), values: values.into() }.encode_to_vec().into();
    // a value that can't be read back must fail at binding, not at execution
    read(&bytes).map_err(unsupported)?;
    Ok(bytes)
}

/// Decodes a row: names and values.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(String, ScalarValue)>, String> {
    let broken = |e: prost::DecodeError| e.to_string();
    if bytes.len() > MAX_VALUE_BYTES + MAX_TYPE_BYTES + 64 {
        return Err(format!("they have {} bytes, which is more than a server gives", bytes.len()));
    }
    let row = Row::decode(bytes).map_err(broken)?;
    if row.columns.len() > MAX_TYPE_BYTES || row.values.len() > MAX_VALUE_BYTES {
        return Err("they are larger than a server makes them".to_owned());
    }
    let columns = Columns::decode(row.columns).map_err(broken)?.columns;
    let values = Values::decode(row.values).map_err(broken)?.values;
    if columns.len() != values.len() {
        return Err(format!("there are {} types and {} values", columns.len(), values.len()));
    }
    let mut left = MAX_VALUE_BYTES;
    let named = columns.iter().zip(&values).map(|(column, value)| {
        let field = column.field()?;
        let array = values::array(field.data_type(), &[value.content()], &mut left)?;
        let scalar = ScalarValue::try_from_array(&array, 0).map_err(|e| e.to_string())?;
        Ok((field.name().trim_start_matches('$').to_owned(), scalar))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_core::arrow::array::{
        Array, ArrayRef, BooleanArray, Int64Array, ListArray, NullArray, StringArray, StructArray,
        new_null_array,
    };
    use belvedere_core::arrow::buffer::OffsetBuffer;
    use belvedere_core::arrow::compute::cast;
    use belvedere_core::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
    use proptest::prelude::*;
    use std::sync::Arc;
    use tonic::Code;

    fn types() -> Vec<DataType> {
        use DataType::*;
        let item = |t: DataType| Arc::new(Field::new("item", t, true));
        let zone = || Some("+02:00".into());
        let pair = [("key", Utf8), ("value", Utf8)].map(|(name, t)| Field::new(name, t, true));
        vec![
            Null,
            Boolean,
            Int8,
            Int16,
            Int32,
            Int64,
            UInt8,
            UInt16,
            UInt32,
            UInt64,
            Float16,
            Float32,
            Float64,
            Utf8,
            LargeUtf8,
            Utf8View,
            Binary,
            LargeBinary,
            BinaryView,
            FixedSizeBinary(1),
            Date32,
            Date64,
            Time32(TimeUnit::Second),
            Time64(TimeUnit::Nanosecond),
            Timestamp(TimeUnit::Nanosecond, None),
            Timestamp(TimeUnit::Second, zone()),
            Duration(TimeUnit::Millisecond),
            Interval(IntervalUnit::MonthDayNano),
            Decimal32(9, 2),
            Decimal64(18, 3),
            Decimal128(20, 2),
            Decimal256(50, -4),
            Dictionary(Box::new(Int32), Box::new(Utf8)),
            List(item(Utf8)),
            LargeList(item(Int64)),
            List(item(Struct(pair.to_vec().into()))),
        ]
    }

    /// A value of that type: not NULL where a cast can make one.
    fn value(data_type: &DataType) -> ArrayRef {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        let casts = [number, flag, text].map(|from| cast(&from, data_type).ok());
        let made = casts.into_iter().flatten().find(|array| array.null_count() == 0);
        made.unwrap_or_else(|| new_null_array(data_type, 1))
    }

    fn row() -> RecordBatch {
        let columns = types().into_iter().enumerate().map(|(i, t)| (format!("${i}"), value(&t), true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn values_of_every_type_and_nulls_are_read_as_they_were_written() {
        for t in types() {
            for array in [value(&t), new_null_array(&t, 1)] {
                let row = RecordBatch::try_from_iter_with_nullable([("$a", array.clone(), true)]).unwrap();
                let expected = ScalarValue::try_from_array(&array, 0).unwrap();
                let values = read(&write(&row).unwrap()).unwrap();
                assert_eq!(values, [("a".to_owned(), expected)], "{t}");
            }
        }
    }

    #[test]
    fn lists_of_structs_are_read_as_they_were_written() {
        let texts = |texts: [Option<&str>; 2]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        let pairs = StructArray::from(vec![
            (field("key"), texts([Some("shift"), Some("crew")])),
            (field("value"), texts([Some("night"), None])),
        ]);
        let item = Arc::new(Field::new("item", pairs.data_type().clone(), true));
        let list = ListArray::new(item, OffsetBuffer::from_lengths([2]), Arc::new(pairs), None);
        let row = RecordBatch::try_from_iter([("a", Arc::new(list.clone()) as ArrayRef)]).unwrap();
        let expected = ScalarValue::try_from_array(&list, 0).unwrap();
        assert_eq!(read(&write(&row).unwrap()).unwrap(), [("a".to_owned(), expected)]);
    }

    #[test]
    fn a_type_that_is_not_supported_is_named() {
        let fields = Arc::new(Field::new("item", DataType::Int8, true));
        let array = new_null_array(&DataType::FixedSizeList(fields, 3), 1);
        let row = RecordBatch::try_from_iter_with_nullable([("$a", array, true)]).unwrap();
        let refused = write(&row).unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        assert!(refused.message().contains("FixedSizeList"), "{}", refused.message());
    }

    #[test]
    fn few_bytes_do_not_become_many_values() {
        // a struct of many fields, NULL many times: each of them would be a column as long
        let field = |i: usize| Field::new(format!("{i}"), DataType::Null, true);
        let wide = DataType::Struct((0..2000).map(field).collect());
        let list = DataType::List(Arc::new(Field::new("item", wide, true)));
        let column = Column::from_field(&Field::new("a", list, true)).unwrap();
        let nulls = Values { values: vec![Value::default(); 100_000] };
        let row = Row {
            columns: Columns { columns: vec![column] }.encode_to_vec().into(),
            values: Values { values: vec![Value::from_items(nulls)] }.encode_to_vec().into(),
        };
        let refused = read(&row.encode_to_vec()).unwrap_err();
        assert!(refused.contains("too many"), "{refused}");
    }

    #[test]
    fn no_byte_that_is_changed_or_missing_makes_it_panic() {
        let bytes = write(&row()).unwrap();
        for at in 0..bytes.len() {
            for change in [1, 0x80, 0xff, 0x55] {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= change;
                let _ = read(&bytes);
            }
            let _ = read(&bytes[..at]);
        }
    }

    proptest! {
        #[test]
        fn any_changes_are_values_or_an_error(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = write(&row()).unwrap().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(&bytes);
        }

        #[test]
        fn any_bytes_are_values_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn a_value_of_nothing_is_null() {
        let row =
            RecordBatch::try_from_iter_with_nullable([("$a", Arc::new(NullArray::new(1)) as ArrayRef, true)]);
        assert_eq!(read(&write(&row.unwrap()).unwrap()).unwrap(), [("a".to_owned(), ScalarValue::Null)]);
    }
}
