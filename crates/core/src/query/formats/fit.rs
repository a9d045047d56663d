//! Which columns have a form in which format: known before there are rows, so that nobody waits for an answer that can't
//! be written.

use super::Format;
use crate::query::QueryError;
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema};
use std::sync::Arc;

/// An error that names the first column without a form in this format, and the formats that have one for it.
pub(super) fn check(format: Format, schema: &Schema) -> Result<(), QueryError> {
    let Some(field) = schema.fields().iter().find(|field| !has_form(format, field.data_type())) else {
        return Ok(());
    };
    let (name, data_type) = (field.name(), field.data_type());
    let others: Vec<&str> =
        Format::ALL.into_iter().filter(|other| has_form(*other, data_type)).map(Format::name).collect();
    Err(QueryError::Unsupported(format!(
        "the column '{name}' of type {data_type} can't be written as {}: use {}, or cast it",
        format.name(),
        others.join(" or ")
    )))
}

fn has_form(format: Format, data_type: &DataType) -> bool {
    match format {
        // nested columns of CSV are JSON
        Format::Ndjson | Format::Json | Format::Csv => json_type(data_type).is_some(),
        Format::Parquet => has_parquet_form(data_type),
        Format::Arrow => true,
    }
}

/// What zone the text formats write times in.
const UTC: &str = "+00:00";

/// The type as which values become JSON: names of members are texts there, and so are keys of maps, and times are in UTC.
/// `None` if there is none.
pub(super) fn json_type(data_type: &DataType) -> Option<DataType> {
    let item = |field: &Field| -> Option<Arc<Field>> {
        Some(Arc::new(field.clone().with_data_type(json_type(field.data_type())?)))
    };
    Some(match data_type {
        DataType::Union(..) => return None,
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(UTC.into())),
        DataType::List(f) => DataType::List(item(f)?),
        DataType::LargeList(f) => DataType::LargeList(item(f)?),
        DataType::ListView(f) => DataType::ListView(item(f)?),
        DataType::LargeListView(f) => DataType::LargeListView(item(f)?),
        DataType::FixedSizeList(f, size) => DataType::FixedSizeList(item(f)?, *size),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| item(f)).collect::<Option<Fields>>()?)
        }
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(json_type(values)?))
        }
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), item(values)?),
        DataType::Map(entries, is_sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { return None };
            let [key, value] = &fields[..] else { return None };
            let is_text =
                matches!(key.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            let key = match is_text {
                true => key.clone(),
                false if key.data_type().is_nested() => return None,
                false if can_cast_types(key.data_type(), &DataType::Utf8) => {
                    Arc::new(key.as_ref().clone().with_data_type(DataType::Utf8))
                }
                false => return None,
            };
            let fields = DataType::Struct(vec![key, item(value)?].into());
            DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(fields)), *is_sorted)
        }
        other => other.clone(),
    })
}

fn has_parquet_form(data_type: &DataType) -> bool {
    match data_type {
        DataType::Union(..) | DataType::Interval(IntervalUnit::MonthDayNano) => false,
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::ListView(f)
        | DataType::LargeListView(f)
        | DataType::FixedSizeList(f, _)
        | DataType::Map(f, _)
        | DataType::RunEndEncoded(_, f) => has_parquet_form(f.data_type()),
        // a group of no columns is none
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|f| has_parquet_form(f.data_type()))
        }
        DataType::Dictionary(_, values) => !values.is_nested() && has_parquet_form(values),
        _ => true,
    }
}
