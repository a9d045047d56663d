//! Connections: how they are taken, encrypted, bounded and brought to their end.
//!
//! Invariant: who connects and then does nothing, or does it slowly, loses the connection: before TLS, before the
//! first request, amid a head, and between requests. So does who takes nothing of an answer. Bodies of requests have
//! time limits of their own, where they are read.
//! HTTP/2 is told from HTTP/1 by its first bytes, with and without TLS.

mod answers;
mod opening;
mod stalling;
#[cfg(test)]
mod tests;

use answers::Answers;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use futures::TryFutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use opening::Opening;
use stalling::Stalling;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// How long nobody is taken after the operating system refused: it has no file handles left, mostly.
const PAUSE: Duration = Duration::from_millis(500);

/// What answers TLS handshakes.
#[derive(Clone)]
pub(crate) struct Tls {
    #[cfg(feature = "tls")]
    acceptor: tokio_rustls::TlsAcceptor,
    /// Without the feature there is none.
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

/// What connections to one address may take.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// Connections at once; more wait to be taken.
    pub(crate) connections: usize,
    /// How long a TLS handshake may take.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "there are no handshakes"))]
    pub(crate) handshake: Duration,
    /// How long the head of a request may take, from when it could have begun: so, how long a connection may idle.
    pub(crate) head: Duration,
    /// How often it is asked whether the other end of an HTTP/2 connection is there …
    pub(crate) ping: Duration,
    /// … and how long its answer may take.
    pub(crate) pong: Duration,
    /// Requests at once on an HTTP/2 connection.
    pub(crate) streams: u32,
    /// Bytes of a request's head.
    pub(crate) head_bytes: u32,
    /// How long an answer waits for somebody who takes nothing of it.
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
            // somebody may be reading in a pager
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

/// Serves until `stop` is done, then lets requests under way come to their end.
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
            // they were gone before we came
            Err(e) if is_about_the_other_end(&e) => {}
            Err(e) => {
                tracing::error!("connections can't be accepted for now: {e}");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    let _ = closing.send(true);
    graceful.shutdown().await;
}

fn is_about_the_other_end(error: &std::io::Error) -> bool {
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
        // answers are written at once, there is nothing to wait for
        let _ = stream.set_nodelay(true);
        let stream = Stalling::new(stream, self.limits.answer);
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
        stream: Stalling<TcpStream>,
        peer: SocketAddr,
        mut is_closing: watch::Receiver<bool>,
    ) -> Option<tokio_rustls::server::TlsStream<Stalling<TcpStream>>> {
        let handshake = tokio::time::timeout(self.limits.handshake, tls.acceptor.accept(stream));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            // nothing was asked yet that would be worth waiting for
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
        let answers = Arc::new(Answers::default());
        let watching = answers.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let answers = watching.clone();
            let answer = router.clone().oneshot(request.map(Body::new));
            answer.map_ok(move |answer| answer.map(|body| answers.watch(body)))
        });
        let io = TokioIo::new(Opening::new(stream, self.limits.head));
        tokio::select! {
            served = watcher.watch(self.builder.serve_connection(io, service)) => {
                if let Err(e) = served {
                    tracing::debug!(%peer, "a connection ended: {e}");
                }
            }
            // all of it, since nobody can take back what waits for a window of HTTP/2
            () = answers.stalled(self.limits.answer) => {
                tracing::debug!(%peer, "closed a connection: the client read nothing of a response for too long");
            }
        }
    }
}
