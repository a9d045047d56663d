//! Values of query parameters, from JSON. They never become part of the SQL's text.

use super::error::HttpError;
use datafusion::common::{ParamValues, ScalarValue};
use serde_json::Value;

/// Values of `$1`, `$2` … from an array, of `$name` from an object.
pub(super) fn from_json(parameters: Value) -> Result<ParamValues, HttpError> {
    match parameters {
        Value::Array(values) => {
            let values = values.into_iter().enumerate();
            let values = values.map(|(i, value)| scalar(&format!("${}", i + 1), value));
            Ok(values.collect::<Result<Vec<ScalarValue>, _>>()?.into())
        }
        Value::Object(values) => {
            let values = values.into_iter().map(|(name, value)| {
                let name = name.strip_prefix('$').unwrap_or(&name).to_owned();
                let value = scalar(&format!("${name}"), value)?;
                Ok((name, value))
            });
            Ok(values.collect::<Result<Vec<(String, ScalarValue)>, HttpError>>()?.into())
        }
        _ => Err(HttpError::bad_request(
            "'parameters' must be an array, for $1, $2 … and '?', or an object, for $name",
        )),
    }
}

fn scalar(name: &str, value: Value) -> Result<ScalarValue, HttpError> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(flag) => Ok(ScalarValue::Boolean(Some(flag))),
        Value::String(text) => Ok(ScalarValue::Utf8(Some(text))),
        Value::Number(number) => {
            let integer = number.as_i64().map(|n| ScalarValue::Int64(Some(n)));
            let integer = integer.or_else(|| number.as_u64().map(|n| ScalarValue::UInt64(Some(n))));
            let any = integer.or_else(|| number.as_f64().map(|n| ScalarValue::Float64(Some(n))));
            any.ok_or_else(|| {
                HttpError::bad_request(format!("parameter {name} is a number that is too large: {number}"))
            })
        }
        Value::Array(_) | Value::Object(_) => Err(HttpError::bad_request(format!(
            "parameter {name} must be a string, a number, true, false or null: for a list, use one parameter \
             per value"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_json_has_its_type() {
        let parameters = from_json(json!([null, true, "'; DROP", 1, u64::MAX, 0.5])).unwrap();
        let ParamValues::List(values) = parameters else { panic!("{parameters:?}") };
        let values: Vec<ScalarValue> = values.into_iter().map(|v| v.value).collect();
        assert_eq!(
            values,
            [
                ScalarValue::Null,
                ScalarValue::Boolean(Some(true)),
                ScalarValue::Utf8(Some("'; DROP".to_owned())),
                ScalarValue::Int64(Some(1)),
                ScalarValue::UInt64(Some(u64::MAX)),
                ScalarValue::Float64(Some(0.5)),
            ]
        );
    }

    #[test]
    fn names_may_come_with_their_sign() {
        for json in [json!({"who": 1}), json!({"$who": 1})] {
            let parameters = from_json(json).unwrap();
            let value = parameters.get_placeholders_with_values("$who").unwrap();
            assert_eq!(value.value, ScalarValue::Int64(Some(1)));
        }
    }

    #[test]
    fn what_is_no_single_value_is_refused_by_name() {
        assert!(from_json(json!([1, [2]])).unwrap_err().to_string().contains("parameter $2"));
        assert!(from_json(json!({"a": {}})).unwrap_err().to_string().contains("parameter $a"));
        assert!(from_json(json!("text")).unwrap_err().to_string().contains("an array"));
    }
}
