//! The first bytes of a connection, which say what it speaks.
//!
//! Whoever tells HTTP/2 from HTTP/1 waits for them as long as it takes. So they get a deadline here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What HTTP/2 begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that fails if its first bytes take too long.
pub(super) struct Opening<I> {
    inner: I,
    /// `None` when it is known what it speaks: there are other deadlines then.
    waiting: Option<Waiting>,
}

struct Waiting {
    deadline: Pin<Box<Sleep>>,
    /// Bytes of the preface that were there already.
    matched: usize,
}

impl<I> Opening<I> {
    pub(super) fn new(inner: I, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(patience));
        Self { inner, waiting: Some(Waiting { deadline, matched: 0 }) }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Opening<I> {
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
                match read.is_ok() && !new.is_empty() && new.len() < rest.len() && rest.starts_with(new) {
                    true => waiting.matched += new.len(),
                    false => this.waiting = None,
                }
                Poll::Ready(read)
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Opening<I> {
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
