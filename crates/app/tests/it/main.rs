//! Whole jobs: the real binary, started as a user would, fed by recordings of real clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

mod bad;
mod cli;
mod client;
#[cfg(feature = "flight-sql")]
mod clients;
mod durability;
#[cfg(feature = "flight-sql")]
mod flight;
mod golden;
#[cfg(all(target_os = "linux", feature = "sql-strings", feature = "sql-nested"))]
mod isolation;
#[cfg(all(feature = "flight-sql", feature = "log", feature = "metrics"))]
mod load;
#[cfg(all(feature = "log", feature = "metrics", feature = "net", feature = "otel", feature = "spans"))]
mod old_lakes;
#[cfg(all(feature = "otel", feature = "log", feature = "metrics"))]
mod otel;
mod partitions;
#[cfg(all(unix, feature = "log"))]
mod read_only;
#[cfg(all(feature = "cli-client", feature = "flight-sql", feature = "log", feature = "metrics"))]
mod remote;
mod schema_docs;
mod security;
#[cfg(all(feature = "flight-sql", feature = "log", feature = "metrics"))]
mod sending;
#[cfg(all(feature = "spans", feature = "net", feature = "log", feature = "metrics"))]
mod spans;
mod sql;
mod starts;
mod support;
mod truth;
#[cfg(feature = "web")]
mod web;
