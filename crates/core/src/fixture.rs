//! What tests of several rooms need: lakes with a third party's views, and what they answer.

use crate::assembly::Assembly;
use crate::{Lake, LakeConfig};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use belvedere_lake::LakeOptions;
use belvedere_model::ProcessInfo;
use belvedere_model::StreamParts;
use belvedere_model::time::TimeRange;
use belvedere_model::wire::BlockRequest;
pub(crate) use belvedere_testkit::ticks::{TICK_STATS, TICKS, block, process};
use futures::TryStreamExt;

pub(crate) async fn lake_with(config: LakeConfig) -> Lake {
    lake_at(&LakeOptions::in_memory(), config).await
}

pub(crate) async fn lake_at(options: &LakeOptions, config: LakeConfig) -> Lake {
    let mut registrations = crate::registrations();
    registrations.extend([&TICKS, &TICK_STATS]);
    Lake::assemble(options, Assembly::new(registrations).unwrap(), config).await.unwrap()
}

pub(crate) async fn lake() -> Lake {
    lake_with(LakeConfig::default()).await
}

pub(crate) async fn insert(lake: &Lake, process: ProcessInfo, block: (StreamParts, BlockRequest)) {
    belvedere_testkit::ticks::insert(lake.connection(), process, block).await.unwrap();
}

pub(crate) async fn number(lake: &Lake, sql: &str, range: TimeRange) -> i64 {
    let rows: Vec<_> = lake.query(sql, range).await.unwrap().rows.try_collect().await.unwrap();
    rows[0].column(0).as_primitive::<Int64Type>().value(0)
}
