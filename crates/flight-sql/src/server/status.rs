//! What a client is told when something went wrong.

use belvedere_core::query::QueryError;
use belvedere_lake::LakeError;
use belvedere_lake::access::Refused;
use tonic::{Code, Status};
use uuid::Uuid;

/// The status of a query that failed; the only place that knows which code an error has.
pub(super) fn of_query(error: &QueryError, query_id: Option<Uuid>) -> Status {
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

/// The status where a right is missing.
pub(super) fn of_refusal(refused: &Refused) -> Status {
    Status::permission_denied(refused.to_string())
}

/// The status of an insertion that failed.
pub(super) fn of_lake(error: &LakeError) -> Status {
    match error {
        LakeError::Refused(_) => Status::invalid_argument(error.to_string()),
        LakeError::Closed => Status::unavailable(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}

/// The status where a client's data can't be read.
pub(super) fn unreadable_data(reason: &str) -> Status {
    Status::invalid_argument(format!("the data in the request can't be read: {reason}"))
}

/// The status where an answer can't be encoded.
pub(super) fn unencodable(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("the result can't be encoded: {error}"))
}
