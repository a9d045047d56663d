//! Work that is done where queries run, and work on what clients sent, which may go wrong in ways that nobody foresaw.

use super::status;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tonic::Status;

/// Does work in the runtime of queries: the thread of a connection has others to serve meanwhile. Work that nobody
/// waits for any more is not begun.
pub(super) async fn away<T: Send + 'static>(
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

/// Does work on bytes that a client sent. Arrow's readers and casts stop with a panic at some of what must not be:
/// that is the client's fault and nobody else's. The caller throws away what the work may have left half done.
pub(super) fn unharmed<T>(work: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(status::unreadable_data(&words(panic.as_ref()))))
}

fn words(panic: &(dyn Any + Send)) -> String {
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
        let refused = unharmed::<()>(|| panic!("no such {}", "type")).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("no such type"), "{}", refused.message());
    }

    #[tokio::test]
    async fn a_panic_elsewhere_is_the_servers_fault() {
        let failed = away::<()>(&Handle::current(), || panic!("a bug")).await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal);
    }
}
