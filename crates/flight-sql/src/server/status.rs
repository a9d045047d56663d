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
        QueryError::Busy(_) => Code::Aborted,
        QueryError::Cancelled(_) => Code::Cancelled,
        QueryError::Unsupported(_) => Code::Unimplemented,
        QueryError::Incomplete(_) => Code::DataLoss,
        QueryError::Internal(_) => Code::Internal,
    };
    let said = error.report(query_id);
    match query_id {
        Some(id) => Status::new(code, format!("{said} (query_id={id})")),
        None => Status::new(code, said),
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
        _ => Status::internal(QueryError::Internal(error.to_string()).report(None)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_lake::Cause;

    #[test]
    fn what_the_lake_says_about_its_host_is_told_nobody() {
        let secret = "s3://bucket/records/7: /var/lib/lake: permission denied";
        let id = Uuid::from_u128(7);
        let status = from_query_error(&QueryError::Internal(secret.to_owned()), Some(id));
        assert!(
            !status.message().contains("lake:") && status.message().contains(&id.to_string()),
            "{status:?}"
        );
        for error in [
            LakeError::Database(Cause::from(secret)),
            LakeError::Objects(Cause::from(secret)),
            LakeError::Corrupt(Cause::from(secret)),
            LakeError::Address(Cause::from(secret)),
        ] {
            let status = from_lake_error(&error);
            assert!(!status.message().contains("bucket") && !status.message().contains("/var"), "{status:?}");
            assert!(status.message().contains("log"), "{status:?}");
        }
    }
}
