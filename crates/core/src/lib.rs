//! Belvedere's core: the lake, the wire format, SQL over views, and the registry that views plug into.
//!
//! Instrumented processes send what happens in them in *blocks*; the lake keeps the blocks as they came.
//! *Views* are functions from blocks to rows; SQL is the way to look. Every view set is a plug-in, core's
//! own three (`blocks`, `processes`, `streams`) included.
//!
//! A lake embeds in a program or a test:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let lake = belvedere_core::Lake::in_memory().await?;
//! let rows = lake.sql("SELECT view_set_name FROM list_view_sets() ORDER BY 1").await?;
//! assert_eq!(rows[0].num_rows(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! The rooms, in the data's way through them:
//!
//! | room | what it knows |
//! | --- | --- |
//! | [`access`] | who asks, and what they may |
//! | [`ingest`] | protocols' requests, limits, answers |
//! | [`wire`] | the CBOR envelopes of native clients |
//! | [`lake`] | durable storage: catalogue, objects, group commit |
//! | [`transit`] | the bytes of native events |
//! | [`decode`] | what a view crate implements: block in, columns out |
//! | [`partitions`] | rows that are kept: Parquet files, what they cover, when they are made and go |
//! | [`registry`] | what crates register, and how it becomes tables |
//! | [`views`] | views over blocks, and the catalogue's own |
//! | [`query`] | SQL: what is read, filtered, accounted, and how it leaves |
//!
//! A view crate starts with `use belvedere_core::prelude::*;`.

pub mod access;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod decode;
pub mod feed;
#[cfg(test)]
mod fixture;
pub mod ingest;
pub mod jsonb;
pub mod lake;
pub mod model;
pub mod partitions;
pub mod properties;
pub mod query;
pub mod registry;
pub mod time;
pub mod transit;
pub mod views;
pub mod wire;

pub use query::{Lake, LakeConfig, QueryResult};

// plug-ins use the very versions that core was built with
pub use arrow;
pub use axum;
pub use datafusion;
#[doc(hidden)]
pub use inventory;

/// What a view crate needs.
pub mod prelude {
    pub use crate::access::Right;
    pub use crate::decode::{BlockDecoder, BlockReader, ChainDecoder, DecodeError, ParsedObjects, Rows};
    pub use crate::register_block_parser;
    pub use crate::registry::{
        BlockParserRegistration, BlockSource, BlockSourceRegistration, Column, FunctionDoc, FunctionSet,
        Functions, Instances, MakeRoutes, Routes, Source, SqlSource, ViewSet,
    };
    pub use crate::transit::{PropertyDictionary, TextColumn, TextDictionary};
    pub use crate::{register_block_source, register_functions, register_routes, register_view_set};
}

/// What core itself registers, as plain values.
pub fn registrations() -> Vec<&'static registry::Registration> {
    vec![
        &views::blocks::REGISTRATION,
        &views::processes::REGISTRATION,
        &views::streams::REGISTRATION,
        &query::functions::REGISTRATION,
        &query::functions::color::REGISTRATION,
        &query::functions::interpolate::REGISTRATION,
        &query::functions::jsonb::REGISTRATION,
        &query::functions::properties::REGISTRATION,
        &query::functions::denials::REGISTRATION,
        &query::functions::queries::REGISTRATION,
        &query::functions::blocks::REGISTRATION,
        &query::functions::retire::REGISTRATION,
        &decode::NATIVE_PARSER,
        &query::QUERY_ROUTES,
        &ingest::NATIVE_ROUTES,
    ]
}
