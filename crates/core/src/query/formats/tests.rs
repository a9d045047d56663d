//! A time is the same instant in every format, whatever its unit and zone are, and whatever it stands in.

use super::{Format, RowWriter};
use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, TimeUnit};
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use chrono::{DateTime, Utc};
use std::sync::Arc;

const UNITS: [(TimeUnit, i64); 4] = [
    (TimeUnit::Second, 1),
    (TimeUnit::Millisecond, 1_000),
    (TimeUnit::Microsecond, 1_000_000),
    (TimeUnit::Nanosecond, 1_000_000_000),
];
const ZONES: [Option<&str>; 6] =
    [None, Some("+00:00"), Some("UTC"), Some("+05:45"), Some("Europe/Berlin"), Some("America/New_York")];
/// In summer, in winter, within an hour that a clock shows twice, before 1970.
const SECONDS: [i64; 5] = [0, 1_748_464_000, 1_700_000_000, 1_729_990_800, -1_234_567];

fn written(format: Format, batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RowWriter::new(format, &mut bytes, batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    bytes
}

/// All that looks like a time in a text.
fn instants(text: &str) -> Vec<DateTime<Utc>> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+-:.".contains(c));
    words.filter_map(|word| DateTime::parse_from_rfc3339(word).ok().map(|t| t.to_utc())).collect()
}

/// A column of times, as it is and within others.
fn columns(times: &ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let item = Arc::new(Field::new("item", times.data_type().clone(), true));
    let rows = times.len();
    let one_each = OffsetBuffer::from_lengths(vec![1; rows]);
    let list = ListArray::new(item.clone(), one_each.clone(), times.clone(), None);
    let members = StructArray::from(vec![(item, times.clone())]);
    let keys = Int32Array::from_iter_values(0..rows as i32);
    let dictionary = DictionaryArray::<Int32Type>::new(keys, times.clone());
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"; rows]));
    let fields: Fields =
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", times.data_type().clone(), true)]
            .into();
    let entries = StructArray::new(fields.clone(), vec![texts, times.clone()], None);
    let map = MapArray::new(
        Arc::new(Field::new("entries", DataType::Struct(fields), false)),
        one_each,
        entries,
        None,
        false,
    );
    vec![
        ("plain", times.clone()),
        ("list", Arc::new(list)),
        ("struct", Arc::new(members)),
        ("dictionary", Arc::new(dictionary)),
        ("map", Arc::new(map)),
    ]
}

#[test]
fn a_time_is_the_same_instant_in_every_format_whatever_its_unit_and_zone_are() {
    let expected: Vec<DateTime<Utc>> =
        SECONDS.iter().map(|s| DateTime::from_timestamp(*s, 0).unwrap()).collect();
    for (unit, in_a_second) in UNITS {
        for zone in ZONES {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(SECONDS.map(|s| s * in_a_second)));
            let times = cast(&numbers, &DataType::Timestamp(unit, zone.map(Into::into))).unwrap();
            for (what, column) in columns(&times) {
                let case = format!("{what} of {}", times.data_type());
                let batch = RecordBatch::try_from_iter_with_nullable([("c", column.clone(), true)]).unwrap();
                for format in [Format::Json, Format::Ndjson, Format::Csv] {
                    let text = String::from_utf8(written(format, &batch)).unwrap();
                    assert_eq!(instants(&text), expected, "{case} as {}: {text}", format.name());
                }
                let arrow = written(Format::Arrow, &batch);
                let mut reader = arrow::ipc::reader::StreamReader::try_new(arrow.as_slice(), None).unwrap();
                assert_eq!(reader.next().unwrap().unwrap(), batch, "{case} as arrow");
                // what is shown in a terminal
                let schema = Format::readable_schema(&batch.schema());
                let shown = Format::readable(&batch, &schema).unwrap();
                let options = FormatOptions::default()
                    .with_timestamp_format(Some(Format::TIME))
                    .with_timestamp_tz_format(Some(Format::TIME));
                let table = pretty_format_batches_with_options(&[shown], &options).unwrap().to_string();
                assert_eq!(instants(&table), expected, "{case} in a table: {table}");
            }
        }
    }
}

#[test]
fn other_types_are_in_text_formats_what_they_are_in_arrow() {
    let columns: Vec<(&str, ArrayRef, [&str; 2], [&str; 2])> = {
        let cast_of = |texts: [&str; 2], to: DataType| {
            let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
            cast(&texts, &to).unwrap()
        };
        vec![
            (
                "date",
                cast_of(["2026-05-28", "1969-12-31"], DataType::Date32),
                ["\"2026-05-28\"", "\"1969-12-31\""],
                ["2026-05-28", "1969-12-31"],
            ),
            (
                "time",
                cast_of(["22:26:40.001", "00:00:00"], DataType::Time64(TimeUnit::Nanosecond)),
                ["\"22:26:40.001\"", "\"00:00:00\""],
                ["22:26:40.001", "00:00:00"],
            ),
            ("flag", cast_of(["true", "false"], DataType::Boolean), ["true", "false"], ["true", "false"]),
            (
                "large",
                cast_of(["9223372036854775807", "-9223372036854775808"], DataType::Int64),
                ["9223372036854775807", "-9223372036854775808"],
                ["9223372036854775807", "-9223372036854775808"],
            ),
            (
                "unsigned",
                cast_of(["18446744073709551615", "0"], DataType::UInt64),
                ["18446744073709551615", "0"],
                ["18446744073709551615", "0"],
            ),
            ("float", cast_of(["1.5", "NaN"], DataType::Float64), ["1.5", "null"], ["1.5", "NaN"]),
            ("infinity", cast_of(["inf", "-inf"], DataType::Float64), ["null", "null"], ["inf", "-inf"]),
            (
                "decimal",
                cast_of(["1.50", "-0.01"], DataType::Decimal128(10, 2)),
                ["1.50", "-0.01"],
                ["1.50", "-0.01"],
            ),
            (
                "text",
                cast_of(["a,\"b\"", ""], DataType::Utf8View),
                ["\"a,\\\"b\\\"\"", "\"\""],
                ["\"a,\"\"b\"\"\"", "\"\""],
            ),
        ]
    };
    for (what, column, json, csv) in columns {
        let batch = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
        let lines = |format| String::from_utf8(written(format, &batch)).unwrap();
        let expected = format!("{{\"c\":{}}}\n{{\"c\":{}}}\n", json[0], json[1]);
        assert_eq!(lines(Format::Ndjson), expected, "{what}");
        assert_eq!(lines(Format::Json), format!("[{}]\n", expected.trim().replace('\n', ",")), "{what}");
        assert_eq!(lines(Format::Csv), format!("c\n{}\n{}\n", csv[0], csv[1]), "{what}");
        let arrow = written(Format::Arrow, &batch);
        let mut reader = arrow::ipc::reader::StreamReader::try_new(arrow.as_slice(), None).unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), batch, "{what}");
    }
}
