//! The source of answers: a lake in this process, or a server.

use super::faults::{warn_of_faults, warn_of_missing};
use super::lake::open_existing;
use crate::args::SourceArgs;
use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_core::Lake;
use belvedere_core::query::QueryError;
use belvedere_core::query::QueryReport;
#[cfg(feature = "cli-client")]
use belvedere_flight_sql::client::Client;
use belvedere_model::time::TimeRange;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The source.
#[derive(Debug)]
pub(crate) enum Source {
    /// A lake in this process.
    Lake(Lake),
    /// A server.
    #[cfg(feature = "cli-client")]
    Server(Box<Client>),
}

/// An answer.
pub(crate) struct Rows {
    /// The columns.
    pub(crate) schema: SchemaRef,
    /// The rows. Dropping the stream cancels the query.
    pub(crate) batches: BoxStream<'static, Result<RecordBatch>>,
    /// What the query did, if the lake is in this process. Complete after the last row.
    report: Option<Arc<QueryReport>>,
    /// Blocks that a server could not read. Complete after the last row.
    missing: Arc<AtomicU64>,
}

impl Rows {
    /// Tells on stderr what is missing from an answer. To be called after the last row.
    pub(crate) fn warn(&self) {
        match &self.report {
            Some(report) => warn_of_faults(report),
            None => warn_of_missing(self.missing()),
        }
    }

    /// Blocks whose rows are missing.
    pub(crate) fn missing(&self) -> u64 {
        match &self.report {
            Some(report) => report.fault_count(),
            None => self.missing.load(Ordering::Relaxed),
        }
    }
}

/// MiB for all that is not accounted for: batches on their way, blocks that are being decoded.
const BESIDE_QUERIES: usize = 256;

impl Source {
    /// Opens the existing lake, or connects to the server.
    pub(crate) async fn open(args: &SourceArgs) -> Result<Self> {
        #[cfg(feature = "cli-client")]
        if let Some(url) = &args.server.url {
            return Ok(Self::Server(Box::new(super::server::connect(url, &args.server).await?)));
        }
        // one query at a time: a process that has too much ends, like those of a server
        crate::allocator::set_limit(
            args.lake.memory().saturating_add(BESIDE_QUERIES).saturating_mul(1 << 20),
        );
        open_existing(&args.lake).await.map(Self::Lake)
    }

    /// Starts a query about events in `range`.
    pub(crate) async fn query(&self, sql: &str, range: TimeRange) -> Result<Rows> {
        match self {
            Self::Lake(lake) => {
                let result = lake.query(sql, range).await?;
                let batches = result.rows.map_err(|e| QueryError::from(e).into()).boxed();
                Ok(Rows {
                    schema: result.schema,
                    batches,
                    report: Some(result.report),
                    missing: Arc::default(),
                })
            }
            #[cfg(feature = "cli-client")]
            Self::Server(client) => {
                let types = belvedere_core::query::AnswerTypes::Documented;
                let answer = client.query(sql, range, types).await?;
                Ok(Rows {
                    schema: answer.schema,
                    batches: answer.rows.map_err(anyhow::Error::from).boxed(),
                    report: None,
                    missing: answer.missing_blocks,
                })
            }
        }
    }

    /// All rows of a small answer about the whole lake.
    pub(crate) async fn collect(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.query(sql, TimeRange::ALL).await?.batches.try_collect().await
    }

    /// Closes the source after the last answer: what was much work to compute is stored for the next time.
    pub(crate) async fn close(self) {
        match self {
            Self::Lake(lake) => {
                lake.build_requested(&|_| ()).await;
                lake.close().await;
            }
            #[cfg(feature = "cli-client")]
            Self::Server(_) => {}
        }
    }
}
