//! Connections: accepted, encrypted, limited and closed.
//!
//! HTTP/2 is told from HTTP/1 by its first bytes, with and without TLS.
//!
//! Invariant: a client that does nothing, or does it too slowly, loses its connection: before TLS, before the first
//! request, in the middle of a head, and between requests. So does a client that does not read a response. Bodies of
//! requests have time limits where they are read.
//! Invariant: lines of an HTTP/1 head end in CR LF. What doesn't is refused.

mod door;
mod first_byte_timeout;
mod response_watch;
mod rest_of_body;
mod strict_lines;
#[cfg(test)]
mod tests;
mod write_timeout;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
pub(crate) use door::Door;
use first_byte_timeout::FirstByteTimeout;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use response_watch::ResponseWatch;
use rest_of_body::RestOfBody;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use strict_lines::StrictLines;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;
use write_timeout::WriteTimeout;

/// Pause after the operating system failed to accept a connection, mostly because the process has no file handles left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The acceptor of TLS connections.
#[derive(Clone)]
pub(crate) struct Tls {
    #[cfg(feature = "tls")]
    acceptor: tokio_rustls::TlsAcceptor,
    /// Without the feature the type has no value.
    #[cfg(not(feature = "tls"))]
    never: std::convert::Infallible,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(feature = "tls")]
impl From<tokio_rustls::TlsAcceptor> for Tls {
    fn from(acceptor: tokio_rustls::TlsAcceptor) -> Self {
        Self { acceptor }
    }
}

/// Limits on the connections to one address.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// Open connections. Further ones wait in the operating system's queue.
    pub(crate) connections: usize,
    /// How long a TLS handshake may take.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "there are no handshakes"))]
    pub(crate) handshake: Duration,
    /// How long the head of a request may take, counted from the end of the request before: so, how long a connection may
    /// be idle.
    pub(crate) head: Duration,
    /// How often an HTTP/2 connection is pinged …
    pub(crate) ping: Duration,
    /// … and how long the answer may take.
    pub(crate) pong: Duration,
    /// Concurrent requests on an HTTP/2 connection.
    pub(crate) streams: u32,
    /// Size of the head of a request.
    pub(crate) head_bytes: u32,
    /// How long a response may make no progress because the client does not read.
    pub(crate) answer: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(20),
            streams: 256,
            head_bytes: 64 << 10,
            // somebody may be reading the answer in a pager
            answer: Duration::from_secs(300),
        }
    }
}

impl ConnectionLimits {
    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .max_buf_size(self.head_bytes as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(self.ping)
            .keep_alive_timeout(self.pong)
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.head_bytes);
        builder
    }
}

/// Serves until `stop` is done, then finishes the requests under way.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let server = Arc::new(Server { builder: limits.builder(), router, tls, limits });
    let graceful = GracefulShutdown::new();
    let (closing, is_closing) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (server, watcher, is_closing) = (server.clone(), graceful.watcher(), is_closing.clone());
                tokio::spawn(async move {
                    server.connection(stream, peer, watcher, is_closing).await;
                    drop(permit);
                });
            }
            // the client was gone before we accepted it
            Err(e) if is_client_error(&e) => {}
            Err(e) => {
                tracing::error!("connections can't be accepted for now: {e}");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(ACCEPT_RETRY_DELAY) => {}
                }
            }
        }
    }
    drop(listener);
    let _ = closing.send(true);
    graceful.shutdown().await;
}

fn is_client_error(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    tls: Option<Tls>,
    limits: ConnectionLimits,
}

impl Server {
    async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        watcher: Watcher,
        is_closing: watch::Receiver<bool>,
    ) {
        // answers are written in large pieces: Nagle's algorithm would only delay them
        let _ = stream.set_nodelay(true);
        let stream = WriteTimeout::new(stream, self.limits.answer);
        match &self.tls {
            None => self.requests(stream, peer, watcher).await,
            #[cfg(feature = "tls")]
            Some(tls) => {
                if let Some(stream) = self.handshake(tls, stream, peer, is_closing).await {
                    self.requests(stream, peer, watcher).await;
                }
            }
            #[cfg(not(feature = "tls"))]
            Some(tls) => match tls.never {},
        }
        #[cfg(not(feature = "tls"))]
        drop(is_closing);
    }

    #[cfg(feature = "tls")]
    async fn handshake(
        &self,
        tls: &Tls,
        stream: WriteTimeout<TcpStream>,
        peer: SocketAddr,
        mut is_closing: watch::Receiver<bool>,
    ) -> Option<tokio_rustls::server::TlsStream<WriteTimeout<TcpStream>>> {
        let handshake = tokio::time::timeout(self.limits.handshake, tls.acceptor.accept(stream));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            // no request to finish yet
            _ = is_closing.wait_for(|is_closing| *is_closing) => return None,
        };
        match outcome {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(e)) => {
                tracing::debug!(%peer, "TLS handshake failed: {e}");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "the TLS handshake took too long");
                None
            }
        }
    }

    async fn requests<I>(&self, stream: I, peer: SocketAddr, watcher: Watcher)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let watch = Arc::new(ResponseWatch::default());
        let watching = watch.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let watch = watching.clone();
            // who waits for a permission to send has sent nothing, and reading would be the permission
            let is_waiting = request.headers().contains_key(header::EXPECT);
            let rest = RestOfBody::default();
            let answer = router.clone().oneshot(request.map(|body| rest.of(Body::new(body))));
            async move {
                let answer = answer.await?;
                if !is_waiting {
                    rest.read().await;
                }
                Ok::<_, std::convert::Infallible>(answer.map(|body| watch.watch(body)))
            }
        });
        let io = TokioIo::new(StrictLines::new(FirstByteTimeout::new(stream, self.limits.head)));
        tokio::select! {
            served = watcher.watch(self.builder.serve_connection(io, service)) => {
                if let Err(e) = served {
                    tracing::debug!(%peer, "a connection ended: {e}");
                }
            }
            // the whole connection is dropped: hyper has no way to drop what waits for one stream's window
            () = watch.stalled(self.limits.answer) => {
                tracing::debug!(%peer, "closed a connection: the client read nothing of a response for too long");
            }
        }
    }
}
