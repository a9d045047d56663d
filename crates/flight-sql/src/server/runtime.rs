//! Where work runs, and how panics over hostile input are contained.

use super::status;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tonic::Status;

/// Runs work on the runtime of queries, since the thread of a connection has others to serve. If the caller is cancelled
/// before the work begins, it does not begin.
pub(super) async fn on_query_runtime<T: Send + 'static>(
    runtime: &Handle,
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let mut task = JoinSet::new();
    task.spawn_on(async move { work() }, runtime);
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(e)) => Err(Status::internal(format!("the request was aborted: {e}"))),
        None => Err(Status::internal("the request was aborted")),
    }
}

/// Runs work on bytes that a client sent, and turns a panic into an error for that client: Arrow's readers and casts panic
/// at some invalid data. The caller must drop everything that the work may have left inconsistent.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(status::unreadable_data(&panic_message(panic.as_ref()))))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it is not what it says it is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn a_panic_over_a_clients_bytes_is_told_to_the_client() {
        let refused = catch_panic::<()>(|| panic!("no such {}", "type")).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("no such type"), "{}", refused.message());
    }

    #[tokio::test]
    async fn a_panic_elsewhere_is_the_servers_fault() {
        let failed = on_query_runtime::<()>(&Handle::current(), || panic!("a bug")).await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal);
    }
}
