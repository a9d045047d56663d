//! Whole jobs: the real binary, started as a user would, fed by recordings of real clients.

mod bad;
mod cli;
mod client;
mod durability;
mod golden;
mod schema_docs;
mod sql;
mod support;
mod truth;
