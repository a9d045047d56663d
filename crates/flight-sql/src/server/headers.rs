//! Headers of a request: caller, client and options.

use belvedere_core::query::ClientInfo;
use belvedere_lake::access::Caller;
use belvedere_lake::axum::extract::ConnectInfo;
use belvedere_model::time::{TimeRange, parse_rfc3339};
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// What a request has beside its message.
#[derive(Debug, Clone)]
pub(super) struct RequestContext {
    pub(super) caller: Arc<Caller>,
    pub(super) client: ClientInfo,
    pub(super) options: RequestOptions,
}

/// Options of a query that headers set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RequestOptions {
    /// Range of event times; each bound may be set alone.
    pub(super) range: TimeRange,
    /// Maximum number of rows.
    pub(super) limit: Option<u64>,
    /// Whether dictionary columns are sent as dictionaries.
    pub(super) keeps_dictionaries: Option<bool>,
    /// Whether an answer that lacks something is to be an error.
    pub(super) is_strict: bool,
}

/// Reads the headers of a request. One without a caller was not authenticated.
pub(super) fn request_context<T>(request: &Request<T>) -> Result<RequestContext, Status> {
    let caller = request.extensions().get::<Arc<Caller>>().cloned().ok_or_else(|| {
        Status::unauthenticated("the caller is not authenticated: send 'authorization: Bearer KEY'")
    })?;
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let headers = request.metadata();
    Ok(RequestContext {
        caller,
        client: ClientInfo::from_headers(headers.as_ref(), peer),
        options: options(headers)?,
    })
}

fn options(headers: &MetadataMap) -> Result<RequestOptions, Status> {
    let bound = |name: &str| {
        let parse = |text: String| {
            parse_rfc3339(&text).map_err(|e| {
                Status::invalid_argument(format!("Unable to parse {name} as a rfc3339 datetime: {e}"))
            })
        };
        text(headers, name).map(parse).transpose()
    };
    let limit = text(headers, "limit").map(|text| {
        text.parse::<u64>().map_err(|e| {
            Status::invalid_argument(format!("error parsing limit: '{text}' is not a number of rows: {e}"))
        })
    });
    Ok(RequestOptions {
        range: TimeRange { begin: bound("query_range_begin")?, end: bound("query_range_end")? },
        limit: limit.transpose()?,
        keeps_dictionaries: text(headers, "preserve_dictionary")
            .map(|text| text.eq_ignore_ascii_case("true")),
        is_strict: text(headers, "x-strict").is_some_and(|text| text.eq_ignore_ascii_case("true")),
    })
}

/// A header's printable characters; `None` if they are only spaces.
fn text(headers: &MetadataMap, name: &str) -> Option<String> {
    let text = printable(headers.get(name)?.as_encoded_bytes());
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn printable(bytes: &[u8]) -> String {
    bytes.iter().filter(|b| matches!(b, b' '..=b'~')).map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> MetadataMap {
        let mut headers = MetadataMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn each_bound_works_alone_and_an_empty_one_is_none() {
        let both = headers(&[("query_range_begin", "2026-01-01T00:00:00Z"), ("query_range_end", "")]);
        let range = options(&both).unwrap().range;
        assert_eq!(range, TimeRange { begin: Some(1_767_225_600_000_000_000), end: None });
    }

    #[test]
    fn what_cannot_be_parsed_is_refused_in_known_words() {
        let message = |name, value| options(&headers(&[(name, value)])).unwrap_err().message().to_owned();
        assert!(
            message("query_range_end", "soon")
                .starts_with("Unable to parse query_range_end as a rfc3339 datetime: ")
        );
        assert!(message("limit", "-1").starts_with("error parsing limit: "));
    }

    #[test]
    fn only_the_word_true_keeps_dictionaries() {
        let of = |value| options(&headers(&[("preserve_dictionary", value)])).unwrap().keeps_dictionaries;
        assert_eq!([of("TRUE"), of("1"), of("")], [Some(true), Some(false), None]);
    }
}
