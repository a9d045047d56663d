//! The size of a column with all shared values written out. Dictionaries, views and runs say much in few bytes, and casts
//! write it out.

use belvedere_core::arrow::array::{Array, AsArray, RecordBatch, make_array};
use belvedere_core::arrow::datatypes::DataType;

/// Bytes that each row counts at least: a cast can make any number the widest.
const ROW_BYTES: u64 = 16;

/// Upper bound of a batch's size when it is written out.
pub(super) fn batch_size(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| array_size(column.as_ref())).fold(0, u64::saturating_add)
}

fn array_size(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    let inner = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_data().len() as u64,
        DataType::LargeUtf8 => array.as_string::<i64>().value_data().len() as u64,
        DataType::Binary => array.as_binary::<i32>().value_data().len() as u64,
        DataType::LargeBinary => array.as_binary::<i64>().value_data().len() as u64,
        DataType::Utf8View => views(array.as_string_view().views()),
        DataType::BinaryView => views(array.as_binary_view().views()),
        DataType::FixedSizeBinary(width) => rows.saturating_mul(u64::try_from(*width).unwrap_or(0)),
        DataType::List(_) => array_size(array.as_list::<i32>().values().as_ref()),
        DataType::LargeList(_) => array_size(array.as_list::<i64>().values().as_ref()),
        DataType::FixedSizeList(..) => array_size(array.as_fixed_size_list().values().as_ref()),
        DataType::Map(..) => array_size(array.as_map().entries()),
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .map(|column| array_size(column.as_ref()))
            .fold(0, u64::saturating_add),
        DataType::Dictionary(..) => dictionary(array),
        _ => {
            // runs, unions and list views: each row may have all of the children's values
            let data = array.to_data();
            let children =
                data.child_data().iter().map(|child| array_size(make_array(child.clone()).as_ref()));
            rows.saturating_mul(children.fold(0, u64::saturating_add))
        }
    };
    inner.saturating_add(rows.saturating_mul(ROW_BYTES))
}

/// The first four bytes of a view are the length of its value.
fn views(views: &[u128]) -> u64 {
    views.iter().map(|view| *view & u128::from(u32::MAX)).sum::<u128>().try_into().unwrap_or(u64::MAX)
}

fn dictionary(array: &dyn Array) -> u64 {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return u64::MAX };
    let values = dictionary.values();
    if values.is_empty() {
        return 0;
    }
    let sum = |length: &dyn Fn(usize) -> usize| -> u64 {
        dictionary.normalized_keys().into_iter().map(|key| length(key) as u64).fold(0, u64::saturating_add)
    };
    match values.data_type() {
        DataType::Utf8 => {
            let texts = values.as_string::<i32>();
            sum(&|key| texts.value(key).len())
        }
        DataType::LargeUtf8 => {
            let texts = values.as_string::<i64>();
            sum(&|key| texts.value(key).len())
        }
        DataType::Binary => {
            let bytes = values.as_binary::<i32>();
            sum(&|key| bytes.value(key).len())
        }
        DataType::LargeBinary => {
            let bytes = values.as_binary::<i64>();
            sum(&|key| bytes.value(key).len())
        }
        data_type if data_type.primitive_width().is_some() => 0,
        // each row may have all of the values
        _ => (array.len() as u64).saturating_mul(array_size(values.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_core::arrow::array::{
        DictionaryArray, Int32Array, NullArray, RunArray, StringArray, StringViewArray,
    };
    use std::sync::Arc;

    #[test]
    fn what_is_shared_counts_as_often_as_it_is_used() {
        let text = "x".repeat(1000);
        let keys = Int32Array::from(vec![0; 500]);
        let shared = DictionaryArray::new(keys, Arc::new(StringArray::from(vec![text.as_str()])));
        assert_eq!(array_size(&shared), 500 * (1000 + ROW_BYTES));
        assert_eq!(array_size(&StringViewArray::from(vec![text.as_str(); 500])), 500 * (1000 + ROW_BYTES));
        assert_eq!(array_size(&StringArray::from(vec!["ab", "c"])), 3 + 2 * ROW_BYTES);
        assert_eq!(array_size(&NullArray::new(7)), 7 * ROW_BYTES);
        let ends = Int32Array::from(vec![500]);
        let run = RunArray::try_new(&ends, &StringArray::from(vec![text.as_str()])).unwrap();
        assert!(array_size(&run) >= 500 * 1000);
    }
}
