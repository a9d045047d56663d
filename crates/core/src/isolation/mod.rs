//! Queries in processes of their own.
//!
//! The engine accounts for what its operators keep, not for what they make of one batch. Memory that was promised to a
//! query can't be taken back from inside of a process: an allocation that fails ends the process, and a loop that doesn't
//! look up from its work keeps its thread for good. So a server hands statements over to *query processes*. Each runs one
//! query at a time, its allocator ends it at its limit, and the server can kill it at any instruction. Whatever happens to
//! it is the failure of that query alone.
//!
//! Statements that only stream rows are answered by the server itself: see `query::place`.
//!
//! ```text
//! QueryService ─▶ Workers ─▶ Lease ══ job ═════▶ work()  ─▶ Lake
//!              ◀─ Spool ◀─ rows, progress, end ═╝  (belvedere query-worker)
//! ```
//!
//! | file | content |
//! | --- | --- |
//! | `frame` | how messages travel through pipes |
//! | `job` | what is asked, and how it ended |
//! | `pool` | the processes of a server: who is free, who must go |
//! | `spool` | rows that wait for a slow reader, on disk |
//! | `scratch` | directories for temporary files that are gone with their process, however it ends |
//! | `work` | the other side: what a query process does |

mod frame;
mod job;
mod pool;
mod scratch;
mod spool;
mod work;

pub(crate) use job::{Job, Kind};
pub(crate) use pool::{LOST_BY_MEMORY, Lease, Told};
pub use pool::{WorkerOptions, Workers};
pub use scratch::Scratch;
pub use work::work;

/// Exit code of a query process that reached its memory limit.
pub const OUT_OF_MEMORY: i32 = 77;
