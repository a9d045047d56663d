//! `belvedere serve`

use super::lake::open_for_server;
use super::paths;
use super::query_worker::workers;
use super::readiness::Readiness;
use super::root::Root;
use crate::access::{self, Security};
use crate::args::{ListenAt, Role, ServeArgs};
use crate::background::{QUERY_NICE, Threads};
use crate::listener::{self, ConnectionLimits, Door, Tls};
use anyhow::{Context, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use belvedere_core::Lake;
use belvedere_core::assembly::Assembly;
use belvedere_core::isolation::{Scratch, Workers};
use belvedere_core::lake::MaintenanceConfig;
use belvedere_core::service::{QueryLimits, QueryService};
use belvedere_lake::access::Right;
use belvedere_lake::ingest::{IngestLimits, IngestionService};
use belvedere_lake::{LakeConnection, OpenProgress, Routes};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(25);
/// Opening a lake that takes longer is told.
const SLOW_OPENING: Duration = Duration::from_secs(1);
/// Priority of background work, which gives way to queries and ingestion.
const MAINTENANCE_NICE: i32 = 15;
/// Threads of the query runtime for each core. Queries compute for long without yielding, so with one thread for each core
/// a few heavy queries would block all others.
const QUERIES_AT_ONCE: usize = 5;

pub(crate) async fn serve(args: ServeArgs) -> Result<()> {
    let tls = access::tls(&args.access)?;
    let limits = IngestLimits {
        body_bytes: (args.max_body as usize) << 20,
        block_bytes: args.lake.max_block << 20,
        pending_bytes: (args.max_pending as usize) << 20,
        min_rate: args.min_body_rate,
        ..IngestLimits::default()
    };
    let has = |role| args.roles.contains(&role);
    // addresses first: no lake is created for a server that can't start
    let mut listeners = vec![("http", listen("http", args.http).await?)];
    if has(Role::Ingest) {
        for (name, wanted, port) in [("otlp-http", args.otlp_http, 4318), ("otlp-grpc", args.otlp_grpc, 4317)]
        {
            if let Some(listener) = listen_too(name, wanted, port).await? {
                listeners.push((name, listener));
            }
        }
    }
    if has(Role::Query)
        && let Some(listener) = listen_too("flight-sql", args.flight_sql, 50051).await?
    {
        listeners.push(("flight-sql", listener));
    }
    let addresses =
        listeners.iter().map(|(_, listener)| listener.local_addr()).collect::<Result<Vec<_>, _>>()?;
    let budget = args.queries.budget(args.lake.memory());
    let scratch = Arc::new(Scratch::new(args.lake.spill_directory().as_deref())?);
    // before the lake is opened, which may take a while: whoever asks is told to wait
    let progress = OpenProgress::default();
    let serving = Serving::start(listeners, tls.clone(), &progress)?;
    // caught from here on; whoever reads the lines below may send a signal at once
    let mut stop = Box::pin(stopped());
    let opening = async {
        let mut opened = std::pin::pin!(open_for_server(&args.lake, &budget, &scratch, &progress));
        tokio::select! {
            lake = &mut opened => return lake,
            () = tokio::time::sleep(SLOW_OPENING) => {}
        }
        note!(
            "the lake is being opened; /ready says how far that is, and other requests are refused meanwhile"
        );
        opened.await
    };
    let lake = tokio::select! {
        lake = opening => lake?,
        () = &mut stop => return Ok(()),
    };
    if lake.connection().is_read_only() && (has(Role::Ingest) || has(Role::Maintain)) {
        lake.close().await;
        return Err(super::lake::read_only(&args.lake, "serve it with '--roles query'"));
    }
    let security = match access::gate(&args.access, &addresses, lake.connection(), &args.lake.lake).await {
        Ok(gate) => Security { gate, tls },
        Err(e) => {
            lake.close().await;
            return Err(e);
        }
    };
    if let Some(warning) = access::warning(&security, &addresses) {
        note!("{warning}");
    }
    let retention = match super::maintain::retention(&args.keep, &lake) {
        Ok(retention) => retention,
        Err(e) => {
            lake.close().await;
            return Err(e);
        }
    };
    let upkeep = has(Role::Maintain).then(|| MaintenanceConfig { retention, ..MaintenanceConfig::default() });
    let queries = match has(Role::Query) {
        true => Some((args.queries.limits(&budget), workers(&args.lake, &budget, scratch)?)),
        false => None,
    };
    let is_https = security.tls.is_some();
    let root = Root::new(
        has(Role::Query),
        #[cfg(feature = "web")]
        args.web,
        &serving,
        &lake,
    );
    let page = root.page(is_https, addresses.first());
    let server =
        Server::start(lake, serving, has(Role::Ingest).then_some(limits), queries, upkeep, security, root)?;
    for line in server.addresses() {
        note!("listening {line}");
    }
    if let Some(page) = page {
        note!("the web application is at {page}");
    }
    server.run(stop).await
}

/// Whether a plug-in has routes for the address of that name.
fn is_served(assembly: &Assembly, listener: &str) -> bool {
    let ingestion =
        assembly.extensions::<Routes<IngestionService>>().map(|(routes, _)| routes.listener_names());
    let queries = assembly.extensions::<Routes<QueryService>>().map(|(routes, _)| routes.listener_names());
    ingestion.chain(queries).any(|names| names.contains(&listener))
}

/// Binds the address of a plug-in's protocol. It is no error if the default address is taken, by another server or by a
/// collector.
async fn listen_too(name: &'static str, wanted: Option<ListenAt>, port: u16) -> Result<Option<TcpListener>> {
    if !is_served(&crate::linked::assembly()?, name) {
        if matches!(wanted, Some(ListenAt::Address(_))) {
            note!("not built: {name}");
        }
        return Ok(None);
    }
    match wanted {
        Some(ListenAt::Off) => Ok(None),
        Some(ListenAt::Address(address)) => listen(name, address).await.map(Some),
        None => match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => Ok(Some(listener)),
            Err(e) => {
                note!(
                    "not listening for {name} on 127.0.0.1:{port}: {e}; use '--{name} ADDR' for another address"
                );
                Ok(None)
            }
        },
    }
}

/// Binds an address, with a hint if it is taken.
pub(crate) async fn listen(name: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "can't listen on {address}: another program may be using it; '--{name} 127.0.0.1:0' picks a free port"
        )
    })
}

/// Addresses that are served already. What is behind their doors is decided later.
pub(crate) struct Serving {
    /// By the name of the address.
    doors: Vec<(&'static str, SocketAddr, Door)>,
    tasks: JoinSet<()>,
    stopping: watch::Sender<bool>,
}

impl Serving {
    /// The port of the address of that name.
    #[cfg(feature = "web")]
    pub(crate) fn port(&self, name: &str) -> Option<u16> {
        self.doors.iter().find(|(known, ..)| *known == name).map(|(_, address, _)| address.port())
    }

    /// Serves these addresses. All doors are closed.
    pub(crate) fn start(
        listeners: Vec<(&'static str, TcpListener)>,
        tls: Option<Tls>,
        progress: &OpenProgress,
    ) -> Result<Self> {
        let (stopping, stopped) = watch::channel(false);
        let (mut doors, mut tasks) = (Vec::new(), JoinSet::new());
        for (name, listener) in listeners {
            let door = Door::closed(progress);
            doors.push((name, listener.local_addr()?, door.clone()));
            let stop = asked_to_stop(stopped.clone());
            let limits = ConnectionLimits::default();
            tasks.spawn(listener::serve(listener, door.router(), tls.clone(), limits, stop));
        }
        Ok(Self { doors, tasks, stopping })
    }
}

async fn asked_to_stop(mut stopped: watch::Receiver<bool>) {
    // a dropped sender means stop, too
    let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
}

/// A server with bound addresses.
pub(crate) struct Server {
    pub(crate) lake: Lake,
    serving: Serving,
    /// The runtime of queries.
    query_threads: Option<Threads>,
    workers: Option<Arc<Workers>>,
    /// The background work, if there is any.
    upkeep: Option<MaintenanceConfig>,
}

impl Server {
    /// Sets up a server, and opens its doors. It ingests if there are limits for that, and does background work if it is
    /// configured. The address `http` also serves the routes about the server itself.
    pub(crate) fn start(
        lake: Lake,
        serving: Serving,
        limits: Option<IngestLimits>,
        queries: Option<(QueryLimits, Arc<Workers>)>,
        upkeep: Option<MaintenanceConfig>,
        security: Security,
        root: Root,
    ) -> Result<Self> {
        let assembly = lake.assembly();
        for (name, version) in assembly.crates() {
            let sets: Vec<&str> = assembly
                .view_sets_with_crates()
                .filter(|(_, crate_name)| crate_name == name)
                .map(|(set, _)| set.name)
                .collect();
            tracing::info!("{name} {version} registered the view sets {}", sets.join(", "));
        }
        let writes = limits.is_some() || upkeep.is_some();
        let ingestion =
            limits.map(|limits| Arc::new(IngestionService::new(lake.connection().clone(), limits)));
        let workers = queries.as_ref().map(|(_, workers)| workers.clone());
        let (query_threads, queries) = match queries {
            Some((limits, workers)) => {
                let runtime = Threads::start(
                    "query",
                    lake.query_threads().saturating_mul(QUERIES_AT_ONCE),
                    QUERY_NICE,
                )?;
                let service =
                    QueryService::new(lake.clone(), limits, runtime.handle().clone()).with_workers(workers);
                (Some(runtime), Some(Arc::new(service)))
            }
            None => (None, None),
        };
        let mut protocols = Vec::new();
        for (routes, _) in assembly.extensions::<Routes<IngestionService>>() {
            let service = ingestion.clone();
            let router = service.map(|service| security.gate.guard(routes.router(service), Right::Send));
            protocols.extend(router.map(|router| (routes.listener_names(), routes.description(), router)));
        }
        for (routes, _) in assembly.extensions::<Routes<QueryService>>() {
            let router =
                queries.clone().map(|service| security.gate.guard(routes.router(service), Right::Read));
            protocols.extend(router.map(|router| (routes.listener_names(), routes.description(), router)));
        }
        let router = |name: &str| {
            let own = match name {
                "http" => probes(lake.connection().clone(), writes)
                    .merge(root.router())
                    .merge(security.gate.guard(metrics(lake.connection().clone()), Right::Read)),
                _ => Router::new(),
            };
            let here = || protocols.iter().filter(|(listeners, ..)| listeners.contains(&name));
            let all = here().fold(own, |router, (.., routes)| router.merge(routes.clone()));
            paths::with_help(all, here().map(|(_, about, _)| *about).collect())
        };
        for (name, _, door) in &serving.doors {
            door.open(router(name));
        }
        Ok(Self { lake, serving, query_threads, workers, upkeep })
    }

    /// The bound addresses with their names.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.serving.doors.iter().map(|(name, address, _)| format!("{name} {address}")).collect()
    }

    /// Serves until `stop` is done, then finishes the requests under way.
    pub(crate) async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let Serving { mut tasks, stopping, .. } = self.serving;
        let stopped = stopping.subscribe();
        let stop = tokio::spawn(async move {
            stop.await;
            tracing::info!("stopping: waiting for running requests");
            let _ = stopping.send(true);
        });
        let too_late = async {
            asked_to_stop(stopped).await;
            tokio::time::sleep(GRACE).await;
        };
        let background = match self.upkeep {
            Some(config) => Some(Background::start(self.lake.clone(), config)?),
            None => None,
        };
        let all_served = async {
            while let Some(served) = tasks.join_next().await {
                served.context("serving HTTP")?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            served = all_served => served?,
            () = too_late => tracing::warn!("some requests took longer than {GRACE:?} and were aborted"),
        }
        stop.abort();
        if let Some(background) = background {
            background.stop().await;
        }
        drop(self.query_threads);
        if let Some(workers) = self.workers {
            workers.close().await;
        }
        self.lake.close().await;
        Ok(())
    }
}

/// Background work, on a runtime of its own, so that requests don't wait behind it.
struct Background {
    threads: Threads,
    work: tokio::task::JoinHandle<()>,
}

impl Background {
    fn start(lake: Lake, config: MaintenanceConfig) -> Result<Self> {
        let threads = Threads::start("maintenance", lake.background_threads(), MAINTENANCE_NICE)?;
        let work = threads.handle().spawn(async move { lake.run_maintenance(&config).await });
        Ok(Self { threads, work })
    }

    /// Aborts the work. What is not published yet is made again later.
    async fn stop(self) {
        self.work.abort();
        let _ = self.work.await;
        drop(self.threads);
    }
}

/// Done when the process gets a signal to stop. Signals are caught from this call on, not from the first poll.
pub(crate) fn stopped() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        [SignalKind::interrupt(), SignalKind::terminate()].map(signal)
    };
    async move {
        #[cfg(unix)]
        if let [Ok(mut interrupt), Ok(mut terminate)] = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Routes without rights: `/health` says that the process is alive, `/ready` that database and object store respond and,
/// for those that write, can be written.
fn probes(lake: Arc<LakeConnection>, writes: bool) -> Router {
    let readiness = Arc::new(Readiness::new(lake, writes));
    Router::new().route("/health", get(|| async { StatusCode::OK })).route(
        "/ready",
        get(move || {
            let readiness = readiness.clone();
            async move { readiness.answer().await }
        }),
    )
}

/// `/metrics`: Prometheus text.
fn metrics(lake: Arc<LakeConnection>) -> Router {
    Router::new().route(
        "/metrics",
        get(move || async move {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], lake.metrics().to_text())
        }),
    )
}
