//! Calls with one message.

use belvedere_lake::axum::BoxError;
use belvedere_lake::axum::body::Body;
use belvedere_lake::axum::extract::Request;
use futures::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// How long a message may take to come. It is small, and a client that goes away in the middle of it may never say so.
const WHOLE: Duration = Duration::from_secs(30);

/// The request, which has to be there in time.
pub(super) async fn in_time(request: Request) -> Request {
    request.map(|body| until(body, Instant::now() + WHOLE))
}

/// The body until that instant: what of it comes later is an error.
fn until(body: Body, by: Instant) -> Body {
    let chunks = futures::stream::unfold(Some(body.into_data_stream()), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout_at(by, chunks.next()).await {
            Ok(chunk) => Some((chunk?.map_err(BoxError::from), Some(chunks))),
            Err(_) => {
                let late = format!("the request did not arrive completely within {WHOLE:?}");
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
