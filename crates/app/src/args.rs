//! What users type. Parsing only: what it means is resolved in [`crate::commands`].

use crate::format::Format;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A telemetry lakehouse: every event of every process, at low cost, behind SQL.
#[derive(Debug, Parser)]
#[command(
    name = "belvedere",
    version,
    propagate_version = true,
    after_help = "BELVEDERE_LOG=debug (or info, warn, error, off) says how much is logged to standard error."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take what instrumented processes send, and keep it in a lake.
    Serve(ServeArgs),
    /// Serve, send from a small instrumented program, and show what arrives.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// The instrumented program of the demo.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoProgram(DemoProgramArgs),
    /// Answer one SQL query.
    Query(QueryArgs),
    /// Answer SQL queries as you type them.
    #[cfg(feature = "prompt")]
    Sql(SqlArgs),
    /// List the view sets that are linked into this binary.
    Views(ViewsArgs),
    /// Print the documented schema. Needs no lake.
    Schema(SchemaArgs),
}

/// Where the lake is.
#[derive(Debug, Clone, Args)]
pub(crate) struct LakeArgs {
    /// Directory of the lake: SQLite and files
    #[arg(long, value_name = "DIR", default_value = "./belvedere-lake", env = "BELVEDERE_LAKE")]
    pub(crate) lake: PathBuf,
    /// Metadata database instead of SQLite in the directory: postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = "BELVEDERE_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Object store instead of files in the directory: s3://bucket/prefix, gs://…, az://…, file://…;
    /// credentials come from AWS_…, GOOGLE_…, AZURE_… variables
    #[arg(long, value_name = "URL", env = "BELVEDERE_OBJECTS", hide_env_values = true)]
    pub(crate) objects: Option<String>,
    /// Memory for queries, in MiB; what needs more spills to disk or fails
    #[arg(long, value_name = "MIB", default_value_t = 2048, env = "BELVEDERE_MEMORY")]
    pub(crate) memory: usize,
    /// Largest decompressed buffer of one block, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub(crate) max_block: usize,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Address for HTTP: ingestion, /health, /ready, /metrics. Port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub(crate) http: SocketAddr,
    /// Address for FlightSQL (not in this version)
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight_sql: Option<SocketAddr>,
    /// Address for OTLP over HTTP (not in this version)
    #[arg(long, value_name = "ADDR")]
    pub(crate) otlp_http: Option<SocketAddr>,
    /// Address for OTLP over gRPC (not in this version)
    #[arg(long, value_name = "ADDR")]
    pub(crate) otlp_grpc: Option<SocketAddr>,
    /// Listen off loopback although anybody who reaches the address can send and ask
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Largest request body, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_body: u64,
    /// Request bodies that are handled at once, in MiB; more wait
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_pending: u64,
}

/// Range of event time. Each bound works alone; both are inclusive.
#[derive(Debug, Clone, Args)]
pub(crate) struct RangeArgs {
    /// Only events at or after this time: RFC 3339, or a day (UTC)
    #[arg(long, value_name = "TIME")]
    pub(crate) begin: Option<String>,
    /// Only events at or before this time: RFC 3339, or a day (its first instant, UTC)
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct QueryArgs {
    /// The query
    pub(crate) sql: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// How to write the rows [default: what the extension of --output says, else table]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// File to write to instead of the standard output; it is replaced when the answer is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[cfg(feature = "prompt")]
#[derive(Debug, Clone, Args)]
pub(crate) struct SqlArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ViewsArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SchemaArgs {
    /// Only this view set
    pub(crate) view_set: Option<String>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = SchemaFormat::Md)]
    pub(crate) format: SchemaFormat,
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
    /// Address to listen on, on loopback [default: 127.0.0.1:9000, or a free port if that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// Leave after the first queries instead of going on until Ctrl-C
    #[arg(long)]
    pub(crate) once: bool,
}

#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoProgramArgs {
    /// Server to send to
    pub(crate) url: String,
}
