//! Values of parameters.

use super::Values;
use belvedere_core::arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, GenericListArray, NullArray,
    OffsetSizeTrait, StringArray, StructArray, make_array,
};
use belvedere_core::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use belvedere_core::arrow::compute::{CastOptions, cast, cast_with_options};
use belvedere_core::arrow::datatypes::{DataType, FieldRef, Fields};
use prost::{Message, Oneof};
use std::sync::Arc;

/// A value; NULL if it has no content.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(oneof = "Content", tags = "1, 2, 3, 4, 5")]
    content: Option<Content>,
}

/// What is in a value.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Content {
    #[prost(bool, tag = "1")]
    Flag(bool),
    /// A number, a time or the like: as many bytes as its type has, the lowest first.
    #[prost(bytes = "vec", tag = "2")]
    Fixed(Vec<u8>),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bytes = "vec", tag = "4")]
    Bytes(Vec<u8>),
    /// Of a list, or the fields of a struct.
    #[prost(message, tag = "5")]
    Items(Values),
}

impl Value {
    /// The value at an index of a column.
    pub(super) fn from_array(array: &dyn Array, i: usize) -> Result<Self, String> {
        let data_type = array.data_type();
        if array.is_null(i) || *data_type == DataType::Null {
            return Ok(Self::default());
        }
        if let Some(width) = data_type.primitive_width() {
            let data = array.to_data();
            let begin = (data.offset() + i) * width;
            let bytes = data.buffers().first().and_then(|buffer| buffer.as_slice().get(begin..begin + width));
            let bytes = bytes.ok_or_else(|| format!("a {data_type} is not there"))?;
            return Ok(Self { content: Some(Content::Fixed(bytes.to_vec())) });
        }
        let content = match data_type {
            DataType::Boolean => Content::Flag(array.as_boolean().value(i)),
            DataType::Utf8 => Content::Text(array.as_string::<i32>().value(i).to_owned()),
            DataType::LargeUtf8 => Content::Text(array.as_string::<i64>().value(i).to_owned()),
            DataType::Utf8View => Content::Text(array.as_string_view().value(i).to_owned()),
            DataType::Binary => Content::Bytes(array.as_binary::<i32>().value(i).to_vec()),
            DataType::LargeBinary => Content::Bytes(array.as_binary::<i64>().value(i).to_vec()),
            DataType::BinaryView => Content::Bytes(array.as_binary_view().value(i).to_vec()),
            DataType::FixedSizeBinary(_) => Content::Bytes(array.as_fixed_size_binary().value(i).to_vec()),
            DataType::Dictionary(_, value) => {
                let values = cast(&array.slice(i, 1), value).map_err(|e| e.to_string())?;
                return Self::from_array(values.as_ref(), 0);
            }
            DataType::List(_) => Content::Items(all(array.as_list::<i32>().value(i).as_ref())?),
            DataType::LargeList(_) => Content::Items(all(array.as_list::<i64>().value(i).as_ref())?),
            DataType::Struct(_) => {
                let columns = array.as_struct().columns().iter();
                let values =
                    columns.map(|column| Self::from_array(column.as_ref(), i)).collect::<Result<_, _>>()?;
                Content::Items(Values { values })
            }
            other => return Err(format!("a value of the type {other} is not supported for parameters")),
        };
        Ok(Self { content: Some(content) })
    }

    /// The content; `None` if it is NULL.
    pub(super) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    #[cfg(test)]
    pub(super) fn from_items(items: Values) -> Self {
        Self { content: Some(Content::Items(items)) }
    }
}

fn all(array: &dyn Array) -> Result<Values, String> {
    Ok(Values { values: (0..array.len()).map(|i| Value::from_array(array, i)).collect::<Result<_, _>>()? })
}

/// Decodes a column of values. `left` is the number of values that may still follow, nested ones counted: NULLs have no
/// bytes, and a NULL struct is a NULL in each of its fields.
pub(super) fn array(
    data_type: &DataType,
    cells: &[Option<&Content>],
    left: &mut usize,
) -> Result<ArrayRef, String> {
    let weight = match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(usize::MAX).max(1),
        _ => 1,
    };
    *left = left.checked_sub(cells.len().saturating_mul(weight)).ok_or("there are too many values")?;
    if let Some(width) = data_type.primitive_width() {
        return fixed(data_type, width, cells);
    }
    Ok(match data_type {
        DataType::Null => {
            let _: Vec<Option<()>> = each(data_type, cells, |_| None)?;
            Arc::new(NullArray::new(cells.len()))
        }
        DataType::Boolean => {
            let flags = each(data_type, cells, |content| match content {
                Content::Flag(flag) => Some(*flag),
                _ => None,
            })?;
            Arc::new(BooleanArray::from(flags))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = each(data_type, cells, |content| match content {
                Content::Text(text) => Some(text.as_str()),
                _ => None,
            })?;
            into(&StringArray::from(texts), data_type)?
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = each(data_type, cells, |content| match content {
                Content::Bytes(bytes) => Some(bytes.as_slice()),
                _ => None,
            })?;
            into(&BinaryArray::from(bytes), data_type)?
        }
        DataType::Dictionary(_, value) => into(array(value, cells, left)?.as_ref(), data_type)?,
        DataType::List(item) => list::<i32>(data_type, item, cells, left)?,
        DataType::LargeList(item) => list::<i64>(data_type, item, cells, left)?,
        DataType::Struct(fields) => structs(data_type, fields, cells, left)?,
        other => return Err(format!("a value of the type {other} is not supported for parameters")),
    })
}

/// The contents, which must be of the type's kind.
fn each<'a, T>(
    data_type: &DataType,
    cells: &[Option<&'a Content>],
    pick: impl Fn(&'a Content) -> Option<T>,
) -> Result<Vec<Option<T>>, String> {
    let picked = cells.iter().map(|cell| match cell {
        None => Ok(None),
        Some(content) => {
            pick(content).map(Some).ok_or_else(|| format!("a value is not of its type {data_type}"))
        }
    });
    picked.collect()
}

fn into(array: &dyn Array, data_type: &DataType) -> Result<ArrayRef, String> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, data_type, &options).map_err(|e| e.to_string())
}

fn nulls(cells: &[Option<&Content>]) -> NullBuffer {
    cells.iter().map(Option::is_some).collect::<Vec<_>>().into()
}

fn fixed(data_type: &DataType, width: usize, cells: &[Option<&Content>]) -> Result<ArrayRef, String> {
    let values = each(data_type, cells, |content| match content {
        Content::Fixed(bytes) if bytes.len() == width => Some(bytes.as_slice()),
        _ => None,
    })?;
    let mut bytes = Vec::with_capacity(cells.len() * width);
    for value in values {
        match value {
            Some(value) => bytes.extend_from_slice(value),
            None => bytes.resize(bytes.len() + width, 0),
        }
    }
    let data = ArrayData::builder(data_type.clone())
        .len(cells.len())
        .add_buffer(Buffer::from_vec(bytes))
        .nulls(Some(nulls(cells)))
        .align_buffers(true);
    data.build().map(make_array).map_err(|e| e.to_string())
}

fn items<'a>(
    data_type: &DataType,
    cells: &[Option<&'a Content>],
) -> Result<Vec<Option<&'a [Value]>>, String> {
    each(data_type, cells, |content| match content {
        Content::Items(items) => Some(items.values.as_slice()),
        _ => None,
    })
}

fn list<O: OffsetSizeTrait>(
    data_type: &DataType,
    item: &FieldRef,
    cells: &[Option<&Content>],
    left: &mut usize,
) -> Result<ArrayRef, String> {
    let lists = items(data_type, cells)?;
    let offsets = OffsetBuffer::<O>::from_lengths(lists.iter().map(|list| list.map_or(0, <[_]>::len)));
    let content: Vec<_> = lists.into_iter().flatten().flatten().map(Value::content).collect();
    let values = array(item.data_type(), &content, left)?;
    let list = GenericListArray::try_new(item.clone(), offsets, values, Some(nulls(cells)));
    list.map(|list| Arc::new(list) as ArrayRef).map_err(|e| e.to_string())
}

fn structs(
    data_type: &DataType,
    fields: &Fields,
    cells: &[Option<&Content>],
    left: &mut usize,
) -> Result<ArrayRef, String> {
    let rows = items(data_type, cells)?;
    if rows.iter().flatten().any(|row| row.len() != fields.len()) {
        return Err(format!("a value has not as many fields as its type {data_type}"));
    }
    let columns = fields.iter().enumerate().map(|(i, field)| {
        let content: Vec<_> = rows.iter().map(|row| row.and_then(|row| row.get(i)?.content())).collect();
        array(field.data_type(), &content, left)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let structs = StructArray::try_new(fields.clone(), columns, Some(nulls(cells)));
    structs.map(|structs| Arc::new(structs) as ArrayRef).map_err(|e| e.to_string())
}
