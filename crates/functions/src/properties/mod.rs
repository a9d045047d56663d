//! Functions on properties, in every shape that the lake has them in.

mod convert;
mod get;
mod shapes;

pub(super) use convert::lists_as_jsonb;

use crate::scalar_function::ScalarFunction;
use belvedere_core::assembly::{FunctionDoc, FunctionSet, Functions};
use belvedere_lake::access::Right;

/// One value a row.
pub(crate) const SCALARS: [ScalarFunction; 5] =
    [convert::LENGTH, convert::TO_ARRAY, convert::TO_DICT, convert::TO_JSONB, get::GET];

belvedere_core::register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "properties_length",
                signature: "properties_length(properties)",
                about: "The number of properties; NULL if the argument does not hold properties. Accepts every \
                        representation of properties.", needs: Right::Read },
            FunctionDoc {
                name: "properties_to_array",
                signature: "properties_to_array(properties)",
                about: "Expands dictionary-encoded properties to one value per row; other values are unchanged.", needs: Right::Read },
            FunctionDoc {
                name: "properties_to_dict",
                signature: "properties_to_dict(properties)",
                about: "Properties as dictionary-encoded lists of {key, value}, each distinct list once. Values \
                        that are not strings become JSON. Accepts every representation of properties.", needs: Right::Read },
            FunctionDoc {
                name: "properties_to_jsonb",
                signature: "properties_to_jsonb(properties)",
                about: "Properties as dictionary-encoded JSONB objects, each distinct object once; JSONB is \
                        unchanged. Accepts every representation of properties.", needs: Right::Read },
            FunctionDoc {
                name: "property_get",
                signature: "property_get(properties, name)",
                about: "The value of a property as text; NULL if there is none. Names are compared ignoring ASCII \
                        case. Accepts every representation of properties in the lake.", needs: Right::Read },
        ],
        make: |_| FunctionSet {
            scalars: [convert::LENGTH, convert::TO_ARRAY, convert::TO_DICT, convert::TO_JSONB, get::GET]
                .map(|function| function.into_udf())
                .into(),
            ..FunctionSet::default()
        },
    }
}
