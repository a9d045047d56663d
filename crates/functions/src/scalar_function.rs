//! Scalar functions as plain values: name, parameters, type of the result, and the code.

use crate::arg_column::ArgColumn;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use belvedere_core::query::Argument;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::hash::{Hash, Hasher};

/// What a parameter accepts: a plain array, one of Arrow's view types, or a dictionary with keys of any width. NULL is
/// always accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSONB; properties of any shape count as JSONB objects.
    Jsonb,
    Properties,
    /// A dictionary, or properties without one.
    PropertiesOrDictionary,
    Text,
    Number,
    Integer,
}

impl Kind {
    pub(super) fn accepts(self, data_type: &DataType) -> bool {
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
                Self::Text => Argument::is_text(plain),
                Self::Number => plain.is_numeric(),
                Self::Integer => plain.is_integer(),
            }
    }

    fn description(self) -> &'static str {
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
        .all(|name| fields.iter().any(|field| field.name() == name && Kind::Text.accepts(field.data_type())))
}

/// A function that computes each row from the same row of its arguments.
#[derive(Debug)]
pub(super) struct ScalarFunction {
    pub(super) name: &'static str,
    /// Names and kinds of the parameters.
    pub(super) parameters: &'static [(&'static str, Kind)],
    /// Type of the result, given the types of the arguments.
    pub(super) result: fn(&[DataType]) -> DataType,
    /// Computes that many rows.
    pub(super) evaluate: fn(&[ArgColumn], usize) -> Result<ArrayRef>,
}

impl ScalarFunction {
    pub(super) fn into_udf(self) -> ScalarUDF {
        let signature = Signature::any(self.parameters.len(), Volatility::Immutable);
        ScalarUDF::new_from_impl(Udf { function: self, signature })
    }
}

#[derive(Debug)]
struct Udf {
    function: ScalarFunction,
    signature: Signature,
}

// DataFusion compares functions when it compares expressions; names are unique
impl PartialEq for Udf {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Udf {}

impl Hash for Udf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let ScalarFunction { name, parameters, result, .. } = &self.function;
        if arguments.len() != parameters.len() {
            return Err(DataFusionError::Plan(format!(
                "{name} takes {} arguments, not {}",
                parameters.len(),
                arguments.len()
            )));
        }
        for ((parameter, kind), found) in parameters.iter().zip(arguments) {
            if !kind.accepts(found) {
                let wanted = kind.description();
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
        let inputs = args.args.iter().map(ArgColumn::new).collect::<Result<Vec<_>>>()?;
        let result = (self.function.evaluate)(&inputs, rows)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}
