//! Scalar functions as a table says them: a name, what is taken, what comes out, and how.

use crate::input::Input;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use belvedere_core::query::functions::arguments::is_text;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::hash::{Hash, Hasher};

/// What a parameter takes: plain, as a view of the engine, or in a dictionary with keys of any width; NULL always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Properties are JSONB objects too, whatever shape they have.
    Jsonb,
    Properties,
    /// A dictionary, or properties that are in none.
    PropertiesOrDictionary,
    Text,
    Number,
    Integer,
}

impl Kind {
    pub(super) fn takes(self, data_type: &DataType) -> bool {
        let (plain, is_dictionary) = match data_type {
            DataType::Dictionary(_, values) => (values.as_ref(), true),
            other => (other, false),
        };
        let is_binary = matches!(plain, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
        let is_properties = is_binary || is_pairs(plain);
        plain.is_null()
            || match self {
                Self::Jsonb | Self::Properties => is_properties,
                Self::PropertiesOrDictionary => is_properties || is_dictionary,
                Self::Text => is_text(plain),
                Self::Number => plain.is_numeric(),
                Self::Integer => plain.is_integer(),
            }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Jsonb => "JSONB (jsonb_parse converts text)",
            Self::Properties => "properties (JSONB, or a list of {key, value})",
            Self::PropertiesOrDictionary => "a dictionary, or properties (JSONB, or a list of {key, value})",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Integer => "a whole number",
        }
    }
}

/// A list of {key, value}.
fn is_pairs(data_type: &DataType) -> bool {
    let DataType::List(item) = data_type else { return false };
    let DataType::Struct(fields) = item.data_type() else { return false };
    ["key", "value"]
        .iter()
        .all(|name| fields.iter().any(|field| field.name() == name && Kind::Text.takes(field.data_type())))
}

/// A function whose rows come from the same rows of its arguments alone.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) name: &'static str,
    /// Names and kinds of the arguments.
    pub(super) parameters: &'static [(&'static str, Kind)],
    /// The type of the result, from those of the arguments.
    pub(super) result: fn(&[DataType]) -> DataType,
    /// Computes as many rows as it is told.
    pub(super) evaluate: fn(&[Input], usize) -> Result<ArrayRef>,
}

impl Mapping {
    pub(super) fn function(self) -> ScalarUDF {
        let signature = Signature::any(self.parameters.len(), Volatility::Immutable);
        ScalarUDF::new_from_impl(Function { mapping: self, signature })
    }
}

#[derive(Debug)]
struct Function {
    mapping: Mapping,
    signature: Signature,
}

// functions of one name are the same function
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.mapping.name == other.mapping.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mapping.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.mapping.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let Mapping { name, parameters, result, .. } = &self.mapping;
        if arguments.len() != parameters.len() {
            return Err(DataFusionError::Plan(format!(
                "{name} takes {} arguments, not {}",
                parameters.len(),
                arguments.len()
            )));
        }
        for ((parameter, kind), found) in parameters.iter().zip(arguments) {
            if !kind.takes(found) {
                let wanted = kind.wanted();
                return Err(DataFusionError::Plan(match kind {
                    Kind::Properties | Kind::PropertiesOrDictionary => {
                        format!("{name} takes {wanted}, not {found}")
                    }
                    _ => format!("{name} takes {wanted} as {parameter}, not {found}"),
                }));
            }
        }
        Ok(result(arguments))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let inputs = args.args.iter().map(Input::new).collect::<Result<Vec<_>>>()?;
        let result = (self.mapping.evaluate)(&inputs, rows)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}
