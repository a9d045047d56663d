//! Bytes to somebody who takes none.
//!
//! What is to be written is in memory until it is, and the operating system waits as long as it takes. Here it is the
//! socket itself that is looked at, below TLS: there it is seen when anything moves.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A connection that fails if the other end takes nothing of what is written.
pub(super) struct Stalling<I> {
    inner: I,
    patience: Duration,
    /// There as long as a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<I> Stalling<I> {
    pub(super) fn new(inner: I, patience: Duration) -> Self {
        Self { inner, patience, deadline: None }
    }

    fn bounded(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        deadline
            .as_mut()
            .poll(context)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client read nothing of the response")))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Stalling<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Stalling<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.bounded(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, bytes);
        this.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_write_of_which_nothing_is_taken_fails() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut ours = Stalling::new(ours, SHORT);
        let failed = ours.write_all(&[7; 64]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        drop(ours);
        let mut taken = Vec::new();
        theirs.read_to_end(&mut taken).await.unwrap();
        assert_eq!(taken, [7; 8]);
    }

    #[tokio::test]
    async fn whoever_takes_a_little_gets_more_time() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut ours = Stalling::new(ours, SHORT);
        assert_eq!(ours.write(&[7; 64]).await.unwrap(), 8);
        let polled =
            std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut ours).poll_write(context, &[7; 64])));
        assert!(polled.await.is_pending());
        assert!(ours.deadline.is_some());
        assert_eq!(theirs.read(&mut [0; 2]).await.unwrap(), 2);
        assert_eq!(ours.write(&[7; 64]).await.unwrap(), 2);
        assert!(ours.deadline.is_none());
    }
}
