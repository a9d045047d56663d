//! What users type. Parsing only: what it means is resolved in [`crate::commands`].

mod access;
mod lake;
mod source;

pub(crate) use access::{AccessArgs, CreateKeyArgs, KeysAction, KeysArgs, ListKeysArgs, RevokeKeyArgs};
pub(crate) use lake::LakeArgs;

use crate::budget::{Budget, default_pending};
use crate::format::Format;
use belvedere_core::lake::{Keep, Retention};
use belvedere_core::service::QueryLimits;
use clap::{Args, Parser, Subcommand};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "cli-client")]
pub(crate) use source::ServerArgs;
pub(crate) use source::SourceArgs;

/// A telemetry lakehouse: keeps every event of every process at low cost, and answers SQL queries.
#[derive(Debug, Parser)]
#[command(
    name = "belvedere",
    version,
    propagate_version = true,
    after_help = "Set BELVEDERE_LOG to debug, info, warn, error or off to control logging to standard error."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub(crate) enum Command {
    /// Run a server: receive telemetry, store it in a lake, and answer queries.
    Serve(ServeArgs),
    /// Start a server and a small instrumented program, and show what arrives.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// The instrumented program of the demo.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoProgram(DemoProgramArgs),
    /// Create and merge partitions, and delete what has expired.
    Maintain(MaintainArgs),
    /// Check the catalog of a lake, its files, and the checksums of all that is in them.
    Fsck(FsckArgs),
    /// Run one SQL query.
    Query(QueryArgs),
    /// Run SQL queries interactively.
    #[cfg(feature = "prompt")]
    Sql(SqlArgs),
    /// Write a Perfetto trace of a process: threads, tasks, network, logs, measures.
    #[cfg(feature = "spans")]
    Trace(TraceArgs),
    /// Draw a flame graph of a thread, or of all threads of a process.
    #[cfg(feature = "spans")]
    Flame(FlameArgs),
    /// List the view sets of this binary, or of a server.
    Views(ViewsArgs),
    /// Show which partitions of a lake this program would rebuild, without rebuilding them.
    Plan(PlanArgs),
    /// Print the documentation of view sets and SQL functions. Needs no lake.
    Schema(SchemaArgs),
    /// Create, list and revoke API keys.
    Keys(KeysArgs),
    /// Answer queries of a server, which starts this.
    #[command(hide = true)]
    QueryWorker,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Address for HTTP: ingestion, queries, /health, /ready, /metrics; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub(crate) http: SocketAddr,
    /// Address for FlightSQL, or 'off' [default: 127.0.0.1:50051 if it is free]
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight_sql: Option<ListenAt>,
    /// Address for OTLP over HTTP, or 'off' [default: 127.0.0.1:4318 if it is free]
    #[arg(long, value_name = "ADDR")]
    pub(crate) otlp_http: Option<ListenAt>,
    /// Address for OTLP over gRPC, or 'off' [default: 127.0.0.1:4317 if it is free]
    #[arg(long, value_name = "ADDR")]
    pub(crate) otlp_grpc: Option<ListenAt>,
    #[cfg(feature = "web")]
    #[command(flatten)]
    pub(crate) web: WebArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Roles of this process: ingest (receives data), query (answers SQL), maintain (creates partitions, deletes what
    /// expired)
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Role::Ingest, Role::Query, Role::Maintain])]
    pub(crate) roles: Vec<Role>,
    #[command(flatten)]
    pub(crate) queries: QueryLimitArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    /// Maximum size of a request body, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_body: u64,
    /// Maximum total size of request bodies in memory, in MiB; further requests wait [default: an eighth of the memory of
    /// the machine or container, at most 512]
    #[arg(long, value_name = "MIB", default_value_t = default_pending(), hide_default_value = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_pending: u64,
    /// Minimum rate of a request body, in bytes per second, averaged over 10 seconds; slower ones are refused; 0 for none
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(crate) min_body_rate: usize,
}

/// The web application.
#[cfg(feature = "web")]
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WebArgs {
    /// Path under which a proxy shows this server, such as /belvedere; the proxy removes it from requests
    #[arg(long, value_name = "PATH", value_parser = belvedere_web::Options::check_public_path)]
    pub(crate) public_path: Option<String>,
    /// Directory with the files of the web application, for its developers
    #[arg(long, env = "BELVEDERE_WEB_DIR", hide = true)]
    pub(crate) web_dir: Option<PathBuf>,
}

/// Limits on queries of clients.
#[derive(Debug, Clone, Args)]
pub(crate) struct QueryLimitArgs {
    /// Maximum number of queries that run at the same time; others wait in a queue that is fair among callers
    /// [default: 4 for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_queries: Option<u64>,
    /// Maximum number of queries in the queue; further queries are refused
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_waiting: usize,
    /// Maximum memory per query, in MiB; sorts, groups and joins spill to disk before, and a query that needs more fails
    /// [default: a quarter of --memory, at most 512]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) query_memory: Option<u64>,
    /// Maximum time per query, until the client has read the last row
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = age)]
    pub(crate) query_time: Duration,
    /// Maximum time per query of a client that somebody is waiting for: Grafana, the web application
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = age)]
    pub(crate) interactive_query_time: Duration,
    /// Maximum time that a client may leave the rows of its query unread
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = age)]
    pub(crate) reader_time: Duration,
}

impl QueryLimitArgs {
    /// How a server shares out that many MiB of memory.
    pub(crate) fn budget(&self, memory: usize) -> Budget {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let budget = Budget::new(memory, self.query_memory.map(number));
        let processes = self.max_queries.map_or(budget.processes, |most| budget.processes.min(number(most)));
        Budget { processes, ..budget }
    }

    /// The limits of a service with that budget.
    pub(crate) fn limits(&self, budget: &Budget) -> QueryLimits {
        let usual = QueryLimits::default();
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        QueryLimits {
            memory_bytes: budget.operators,
            time: self.query_time,
            interactive_time: self.interactive_query_time,
            concurrent: self.max_queries.map_or(usual.concurrent, count),
            waiting: self.max_waiting,
            stalled: self.reader_time,
        }
    }
}

/// Address of a part of a server, or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenAt {
    Off,
    Address(SocketAddr),
}

impl std::str::FromStr for ListenAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            text => text
                .parse()
                .map(Self::Address)
                .map_err(|_| format!("'{text}' is neither an address like 127.0.0.1:4318 nor 'off'")),
        }
    }
}

/// Role of a server process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Receive telemetry from instrumented processes
    Ingest,
    /// Answer SQL
    Query,
    /// Create partitions in the background
    Maintain,
}

/// Retention. By default everything is kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeepArgs {
    /// Keep blocks for this long after their reception: 90d, 36h, 30m
    #[arg(long, value_name = "AGE", value_parser = age, env = "BELVEDERE_KEEP_BLOCKS")]
    pub(crate) keep_blocks: Option<Duration>,
    /// Keep at most this many bytes of blocks, the latest ones: 500GB, 20GiB
    #[arg(long, value_name = "SIZE", value_parser = size, env = "BELVEDERE_KEEP_BLOCKS_BYTES")]
    pub(crate) keep_blocks_bytes: Option<u64>,
    /// Keep partitions of every view set for this long; their rows stay when the blocks are deleted
    #[arg(long, value_name = "AGE", value_parser = age, env = "BELVEDERE_KEEP_VIEWS")]
    pub(crate) keep_views: Option<Duration>,
    /// Keep at most this many bytes of partitions of every view set
    #[arg(long, value_name = "SIZE", value_parser = size, env = "BELVEDERE_KEEP_VIEWS_BYTES")]
    pub(crate) keep_views_bytes: Option<u64>,
    /// Keep partitions of one view set for this long; overrides --keep-views
    #[arg(long, value_name = "VIEW_SET=AGE", value_parser = named_age)]
    pub(crate) keep_view: Vec<(String, Duration)>,
    /// Keep at most this many bytes of partitions of one view set; overrides --keep-views-bytes
    #[arg(long, value_name = "VIEW_SET=SIZE", value_parser = named_size)]
    pub(crate) keep_view_bytes: Vec<(String, u64)>,
}

impl KeepArgs {
    /// The retention of a lake.
    pub(crate) fn retention(&self) -> Retention {
        let views = Keep { age: self.keep_views, bytes: self.keep_views_bytes };
        let mut retention = Retention {
            blocks: Keep { age: self.keep_blocks, bytes: self.keep_blocks_bytes },
            views,
            named: BTreeMap::new(),
        };
        for (name, age) in &self.keep_view {
            retention.named.entry(name.clone()).or_insert(views).age = Some(*age);
        }
        for (name, bytes) in &self.keep_view_bytes {
            retention.named.entry(name.clone()).or_insert(views).bytes = Some(*bytes);
        }
        retention
    }
}

fn age(text: &str) -> Result<Duration, String> {
    let seconds = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    seconds
        .iter()
        .find_map(|(unit, seconds)| {
            text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*seconds)
        })
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a number and a unit: 90d, 36h, 30m or 10s".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let units = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("", 1_u64),
    ];
    units
        .iter()
        .find_map(|(unit, bytes)| text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*bytes))
        .ok_or_else(|| "expected a size: 500GB, 20GiB or 1000000".to_owned())
}

fn named<T>(text: &str, value: fn(&str) -> Result<T, String>) -> Result<(String, T), String> {
    let (name, rest) = text.split_once('=').ok_or("expected a view set, '=' and a value")?;
    Ok((name.to_owned(), value(rest)?))
}

fn named_age(text: &str) -> Result<(String, Duration), String> {
    named(text, age)
}

fn named_size(text: &str) -> Result<(String, u64), String> {
    named(text, size)
}

#[derive(Debug, Clone, Args)]
pub(crate) struct MaintainArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Bring everything up to date and exit, instead of running until Ctrl-C
    #[arg(long)]
    pub(crate) once: bool,
    /// Only show what the --keep-… flags would delete
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FsckArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Delete invalid partitions that can be rebuilt, and delete unreferenced files
    #[arg(long)]
    pub(crate) repair: bool,
    /// With --repair: also delete invalid partitions that are the last copy of their rows. What they have is lost
    #[arg(long, requires = "repair")]
    pub(crate) accept_loss: bool,
    /// Read only so many partitions and so many blocks. Without it, all of them are read, with their checksums
    #[arg(long, value_name = "N")]
    pub(crate) sample: Option<usize>,
}

/// Range of event time. Each bound works alone; both are inclusive.
#[derive(Debug, Clone, Args)]
pub(crate) struct RangeArgs {
    /// Only events at or after this time: RFC 3339, or a date (its first instant in UTC)
    #[arg(long, value_name = "TIME")]
    pub(crate) begin: Option<String>,
    /// Only events at or before this time: RFC 3339, or a date (its first instant in UTC)
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct QueryArgs {
    /// SQL of the query
    pub(crate) sql: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Output format [default: from the extension of --output, otherwise table]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// File to write to instead of standard output; an existing file is replaced only when the result is
    /// complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Fail if rows are missing from the result because their blocks can't be read
    #[arg(long)]
    pub(crate) strict: bool,
}

#[cfg(feature = "prompt")]
#[derive(Debug, Clone, Args)]
pub(crate) struct SqlArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Treat a result as failed if rows are missing because their blocks can't be read
    #[arg(long)]
    pub(crate) strict: bool,
}

#[cfg(feature = "spans")]
#[derive(Debug, Clone, Args)]
pub(crate) struct TraceArgs {
    /// Id of the process
    pub(crate) process_id: uuid::Uuid,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// File to write to, for ui.perfetto.dev; an existing file is replaced only when the result is complete
    #[arg(long, short, value_name = "FILE", default_value = "trace.pftrace")]
    pub(crate) output: PathBuf,
    /// Fail if rows are missing because their blocks can't be read
    #[arg(long)]
    pub(crate) strict: bool,
}

#[cfg(feature = "spans")]
#[derive(Debug, Clone, Args)]
pub(crate) struct FlameArgs {
    /// Id of a thread's stream, or of a process
    #[arg(value_name = "STREAM_ID|PROCESS_ID")]
    pub(crate) id: uuid::Uuid,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// File to write to, for a browser; an existing file is replaced only when the result is complete
    #[arg(long, short, value_name = "FILE", default_value = "flame.svg")]
    pub(crate) output: PathBuf,
    /// Fail if rows are missing because their blocks can't be read
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ViewsArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SchemaArgs {
    /// Print the documentation of this view set only
    pub(crate) view_set: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = SchemaFormat::Md)]
    pub(crate) format: SchemaFormat,
    /// Write the documentation of everything into a directory: index.md, a page for each view set, schema.json
    #[arg(long, value_name = "DIR", conflicts_with_all = ["view_set", "format"])]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SchemaFormat {
    /// Markdown
    Md,
    /// JSON
    Json,
}

#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Loopback address to listen on [default: 127.0.0.1:9000, or a free port if that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    #[cfg(feature = "web")]
    #[command(flatten)]
    pub(crate) web: WebArgs,
    /// Exit after the first queries instead of running until Ctrl-C
    #[arg(long)]
    pub(crate) once: bool,
}

#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoProgramArgs {
    /// Server to send to
    pub(crate) url: String,
}
