//! What holds of the partitions whose rows are made along streams.
//!
//! Such a partition was made of a section of a stream's blocks, with the decoder in the state that the blocks before
//! gave it. It holds as long as that is how it would be made today: if no block has come since that belongs into its
//! section or before it, and if what is before it is the partition that it was made behind. So partitions that hold
//! are the beginning of a stream; what follows is decoded, from the state that the last of them ends with.
//!
//! A partition whose blocks are gone, or some of them, can't be made anew: it holds whatever comes, and blocks that
//! belong into its section and come later are decoded by themselves. So does the first one that is left if nothing is
//! left before it.
//!
//! What a partition was made behind is remembered as a digest of the decoder's state, not as the partition before it: if
//! that one is built anew and ends in the same state, all behind it holds as it is.
//!
//! Two mistakes of the first version explain the flags in `divide`. It left partitions that a query does not see out of the
//! list; the next one then seemed to follow on nothing, was called stale, and retired for everybody. So what is not seen
//! stays in the list without a count, and nothing behind it is called stale (`is_known`). And when retention had deleted the
//! first partitions of a stream together with their blocks, the first that was left was called stale as well, although the
//! state that it began with can't be made any more: hence `is_first`.

use super::lost_files::lost_files;
use super::{Instance, ScanContext, Scope};
use belvedere_lake::{BlockFilter, ChainSection, LakeError, PartitionRecord, SectionBlocks};
use belvedere_model::{ProcessInfo, SeqRange, StreamInfo};
use belvedere_view::BlockSource;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// One stream of an instance: which partitions hold, and what is to be decoded.
#[derive(Debug)]
pub(crate) struct StreamPlan {
    pub(crate) process: Arc<ProcessInfo>,
    pub(crate) stream: Arc<StreamInfo>,
    /// In the order of events.
    pub(crate) kept: Vec<PartitionRecord>,
    /// Those of them that can't be made anew.
    pub(crate) frozen: HashSet<i64>,
    /// Those that no longer hold.
    pub(crate) stale: Vec<PartitionRecord>,
    /// In the order of events. The last one goes to the end of the stream.
    pub(crate) pieces: Vec<StreamPiece>,
}

/// Blocks of a stream that are decoded one after the other.
#[derive(Debug, Clone)]
pub(crate) struct StreamPiece {
    pub(crate) blocks: BlockFilter,
    /// The state to begin with; `None` at the beginning of the stream.
    pub(crate) state: Option<Vec<u8>>,
    /// What is open at its end may still become complete.
    pub(crate) is_last: bool,
}

impl StreamPlan {
    /// The piece at the end of the stream.
    pub(crate) fn last_piece(&self) -> Option<&StreamPiece> {
        self.pieces.last()
    }
}

/// The streams of an instance as a query sees them, by id.
pub(crate) async fn plan_streams(
    instance: &Instance,
    sources: &[BlockSource],
    context: &ScanContext,
) -> Result<Vec<StreamPlan>, LakeError> {
    let catalog = context.connection().catalog();
    let set = instance.view_set.name;
    // first: what was made by now is of blocks that are visible by now
    let mut partitions = if context.is_live_only {
        Vec::new()
    } else {
        catalog.partitions_of(set, &instance.id, &instance.schema_hash).await?
    };
    let lost = lost_files(instance, context, &partitions).await?;
    partitions.retain(|p| !lost.contains(&p.partition_id));
    let visible = context.visible().await?;
    let counts = if partitions.is_empty() {
        Vec::new()
    } else {
        catalog.section_blocks(set, &instance.id, &instance.schema_hash, visible.end).await?
    };
    let counts: HashMap<i64, SectionBlocks> = counts.into_iter().map(|c| (c.partition_id, c)).collect();
    let mut by_stream: HashMap<Uuid, Vec<Section>> = HashMap::new();
    for partition in partitions {
        let Some(section) = partition.content.chain.clone() else { continue };
        // one that also covers blocks that are not seen here, or that has gone since it was listed, is of no use; what
        // is behind it may hold all the same
        let count = if visible.contains(partition.content.seqs) {
            counts.get(&partition.partition_id).copied()
        } else {
            None
        };
        by_stream.entry(section.stream_id).or_default().push(Section { partition, section, count });
    }
    let mut chains = Vec::new();
    for stream in streams_of(instance, sources, context).await? {
        let Some(process) = catalog.process(stream.process_id).await? else { continue };
        let mut own = by_stream.remove(&stream.stream_id).unwrap_or_default();
        own.sort_by_key(|own| own.section.begin);
        // a stream is of one process; the database finds its blocks by their order then
        let blocks = BlockFilter {
            stream_id: Some(stream.stream_id),
            process_id: None,
            ..instance.blocks_in(visible)
        };
        let blocks_before = match own.iter().find(|own| own.count.is_some()) {
            Some(first) if first.section.begin > i64::MIN => {
                let before = BlockFilter { offsets: Some((i64::MIN, first.section.begin)), ..blocks.clone() };
                catalog.summary(&before).await?.blocks
            }
            _ => 0,
        };
        chains.push(divide(process, stream, own, blocks_before, &blocks));
    }
    Ok(chains)
}

/// A partition, what it covers, and how many blocks there are in that; `None` if it can't be used.
struct Section {
    partition: PartitionRecord,
    section: ChainSection,
    count: Option<SectionBlocks>,
}

/// Streams that can have blocks of the instance.
async fn streams_of(
    instance: &Instance,
    sources: &[BlockSource],
    context: &ScanContext,
) -> Result<Vec<Arc<StreamInfo>>, LakeError> {
    let catalog = context.connection().catalog();
    let is_understood = |stream: &StreamInfo| BlockSource::for_stream(sources, stream).is_some();
    match instance.scope {
        Scope::Global => Ok(Vec::new()),
        Scope::Stream(id) => Ok(catalog.stream(id).await?.into_iter().filter(|s| is_understood(s)).collect()),
        Scope::Process(id) => {
            let streams = catalog.streams_of(id).await?;
            Ok(streams.into_iter().filter(is_understood).map(Arc::new).collect())
        }
    }
}

/// Tells partitions that hold from those that don't, and what is left to decode. `blocks_before` are there before the
/// first partition.
fn divide(
    process: Arc<ProcessInfo>,
    stream: Arc<StreamInfo>,
    own: Vec<Section>,
    blocks_before: i64,
    blocks: &BlockFilter,
) -> StreamPlan {
    let mut chain = StreamPlan {
        process,
        stream,
        kept: Vec::new(),
        frozen: HashSet::new(),
        stale: Vec::new(),
        pieces: Vec::new(),
    };
    let section = |begin: i64, end: i64| BlockFilter { offsets: Some((begin, end)), ..blocks.clone() };
    // where the next section begins, and the state that it is to begin with
    let (mut next, mut state): (i64, Option<Vec<u8>>) = (i64::MIN, None);
    // everything so far is as it would be made today; it is known how everything so far would be made
    let (mut is_whole, mut is_known) = (true, true);
    for Section { partition, section: own, count } in own {
        let Some(count) = count else {
            (is_whole, is_known) = (false, false);
            continue;
        };
        // nor is one that has rows which its blocks don't give any more
        let is_frozen = count.known < partition.content.block_count || partition.content.is_last_copy;
        let follows = own.begin == next && own.entry == ChainSection::digest(state.as_deref());
        // the state that it began with can't be made any more: what made it is gone
        let is_first = next == i64::MIN && blocks_before == 0;
        let holds = is_frozen || (is_whole && (follows || is_first) && count.late == 0);
        if !holds {
            is_whole = false;
            if is_known {
                chain.stale.push(partition);
            }
            continue;
        }
        if own.begin > next && !is_first {
            // before what can't be made anew
            let piece = StreamPiece { blocks: section(next, own.begin), state: state.take(), is_last: false };
            chain.pieces.push(piece);
        }
        if count.late > 0 {
            let seqs = SeqRange::new(partition.content.seqs.end.saturating_add(1), blocks.seqs.end);
            let blocks = BlockFilter { seqs, ..section(own.begin, own.end) };
            chain.pieces.push(StreamPiece { blocks, state: None, is_last: false });
        }
        if is_frozen {
            chain.frozen.insert(partition.partition_id);
        }
        (next, state) = (own.end, Some(own.exit));
        (is_whole, is_known) = (true, true);
        chain.kept.push(partition);
    }
    chain.pieces.push(StreamPiece { blocks: section(next, i64::MAX), state, is_last: true });
    chain
}
