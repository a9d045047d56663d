//! The list of all partitions, read page by page.

use belvedere_lake::{Catalog, LakeError, PartitionRecord};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

/// Partitions of one page.
const PAGE: u32 = 1000;

/// All partitions in the order of publication, whatever their schema; of one view set if one is named.
pub(crate) fn all_partitions<'a>(
    catalog: &'a Catalog,
    view_set: Option<&'a str>,
) -> BoxStream<'a, Result<PartitionRecord, LakeError>> {
    let pages = stream::try_unfold(Some(0), move |after| async move {
        let Some(after) = after else { return Ok::<_, LakeError>(None) };
        let page = catalog.partitions(view_set, after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        let next = page.last().map(|partition| partition.partition_id).filter(|_| !is_last);
        Ok(Some((stream::iter(page.into_iter().map(Ok::<_, LakeError>)), next)))
    });
    pages.try_flatten().boxed()
}
