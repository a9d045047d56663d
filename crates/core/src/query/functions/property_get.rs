//! `property_get(properties, name)`

use crate::properties::jsonb_member;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, DictionaryArray, ListArray, StringArray,
    StringBuilder, StructArray, new_null_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn property_get() -> ScalarUDF {
    ScalarUDF::new_from_impl(PropertyGet { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PropertyGet {
    signature: Signature,
}

fn result_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl ScalarUDFImpl for PropertyGet {
    fn name(&self) -> &str {
        "property_get"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(result_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [properties, name] = args.args.as_slice() else {
            return Err(DataFusionError::Plan("property_get takes two arguments".to_owned()));
        };
        let properties = properties.to_array(args.number_rows)?;
        let values = match name {
            ColumnarValue::Scalar(name) => match name.try_as_str() {
                Some(Some(name)) => values_of(&properties, name)?,
                _ if name.is_null() => new_null_array(&result_type(), properties.len()),
                _ => return Err(not_a_name(&name.data_type())),
            },
            ColumnarValue::Array(names) => values_by_row(&properties, names)?,
        };
        Ok(ColumnarValue::Array(values))
    }
}

fn not_a_name(found: &DataType) -> DataFusionError {
    DataFusionError::Plan(format!("the name of a property is a text, not {found}"))
}

/// The value of one property in each row. What a dictionary shares is looked up once.
fn values_of(properties: &ArrayRef, name: &str) -> Result<ArrayRef> {
    if let Some(dictionary) = properties.as_dictionary_opt::<Int32Type>() {
        let values = values_of(dictionary.values(), name)?;
        return Ok(take(&values, dictionary.keys(), None)?);
    }
    let lookup = Lookup::new(properties)?;
    let mut found = Interner::default();
    for row in 0..properties.len() {
        found.push(lookup.get(row, name).as_deref());
    }
    found.finish()
}

/// The value of another property in each row.
fn values_by_row(properties: &ArrayRef, names: &ArrayRef) -> Result<ArrayRef> {
    let names = cast(names, &DataType::Utf8).map_err(|_| not_a_name(names.data_type()))?;
    let names: &StringArray = names.as_string();
    let (values, keys) = match properties.as_dictionary_opt::<Int32Type>() {
        Some(dictionary) => (dictionary.values().clone(), Some(dictionary.keys().clone())),
        None => (properties.clone(), None),
    };
    let lookup = Lookup::new(&values)?;
    let mut found = Interner::default();
    for row in 0..properties.len() {
        let place = match &keys {
            Some(keys) if keys.is_null(row) => None,
            Some(keys) => Some(keys.value(row) as usize),
            None => Some(row),
        };
        let value = match place {
            Some(place) if names.is_valid(row) => lookup.get(place, names.value(row)),
            _ => None,
        };
        found.push(value.as_deref());
    }
    found.finish()
}

/// Dictionary of the values found, each distinct one once.
#[derive(Default)]
struct Interner {
    by_text: HashMap<String, i32>,
    values: StringBuilder,
    keys: Vec<Option<i32>>,
}

impl Interner {
    fn push(&mut self, text: Option<&str>) {
        let key = text.map(|text| match self.by_text.get(text) {
            Some(key) => *key,
            None => {
                let key = self.by_text.len() as i32;
                self.by_text.insert(text.to_owned(), key);
                self.values.append_value(text);
                key
            }
        });
        self.keys.push(key);
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let keys = arrow::array::Int32Array::from(self.keys);
        Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(self.values.finish()))?))
    }
}

/// Properties in one of their shapes.
enum Lookup<'a> {
    Jsonb(&'a BinaryArray),
    JsonbView(&'a BinaryViewArray),
    List(Box<PropertyLists<'a>>),
    Null,
}

struct PropertyLists<'a> {
    lists: &'a ListArray,
    keys: StringArray,
    values: StringArray,
}

impl<'a> Lookup<'a> {
    fn new(properties: &'a ArrayRef) -> Result<Self> {
        match properties.data_type() {
            DataType::Binary => Ok(Self::Jsonb(properties.as_binary())),
            DataType::BinaryView => Ok(Self::JsonbView(properties.as_binary_view())),
            DataType::Null => Ok(Self::Null),
            DataType::List(item) if matches!(item.data_type(), DataType::Struct(_)) => {
                let lists = properties.as_list::<i32>();
                let pairs: &StructArray = lists.values().as_struct();
                let column = |name: &str| -> Result<StringArray> {
                    let column = pairs.column_by_name(name).ok_or_else(|| not_properties(properties))?;
                    Ok(cast(column, &DataType::Utf8)?.as_string().clone())
                };
                let (keys, values) = (column("key")?, column("value")?);
                Ok(Self::List(Box::new(PropertyLists { lists, keys, values })))
            }
            _ => Err(not_properties(properties)),
        }
    }

    fn get(&self, row: usize, name: &str) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Jsonb(array) => array.is_valid(row).then(|| jsonb_member(array.value(row), name)).flatten(),
            Self::JsonbView(array) => {
                array.is_valid(row).then(|| jsonb_member(array.value(row), name)).flatten()
            }
            Self::List(properties) => {
                let PropertyLists { lists, keys, values } = &**properties;
                if lists.is_null(row) {
                    return None;
                }
                let offsets = lists.value_offsets();
                let pairs = offsets[row] as usize..offsets[row + 1] as usize;
                pairs
                    .filter(|i| keys.is_valid(*i) && keys.value(*i).eq_ignore_ascii_case(name))
                    .find(|i| values.is_valid(*i))
                    .map(|i| values.value(i).to_owned())
            }
        }
    }
}

fn not_properties(found: &ArrayRef) -> DataFusionError {
    DataFusionError::Plan(format!(
        "property_get takes properties (JSONB, or a list of {{key, value}}), not {}",
        found.data_type()
    ))
}
