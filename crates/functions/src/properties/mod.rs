//! Functions on properties, in every shape that the lake has them in.

mod convert;
mod get;
mod shapes;

pub(super) use convert::lists_as_jsonb;

use belvedere_core::assembly::{FunctionDoc, FunctionSet, Functions};
use belvedere_lake::access::Right;

belvedere_core::register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "properties_length",
                signature: "properties_length(properties)",
                about: "How many properties there are; NULL if it is none. Takes properties in every shape.", needs: Right::Read },
            FunctionDoc {
                name: "properties_to_array",
                signature: "properties_to_array(properties)",
                about: "What a dictionary shares, written out for each row; what is in no dictionary stays as it is.", needs: Right::Read },
            FunctionDoc {
                name: "properties_to_dict",
                signature: "properties_to_dict(properties)",
                about: "Properties as lists of {key, value} in a dictionary that has each list once; values that are no \
                        strings become JSON. Takes properties in every shape.", needs: Right::Read },
            FunctionDoc {
                name: "properties_to_jsonb",
                signature: "properties_to_jsonb(properties)",
                about: "Properties as JSONB objects in a dictionary that has each once; JSONB stays as it is. Takes \
                        properties in every shape.", needs: Right::Read },
            FunctionDoc {
                name: "property_get",
                signature: "property_get(properties, name)",
                about: "The value of a property as text; NULL if there is none. Names are compared without \
                        regard to ASCII case. Takes properties in every shape that the lake has them in.", needs: Right::Read },
        ],
        make: |_| FunctionSet {
            scalars: [convert::LENGTH, convert::TO_ARRAY, convert::TO_DICT, convert::TO_JSONB, get::GET]
                .map(|function| function.into_udf())
                .into(),
            ..FunctionSet::default()
        },
    }
}
