//! Columns that another lake sent, as processes, streams and blocks.

use belvedere_core::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::{DataType, Field, Int64Type, TimeUnit, TimestampNanosecondType};
use belvedere_model::jsonb::Jsonb;
use belvedere_model::wire::{PayloadParts, TypeRecord};
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo, StreamParts};
use belvedere_view::properties::list_type;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tonic::Status;
use uuid::Uuid;

/// The rows of `processes`.
pub(super) fn processes(batch: &RecordBatch) -> Result<Vec<ProcessInfo>, Status> {
    let ids = texts(batch, "process_id")?;
    let (exe, username, realname) =
        (texts(batch, "exe")?, texts(batch, "username")?, texts(batch, "realname")?);
    let (computer, distro, cpu_brand) =
        (texts(batch, "computer")?, texts(batch, "distro")?, texts(batch, "cpu_brand")?);
    let (frequency, start_ticks) = (numbers(batch, "tsc_frequency")?, numbers(batch, "start_ticks")?);
    let start_time = times(batch, "start_time")?;
    let parents = texts(batch, "parent_process_id")?;
    let mut properties = properties(batch, "properties")?.into_iter();
    let rows = (0..batch.num_rows()).map(|i| {
        Ok(ProcessInfo {
            process_id: id(&ids, i, "process_id")?,
            exe: text(&exe, i),
            username: text(&username, i),
            realname: text(&realname, i),
            computer: text(&computer, i),
            distro: text(&distro, i),
            cpu_brand: text(&cpu_brand, i),
            tsc_frequency: frequency.value(i),
            start_time: start_time.value(i),
            start_ticks: start_ticks.value(i),
            parent_process_id: if parents.is_null(i) || parents.value(i).is_empty() {
                None
            } else {
                Some(id(&parents, i, "parent_process_id")?)
            },
            properties: properties.next().unwrap_or_default(),
            insert_time: 0,
        })
    });
    rows.collect()
}

/// The rows of `streams`.
pub(super) fn streams(batch: &RecordBatch) -> Result<Vec<StreamInfo>, Status> {
    let (ids, processes) = (texts(batch, "stream_id")?, texts(batch, "process_id")?);
    let dependencies = binaries(batch, "dependencies_metadata")?;
    let objects = binaries(batch, "objects_metadata")?;
    let tags = lists(batch, "tags")?;
    let formats = texts(batch, "format")?;
    let mut properties = properties(batch, "properties")?.into_iter();
    let rows = (0..batch.num_rows()).map(|i| {
        let stream_id = id(&ids, i, "stream_id")?;
        let types = |column: &BinaryArray, name: &str| {
            if column.value(i).is_empty() {
                return Ok(TypeRecord::encode_all(&[]).into());
            }
            TypeRecord::decode_all(column.value(i))
                .map(|types| Bytes::from(TypeRecord::encode_all(&types)))
                .map_err(|e| {
                    Status::invalid_argument(format!("{name} of the stream {stream_id} can't be read: {e}"))
                })
        };
        let parts = StreamParts {
            stream_id,
            process_id: id(&processes, i, "process_id")?,
            dependencies_metadata: types(&dependencies, "dependencies_metadata")?,
            objects_metadata: types(&objects, "objects_metadata")?,
            tags: if tags.is_null(i) {
                Vec::new()
            } else {
                tags.value(i).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
            },
            properties: properties.next().unwrap_or_default(),
            format: text(&formats, i),
            insert_time: 0,
        };
        Ok(parts.into())
    });
    rows.collect()
}

/// The rows of `blocks`.
pub(super) fn blocks(batch: &RecordBatch) -> Result<Vec<BlockInfo>, Status> {
    let (ids, streams, processes) =
        (texts(batch, "block_id")?, texts(batch, "stream_id")?, texts(batch, "process_id")?);
    let (begin_time, end_time) = (times(batch, "begin_time")?, times(batch, "end_time")?);
    let (begin_ticks, end_ticks) = (numbers(batch, "begin_ticks")?, numbers(batch, "end_ticks")?);
    let (count, offset) = (numbers(batch, "nb_objects")?, numbers(batch, "object_offset")?);
    let rows = (0..batch.num_rows()).map(|i| {
        let block_id = id(&ids, i, "block_id")?;
        Ok(BlockInfo {
            block_id,
            stream_id: id(&streams, i, "stream_id")?,
            process_id: id(&processes, i, "process_id")?,
            begin_time: begin_time.value(i),
            begin_ticks: begin_ticks.value(i),
            end_time: end_time.value(i),
            end_ticks: end_ticks.value(i),
            nb_objects: i32::try_from(count.value(i)).map_err(|_| {
                let number = count.value(i);
                Status::invalid_argument(format!("block {block_id} can't have {number} objects"))
            })?,
            object_offset: offset.value(i),
            ..BlockInfo::default()
        })
    });
    rows.collect()
}

/// The rows of `payloads`.
pub(super) fn payloads(batch: &RecordBatch) -> Result<Vec<(Uuid, Bytes)>, Status> {
    let (ids, payloads) = (texts(batch, "block_id")?, binaries(batch, "payload")?);
    let rows = (0..batch.num_rows()).map(|i| {
        let block_id = id(&ids, i, "block_id")?;
        let payload = payloads.value(i);
        PayloadParts::split(payload).map_err(|e| {
            Status::invalid_argument(format!("the payload of block {block_id} can't be read: {e}"))
        })?;
        Ok((block_id, Bytes::copy_from_slice(payload)))
    });
    rows.collect()
}

fn column(batch: &RecordBatch, name: &str, wanted: &DataType) -> Result<ArrayRef, Status> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| Status::invalid_argument(format!("Column '{name}' not found: every row needs it")))?;
    cast(column, wanted).map_err(|e| {
        let given = column.data_type();
        Status::invalid_argument(format!("the column '{name}' is {given} and can't be made {wanted}: {e}"))
    })
}

/// The column without NULLs.
fn complete(batch: &RecordBatch, name: &str, wanted: &DataType) -> Result<ArrayRef, Status> {
    let column = column(batch, name, wanted)?;
    match column.null_count() {
        0 => Ok(column),
        nulls => Err(Status::invalid_argument(format!("the column '{name}' is NULL in {nulls} rows"))),
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, Status> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn binaries(batch: &RecordBatch, name: &str) -> Result<BinaryArray, Status> {
    Ok(complete(batch, name, &DataType::Binary)?.as_binary::<i32>().clone())
}

fn numbers(batch: &RecordBatch, name: &str) -> Result<Int64Array, Status> {
    Ok(complete(batch, name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// Instants; those without a zone are taken as UTC.
fn times(batch: &RecordBatch, name: &str) -> Result<TimestampNanosecondArray, Status> {
    let wanted = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
    Ok(complete(batch, name, &wanted)?.as_primitive::<TimestampNanosecondType>().clone())
}

fn lists(batch: &RecordBatch, name: &str) -> Result<ListArray, Status> {
    let wanted = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    Ok(column(batch, name, &wanted)?.as_list::<i32>().clone())
}

fn text(column: &StringArray, i: usize) -> String {
    if column.is_null(i) { String::new() } else { column.value(i).to_owned() }
}

fn id(column: &StringArray, i: usize, name: &str) -> Result<Uuid, Status> {
    let text = text(column, i);
    Uuid::parse_str(&text)
        .map_err(|e| Status::invalid_argument(format!("'{text}' in the column '{name}' is not an id: {e}")))
}

/// Properties as JSONB objects or as lists of {key, value}.
fn properties(batch: &RecordBatch, name: &str) -> Result<Vec<Vec<(String, String)>>, Status> {
    let is_list = batch.column_by_name(name).is_some_and(|column| {
        matches!(column.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_))
    });
    if is_list {
        let lists = column(batch, name, &list_type())?;
        let pairs_of = |pairs: Option<ArrayRef>| {
            let pairs = pairs?;
            let pairs = pairs.as_struct();
            let (keys, values) = (pairs.column(0).as_string::<i32>(), pairs.column(1).as_string::<i32>());
            let pairs = keys.iter().zip(values.iter());
            Some(pairs.filter_map(|(key, value)| Some((key?.to_owned(), value?.to_owned()))).collect())
        };
        return Ok(lists.as_list::<i32>().iter().map(|pairs| pairs_of(pairs).unwrap_or_default()).collect());
    }
    let objects = column(batch, name, &DataType::Binary)?;
    let rows = objects.as_binary::<i32>().iter().map(|bytes| match bytes {
        None | Some(&[]) => Ok(Vec::new()),
        Some(bytes) => properties_from_jsonb(bytes).ok_or_else(|| {
            Status::invalid_argument(format!("the column '{name}' has bytes that are not a JSONB object"))
        }),
    });
    rows.collect()
}

fn properties_from_jsonb(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let Ok(Value::Object(members)) = serde_json::from_str(&Jsonb::new(bytes)?.to_string()) else {
        return None;
    };
    let pairs = members.into_iter().map(|(key, value)| match value {
        Value::String(text) => (key, text),
        other => (key, other.to_string()),
    });
    Some(pairs.collect())
}
