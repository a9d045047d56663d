//! Errors as gRPC statuses.

use belvedere_core::query::QueryError;
use belvedere_lake::LakeError;
use belvedere_lake::access::Refused;
use tonic::{Code, Status};
use uuid::Uuid;

/// The status of a query that failed. The only place that maps errors to codes.
pub(super) fn from_query_error(error: &QueryError, query_id: Option<Uuid>) -> Status {
    let code = match error {
        QueryError::Sql(_) => Code::InvalidArgument,
        QueryError::Rights(_) => Code::PermissionDenied,
        QueryError::Resources(_) | QueryError::Denied(_) => Code::ResourceExhausted,
        QueryError::TooLong(_) => Code::DeadlineExceeded,
        QueryError::Cancelled(_) => Code::Cancelled,
        QueryError::Unsupported(_) => Code::Unimplemented,
        QueryError::Internal(_) => Code::Internal,
    };
    match query_id {
        Some(id) => Status::new(code, format!("{error} (query_id={id})")),
        None => Status::new(code, error.to_string()),
    }
}

/// The status of a caller that lacks a right.
pub(super) fn from_refusal(refused: &Refused) -> Status {
    Status::permission_denied(refused.to_string())
}

/// The status of an insertion that failed.
pub(super) fn from_lake_error(error: &LakeError) -> Status {
    match error {
        LakeError::Refused(_) => Status::invalid_argument(error.to_string()),
        LakeError::Closed => Status::unavailable(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}

/// The status of a client's data that can't be decoded.
pub(super) fn unreadable_data(reason: &str) -> Status {
    Status::invalid_argument(format!("the data in the request can't be read: {reason}"))
}

/// The status of an answer that can't be encoded.
pub(super) fn unencodable(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("the result can't be encoded: {error}"))
}
