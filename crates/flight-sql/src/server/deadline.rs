//! A deadline for the message of unary calls.

use belvedere_lake::axum::BoxError;
use belvedere_lake::axum::body::Body;
use belvedere_lake::axum::extract::Request;
use futures::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// How long a message may take to arrive. It is small, and a client that vanishes in the middle of it never says so.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Puts a deadline on the body of a request.
pub(super) async fn with_deadline(request: Request) -> Request {
    request.map(|body| until(body, Instant::now() + MESSAGE_TIMEOUT))
}

/// The body, which fails if it is not complete by then.
fn until(body: Body, by: Instant) -> Body {
    let chunks = futures::stream::unfold(Some(body.into_data_stream()), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout_at(by, chunks.next()).await {
            Ok(chunk) => Some((chunk?.map_err(BoxError::from), Some(chunks))),
            Err(_) => {
                let late = format!("the request did not come within {MESSAGE_TIMEOUT:?}: send it whole");
                Some((Err(BoxError::from(Status::deadline_exceeded(late))), None))
            }
        }
    });
    Body::from_stream(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_lake::axum::Error;
    use bytes::Bytes;
    use futures::stream;

    #[tokio::test]
    async fn a_body_of_which_half_never_comes_ends_with_an_error() {
        let half = stream::iter([Ok::<_, Error>(Bytes::from_static(b"half"))]).chain(stream::pending());
        let mut chunks = until(Body::from_stream(half), Instant::now()).into_data_stream();
        assert_eq!(chunks.next().await.unwrap().unwrap(), "half");
        let late = Status::from_error(BoxError::from(chunks.next().await.unwrap().unwrap_err()));
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        assert!(chunks.next().await.is_none());
    }
}
