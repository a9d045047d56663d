//! A timeout for the first bytes of a connection.
//!
//! hyper tells HTTP/2 from HTTP/1 by them, and waits for them without limit: its own timeouts begin when the version is
//! known.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The first bytes of HTTP/2.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that fails if its first bytes take too long.
pub(super) struct FirstByteTimeout<I> {
    inner: I,
    /// `None` once the version is known: other timeouts apply then.
    waiting: Option<Waiting>,
}

struct Waiting {
    deadline: Pin<Box<Sleep>>,
    /// Bytes of the preface that were received so far.
    matched: usize,
}

impl<I> FirstByteTimeout<I> {
    pub(super) fn new(inner: I, timeout: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(timeout));
        Self { inner, waiting: Some(Waiting { deadline, matched: 0 }) }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for FirstByteTimeout<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        let Some(waiting) = &mut this.waiting else { return polled };
        match polled {
            Poll::Pending => waiting
                .deadline
                .as_mut()
                .poll(context)
                .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "no request arrived"))),
            Poll::Ready(read) => {
                let new = buffer.filled().get(before..).unwrap_or_default();
                let rest = PREFACE.get(waiting.matched..).unwrap_or_default();
                if read.is_ok() && !new.is_empty() && new.len() < rest.len() && rest.starts_with(new) {
                    waiting.matched += new.len()
                } else {
                    this.waiting = None
                }
                Poll::Ready(read)
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FirstByteTimeout<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
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
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
