//! The body of a request: JSON, or plain SQL.

use super::error::HttpError;
use super::parameters;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use belvedere_core::query::formats::Format;
use belvedere_core::query::{AnswerTypes, QueryRequest};
use belvedere_lake::ingest::IngestionService;
use belvedere_model::time::TimeRange;
use datafusion::common::ParamValues;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Size of a body. Queries are not longer.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A query with its parameters and limits.
#[derive(Debug)]
pub(super) struct QueryBody {
    pub(super) sql: String,
    pub(super) parameters: Option<ParamValues>,
    pub(super) range: TimeRange,
    pub(super) limit: Option<usize>,
    pub(super) types: AnswerTypes,
}

/// The body in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonBody {
    sql: String,
    parameters: Option<serde_json::Value>,
    begin: Option<String>,
    end: Option<String>,
    limit: Option<usize>,
}

/// The query string of an address.
#[derive(Debug, Default)]
pub(super) struct QueryString {
    pub(super) format: Option<Format>,
    /// How columns leave.
    pub(super) types: AnswerTypes,
    begin: Option<String>,
    end: Option<String>,
    limit: Option<String>,
}

impl QueryString {
    pub(super) fn read(text: Option<&str>) -> Result<Self, HttpError> {
        let mut read = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "format" => {
                    let format = Format::named(&value).ok_or_else(|| {
                        let names = Format::ALL.map(Format::name).join(", ");
                        HttpError::bad_request(format!("'{value}' is not a format: use {names}"))
                    })?;
                    read.format = Some(format);
                }
                "dictionaries" => {
                    read.types = match value.as_ref() {
                        "keep" => AnswerTypes::Dictionaries,
                        "plain" => AnswerTypes::Plain,
                        _ => {
                            return Err(HttpError::bad_request(format!(
                                "'dictionaries' is '{value}': use keep or plain, or leave it out"
                            )));
                        }
                    }
                }
                "begin" => read.begin = Some(value.into_owned()),
                "end" => read.end = Some(value.into_owned()),
                "limit" => read.limit = Some(value.into_owned()),
                _ => {
                    return Err(HttpError::bad_request(format!(
                        "unknown parameter '{name}' in the URL: use format, dictionaries, begin, end and limit"
                    )));
                }
            }
        }
        Ok(read)
    }

    fn has_query_options(&self) -> bool {
        self.begin.is_some() || self.end.is_some() || self.limit.is_some()
    }
}

impl QueryBody {
    pub(super) async fn read(headers: &HeaderMap, query: QueryString, body: Body) -> Result<Self, HttpError> {
        let types = query.types;
        let read = match media_type(headers).as_deref() {
            Some("application/json") if query.has_query_options() => Err(HttpError::bad_request(
                "a JSON body has 'begin', 'end' and 'limit' itself, not in the address",
            )),
            Some("application/json") => Self::from_json(&read_body(headers, body).await?),
            Some("text/plain") => Self::from_text(&read_body(headers, body).await?, &query),
            other => Err(wrong_media_type(other, "application/json or text/plain")),
        };
        Ok(Self { types, ..read? })
    }

    fn from_json(body: &[u8]) -> Result<Self, HttpError> {
        let JsonBody { sql, parameters, begin, end, limit } = from_json(body)?;
        // the engine knows parameters by name only
        let sql = match &parameters {
            Some(serde_json::Value::Array(_)) => {
                QueryRequest::numbered(&sql).map_err(|e| HttpError::of_query(&e, None))?.into_owned()
            }
            _ => sql,
        };
        let parameters = parameters.map(parameters::from_json).transpose()?;
        let range = TimeRange { begin: bound("begin", begin)?, end: bound("end", end)? };
        Ok(Self { sql, parameters, range, limit, types: AnswerTypes::default() })
    }

    fn from_text(body: &[u8], query: &QueryString) -> Result<Self, HttpError> {
        let sql = std::str::from_utf8(body).map_err(|e| {
            HttpError::bad_request(format!("the query is not UTF-8 after byte {}", e.valid_up_to()))
        })?;
        let limit = query.limit.as_deref().map(|text| {
            text.parse()
                .map_err(|_| HttpError::bad_request(format!("'limit' is not a number of rows: '{text}'")))
        });
        let range =
            TimeRange { begin: bound("begin", query.begin.clone())?, end: bound("end", query.end.clone())? };
        let types = AnswerTypes::default();
        Ok(Self { sql: sql.to_owned(), parameters: None, range, limit: limit.transpose()?, types })
    }
}

/// A bound of the range, for errors with its name in the request.
pub(super) fn bound(name: &str, text: Option<String>) -> Result<Option<i64>, HttpError> {
    let bound = text.map(|text| TimeRange::parse_bound(&text)).transpose();
    bound.map_err(|e| HttpError::bad_request(format!("'{name}' is not valid: {e}")))
}

/// Parses a body that has to be JSON.
pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(body)
        .map_err(|e| HttpError::bad_request(format!("the body is not a query in JSON: {e}")))
}

/// The media type of the body, without parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

pub(super) fn wrong_media_type(found: Option<&str>, wanted: &str) -> HttpError {
    let message = match found {
        Some(found) => format!("the body is '{found}': send {wanted}"),
        None => format!("the request has no content type: send 'Content-Type: {wanted}'"),
    };
    HttpError::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

/// Reads a body within the limits of size and time.
pub(super) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, HttpError> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(HttpError::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body has a content encoding: send queries uncompressed",
        ));
    }
    let too_large = || {
        HttpError::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {MAX_BODY_BYTES} bytes"),
        )
    };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_BODY_BYTES)).await {
        Err(_) => Err(HttpError::refused(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to arrive: send it again",
        )),
        Ok(Err(e)) if IngestionService::is_length_limit(&e) => Err(too_large()),
        Ok(Err(e)) => Err(HttpError::bad_request(format!("the body could not be read: {e}"))),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_model::time::SECOND;
    use serde_json::json;

    fn read(json: &serde_json::Value) -> Result<QueryBody, HttpError> {
        QueryBody::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn each_bound_works_alone_and_a_day_is_its_first_instant() {
        let range = |json| read(&json).unwrap().range;
        let day = Some(86_400 * SECOND);
        assert_eq!(range(json!({"sql": "", "begin": "1970-01-02"})), TimeRange { begin: day, end: None });
        assert_eq!(
            range(json!({"sql": "", "end": "1970-01-02T01:00:00+01:00"})),
            TimeRange { begin: None, end: day }
        );
        assert_eq!(range(json!({"sql": ""})), TimeRange::ALL);
        let error = read(&json!({"sql": "", "end": "now"})).unwrap_err();
        assert!(error.to_string().starts_with("'end' is not valid"), "{error}");
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_left_out() {
        assert!(read(&json!({"sql": "", "begn": "1970-01-02"})).unwrap_err().to_string().contains("begn"));
        assert!(read(&json!({"begin": "1970-01-02"})).unwrap_err().to_string().contains("sql"));
        assert!(read(&json!({"sql": "", "limit": -1})).is_err());
        assert!(QueryString::read(Some("fromat=csv")).unwrap_err().to_string().contains("'fromat'"));
        assert!(QueryString::read(Some("format=xml")).unwrap_err().to_string().contains("ndjson"));
    }

    #[test]
    fn question_marks_are_placeholders_if_there_are_values_for_them() {
        let sql = |json| read(&json).unwrap().sql;
        assert_eq!(sql(json!({"sql": "SELECT ?, '?'", "parameters": [1]})), "SELECT $1, '?'");
        assert_eq!(sql(json!({"sql": "SELECT ?"})), "SELECT ?");
        assert_eq!(sql(json!({"sql": "SELECT $a", "parameters": {"a": 1}})), "SELECT $a");
    }

    #[test]
    fn sql_as_it_is_has_the_rest_in_the_address() {
        let query = QueryString::read(Some("begin=1970-01-02&limit=3&format=csv")).unwrap();
        assert_eq!(query.format, Some(Format::Csv));
        let body = QueryBody::from_text(b"SELECT 1", &query).unwrap();
        assert_eq!((body.sql.as_str(), body.limit), ("SELECT 1", Some(3)));
        assert_eq!(body.range, TimeRange { begin: Some(86_400 * SECOND), end: None });
        let query = QueryString::read(Some("limit=few")).unwrap();
        assert!(QueryBody::from_text(b"SELECT 1", &query).unwrap_err().to_string().contains("'few'"));
        assert!(QueryBody::from_text(b"\xff", &QueryString::default()).is_err());
    }
}
