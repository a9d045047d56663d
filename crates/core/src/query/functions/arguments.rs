//! Arguments of functions: those of table functions are constants, known when the query is planned.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use belvedere_model::time::parse_rfc3339;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;
use uuid::Uuid;

fn wrong<T>(what: &str, needed: &str, found: &Expr) -> Result<T> {
    Err(DataFusionError::Plan(format!("the {what} must be {needed}, not {found}")))
}

/// A text in quotes.
pub fn text(expr: &Expr, what: &str) -> Result<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            Ok(text.clone())
        }
        other => wrong(what, "a string in quotes", other),
    }
}

/// The id of a process, a stream or a block, in quotes.
pub fn uuid(expr: &Expr, what: &str) -> Result<Uuid> {
    let text = text(expr, what)?;
    Uuid::try_parse(&text)
        .map_err(|_| DataFusionError::Plan(format!("the {what} must be a UUID, not '{text}'")))
}

/// A whole number.
pub fn number(expr: &Expr, what: &str) -> Result<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => Ok(*number),
        Expr::Literal(ScalarValue::Int32(Some(number)), _) => Ok(i64::from(*number)),
        other => wrong(what, "a whole number", other),
    }
}

/// An instant, as RFC 3339 text or as a timestamp; in nanoseconds since the Unix epoch.
pub fn time(expr: &Expr, what: &str) -> Result<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(time), zone), _)
            if matches!(zone.as_deref(), None | Some("+00:00" | "UTC")) =>
        {
            Ok(*time)
        }
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            parse_rfc3339(text).map_err(|e| DataFusionError::Plan(format!("the {what} is not valid: {e}")))
        }
        other => wrong(what, "an RFC 3339 time in quotes or a timestamp in UTC", other),
    }
}

/// Whether values of a type are texts, in whatever shape the engine has them, or only NULL.
pub fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The arguments of a scalar function, all of them [texts](is_text), in one shape: as many as there are rows.
pub(super) fn texts(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    args.args.iter().map(|arg| Ok(cast(&arg.to_array(args.number_rows)?, &DataType::Utf8)?)).collect()
}
