//! The function that makes numbers plain: one NaN, one zero. SQL has no name for it.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, make_array};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Float16Type, Float32Type, Float64Type,
};
use datafusion::common::{Column, DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::{Arc, LazyLock};

static PLAIN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Plain { signature }))
});

/// Whether values of the type have numbers with a fraction in them.
pub(super) fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => has_floats(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| has_floats(field.data_type())),
        DataType::Dictionary(_, values) => has_floats(values),
        other => other.is_floating(),
    }
}

/// The expression with plain numbers as its values.
pub(super) fn plain(expr: Expr, schema: &DFSchema) -> Expr {
    // what has no type yet has none of these
    if !expr.get_type(schema).is_ok_and(|data_type| has_floats(&data_type)) || is_plain(&expr, schema) {
        return expr;
    }
    match expr {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(plain(*alias.expr, schema));
            Expr::Alias(alias)
        }
        Expr::Literal(ScalarValue::Float64(Some(value)), metadata) => {
            Expr::Literal(ScalarValue::Float64(Some(plain_f64(value))), metadata)
        }
        expr => PLAIN.call(vec![expr]),
    }
}

/// The column that the expression makes plain.
pub(super) fn made_plain(expr: &Expr) -> Option<&Column> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match call.args.as_slice() {
        [Expr::Column(column)] if call.func.inner().is::<Plain>() => Some(column),
        _ => None,
    }
}

/// Whether it is known that values are plain: an integer has one zero.
fn is_plain(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.inner().is::<Plain>(),
        Expr::Cast(cast) => cast.expr.get_type(schema).is_ok_and(|from| from.is_integer()),
        _ => false,
    }
}

fn plain_f64(value: f64) -> f64 {
    // −0 + 0 = 0
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn plain_array(array: &ArrayRef) -> Result<ArrayRef> {
    fn each<T: ArrowPrimitiveType>(array: &ArrayRef, plain: impl Fn(T::Native) -> T::Native) -> ArrayRef {
        Arc::new(array.as_primitive::<T>().unary::<_, T>(plain))
    }
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    Ok(match array.data_type() {
        DataType::Float16 => each::<Float16Type>(array, |value| match value {
            value if value.is_nan() => Half::NAN,
            value if value == Half::ZERO => Half::ZERO,
            value => value,
        }),
        DataType::Float32 => {
            each::<Float32Type>(array, |value| if value.is_nan() { f32::NAN } else { value + 0.0 })
        }
        DataType::Float64 => each::<Float64Type>(array, plain_f64),
        nested if has_floats(nested) => {
            let data = array.to_data();
            let children =
                data.child_data().iter().map(|child| Ok(plain_array(&make_array(child.clone()))?.to_data()));
            let children = children.collect::<Result<Vec<_>>>()?;
            make_array(data.into_builder().child_data(children).build()?)
        }
        _ => array.clone(),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Plain {
    signature: Signature,
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        "plain"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [data_type] => Ok(data_type.clone()),
            _ => internal_err!("plain takes one argument"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(field.clone()),
            _ => internal_err!("plain takes one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(plain_array(array)?)),
            [ColumnarValue::Scalar(value)] => {
                let array = plain_array(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
            _ => internal_err!("plain takes one argument"),
        }
    }
}
