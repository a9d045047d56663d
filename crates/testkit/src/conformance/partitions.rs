//! Partitions are a cache: what is in them changes no answer.

use crate::failure::{Result, ensure};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use belvedere_core::Lake;
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use futures::TryStreamExt;

/// All rows of an instance as texts, sorted: what two ways of making them must agree in.
pub async fn all_rows(lake: &Lake, view_set: &str, instance: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT * FROM view_instance('{view_set}', '{instance}')");
    let result = lake.query(&sql, TimeRange::ALL).await?;
    let schema = result.schema.clone();
    let batches: Vec<RecordBatch> = result.rows.try_collect().await?;
    let rows = concat_batches(&schema, &batches)?;
    let options = FormatOptions::default();
    let columns = rows.columns().iter().map(|c| ArrayFormatter::try_new(c, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut texts: Vec<String> = (0..rows.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("\u{1f}"))
        .collect();
    texts.sort();
    Ok(texts)
}

/// Whatever partitions there are, the rows are the same: none; one for each block; these merged; all retired; made
/// again by whoever comes first of two; and some of them. Returns how many rows there are. The lake must not be fed
/// meanwhile.
pub async fn rows_do_not_depend_on_partitions(lake: &Lake, view_set: &str, instance: &str) -> Result<usize> {
    let kept = lake.instance_partitions(view_set, instance)?;
    let all = kept.blocks().await?;
    let same = async |what: &str, expected: &[String]| -> Result<()> {
        let found = all_rows(lake, view_set, instance).await?;
        let odd = found.iter().zip(expected).find(|(a, b)| a != b);
        ensure!(
            found == expected,
            "{what}: {} rows instead of {}; the first that differs: {odd:?}",
            found.len(),
            expected.len()
        );
        Ok(())
    };
    kept.retire().await?;
    let live = all_rows(lake, view_set, instance).await?;

    // one partition for each block: the last ones first, or, where a state is carried from block to block, as if each
    // block had just come
    let small = kept.clone().with_smallest_partitions();
    let mut seqs: Vec<i64> = (all.begin..=all.end).collect();
    let is_along_streams = kept.is_along_streams();
    if !is_along_streams {
        seqs.reverse();
    }
    for (i, seq) in seqs.iter().enumerate() {
        let small = if is_along_streams { small.clone().up_to(*seq) } else { small.clone() };
        small.fill(SeqRange::new(*seq, *seq)).await?;
        if i == seqs.len() / 2 {
            same("half in partitions", &live).await?;
        }
    }
    let partitions = kept.list().await?;
    let gaps = all.without(partitions.iter().map(|p| p.content.seqs));
    ensure!(is_along_streams || gaps.is_empty(), "not everything is covered");
    if is_along_streams {
        let plan =
            lake.sql(&format!("EXPLAIN SELECT * FROM view_instance('{view_set}', '{instance}')")).await?;
        let plan = arrow::util::pretty::pretty_format_batches(&plan)?.to_string();
        ensure!(plan.contains(" 0 blocks to decode"), "not everything is covered: {plan}");
    }
    same("in many partitions", &live).await?;

    kept.merge().await?;
    same("merged", &live).await?;
    let merged = kept.list().await?;
    let files = partitions.iter().filter(|p| p.content.row_count > 0).count();
    ensure!(merged.len() < partitions.len() || files < 2, "nothing was merged");

    ensure!(kept.retire().await? > 0 || merged.is_empty(), "nothing was retired");
    same("retired", &live).await?;

    let (first, second) = tokio::join!(kept.fill(all), kept.fill(all));
    first.and(second)?;
    same("made again", &live).await?;
    Ok(live.len())
}

/// Makes partitions of all rows of an instance that is kept.
pub(super) async fn keep(lake: &Lake, view_set: &str, instance: &str) -> Result<()> {
    let kept = lake.instance_partitions(view_set, instance)?;
    Ok(kept.fill(kept.blocks().await?).await?)
}
