//! How large a column would be if nothing in it were shared: dictionaries, views and runs say a lot in few bytes, and
//! casts write it all out.

use belvedere_core::arrow::array::{Array, AsArray, RecordBatch, make_array};
use belvedere_core::arrow::datatypes::DataType;

/// Bytes of a row that count even if it has none: a cast can make any number the widest.
const ROW: u64 = 16;

/// Bytes that a batch has at most when it is written out.
pub(super) fn of_batch(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| of(column.as_ref())).fold(0, u64::saturating_add)
}

fn of(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    let inner = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_data().len() as u64,
        DataType::LargeUtf8 => array.as_string::<i64>().value_data().len() as u64,
        DataType::Binary => array.as_binary::<i32>().value_data().len() as u64,
        DataType::LargeBinary => array.as_binary::<i64>().value_data().len() as u64,
        DataType::Utf8View => views(array.as_string_view().views()),
        DataType::BinaryView => views(array.as_binary_view().views()),
        DataType::FixedSizeBinary(width) => rows.saturating_mul(u64::try_from(*width).unwrap_or(0)),
        DataType::List(_) => of(array.as_list::<i32>().values().as_ref()),
        DataType::LargeList(_) => of(array.as_list::<i64>().values().as_ref()),
        DataType::FixedSizeList(..) => of(array.as_fixed_size_list().values().as_ref()),
        DataType::Map(..) => of(array.as_map().entries()),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|column| of(column.as_ref())).fold(0, u64::saturating_add)
        }
        DataType::Dictionary(..) => dictionary(array),
        _ => {
            // runs, unions and views of lists: each row might have all that there is; others have no children
            let data = array.to_data();
            let children = data.child_data().iter().map(|child| of(make_array(child.clone()).as_ref()));
            rows.saturating_mul(children.fold(0, u64::saturating_add))
        }
    };
    inner.saturating_add(rows.saturating_mul(ROW))
}

/// A view begins with its length.
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
        // each row might have all that there is
        _ => (array.len() as u64).saturating_mul(of(values.as_ref())),
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
        assert_eq!(of(&shared), 500 * (1000 + ROW));
        assert_eq!(of(&StringViewArray::from(vec![text.as_str(); 500])), 500 * (1000 + ROW));
        assert_eq!(of(&StringArray::from(vec!["ab", "c"])), 3 + 2 * ROW);
        assert_eq!(of(&NullArray::new(7)), 7 * ROW);
        let ends = Int32Array::from(vec![500]);
        let run = RunArray::try_new(&ends, &StringArray::from(vec![text.as_str()])).unwrap();
        assert!(of(&run) >= 500 * 1000);
    }
}
