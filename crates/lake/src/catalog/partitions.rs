//! Rows of partitions. Publishing one and deleting the ones that it replaces is a single transaction, which does nothing
//! if another materializer published the same blocks first: no row is ever visible twice or not at all.

use super::filter::Conditions;
use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use crate::Cause;
use belvedere_model::SeqRange;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

/// A published partition: the file with the rows of a range of blocks of one view instance, or the fact that these blocks
/// have no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Id of the partition. Ids grow in the order of publication.
    pub partition_id: i64,
    /// What it holds.
    pub content: NewPartition,
    /// When it was published, nanoseconds since the Unix epoch.
    pub updated: i64,
    /// Its file was found to be missing, cut or damaged, and was not looked at again since.
    pub is_file_lost: bool,
}

/// A partition to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    /// Random, chosen by the publisher: identifies the partition before it has an id.
    pub token: Uuid,
    /// View set.
    pub view_set: String,
    /// Instance of the view set: `global`, or an id.
    pub instance: String,
    /// Hash of the schema that the rows were decoded with.
    pub schema_hash: Vec<u8>,
    /// Range of `seq`. The partition covers all blocks of the instance in it.
    pub seqs: SeqRange,
    /// Earliest reception of these blocks, nanoseconds since the Unix epoch.
    pub insert_begin: i64,
    /// Latest reception.
    pub insert_end: i64,
    /// Bounds of the event times of the rows; `None` without rows, or if the view set has no event time.
    pub events: Option<(i64, i64)>,
    /// Number of blocks that it covers.
    pub block_count: i64,
    /// Number of events in these blocks, as announced.
    pub object_count: i64,
    /// Number of these blocks that could not be read.
    pub fault_count: i64,
    /// Number of rows.
    pub row_count: i64,
    /// Key of the file; `None` without rows.
    pub file_key: Option<String>,
    /// Size of the file in bytes.
    pub file_size: i64,
    /// Where the file has the checksums of all that is before them, and the CRC-32 of the file from there on. `None` if it has
    /// none: earlier versions wrote none.
    pub sums: Option<(i64, i64)>,
    /// Names of the columns that the rows are sorted by, ascending.
    pub sort_order: Vec<String>,
    /// Ids of the processes that the rows come from, sorted; `None` if not known, or if there are many.
    pub process_ids: Option<Vec<Uuid>>,
    /// It has rows that its blocks don't give any more: nothing but retention deletes it.
    pub is_last_copy: bool,
    /// Number of events without a row although events of their type should have one.
    pub ignored_count: i64,
    /// The section of a stream that it covers, if its rows are decoded with state along the stream.
    pub chain: Option<ChainSection>,
}

/// A section of a stream: consecutive blocks in the order of their events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSection {
    /// The stream.
    pub stream_id: Uuid,
    /// Least `object_offset` of blocks in it.
    pub begin: i64,
    /// Least `object_offset` of blocks after it.
    pub end: i64,
    /// Digest of the decoder's state before it, see [`ChainSection::digest`].
    pub entry: Vec<u8>,
    /// The decoder's state after it.
    pub exit: Vec<u8>,
}

impl ChainSection {
    /// Digest of a decoder's state, 16 bytes; `None` is the state at the beginning of a stream.
    pub fn digest(state: Option<&[u8]>) -> Vec<u8> {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, state.unwrap_or_default()).as_bytes().to_vec()
    }

    /// Whether `next` starts where this section ends, with the same state.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        self.stream_id == next.stream_id
            && self.end == next.begin
            && Self::digest(Some(&self.exit)) == next.entry
    }
}

/// Number of blocks that are in the section of a partition by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct SectionBlocks {
    /// The partition.
    pub partition_id: i64,
    /// Blocks that were visible when the partition was published.
    pub known: i64,
    /// Blocks that became visible since: they make it invalid.
    pub late: i64,
}

/// A view instance that has partitions of a schema.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct PartitionedInstance {
    /// View set.
    pub view_set: String,
    /// Instance of the view set.
    pub instance: String,
    /// Hash of the schema.
    pub schema_hash: Vec<u8>,
    /// Number of partitions of that instance and schema.
    pub partitions: i64,
}

#[derive(FromRow, Serialize, Deserialize)]
struct PartitionRow {
    partition_id: i64,
    token: Uuid,
    view_set: String,
    instance: String,
    schema_hash: Vec<u8>,
    seq_begin: i64,
    seq_end: i64,
    insert_begin: i64,
    insert_end: i64,
    event_begin: Option<i64>,
    event_end: Option<i64>,
    block_count: i64,
    object_count: i64,
    fault_count: i64,
    row_count: i64,
    file_key: Option<String>,
    file_size: i64,
    sort_order: String,
    process_ids: Option<Vec<u8>>,
    updated: i64,
    ignored_count: i64,
    last_copy: i64,
    file_lost: i64,
    sums_at: Option<i64>,
    sums_crc: Option<i64>,
    chain_stream: Option<Uuid>,
    chain_begin: Option<i64>,
    chain_end: Option<i64>,
    chain_entry: Option<Vec<u8>>,
    chain_exit: Option<Vec<u8>>,
}

impl From<PartitionRow> for PartitionRecord {
    fn from(r: PartitionRow) -> Self {
        let ids =
            |bytes: Vec<u8>| bytes.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect();
        Self {
            partition_id: r.partition_id,
            content: NewPartition {
                token: r.token,
                view_set: r.view_set,
                instance: r.instance,
                schema_hash: r.schema_hash,
                seqs: SeqRange::new(r.seq_begin, r.seq_end),
                insert_begin: r.insert_begin,
                insert_end: r.insert_end,
                events: r.event_begin.zip(r.event_end),
                block_count: r.block_count,
                object_count: r.object_count,
                fault_count: r.fault_count,
                row_count: r.row_count,
                file_key: r.file_key,
                file_size: r.file_size,
                sums: r.sums_at.zip(r.sums_crc),
                sort_order: r.sort_order.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect(),
                process_ids: r.process_ids.map(ids),
                ignored_count: r.ignored_count,
                is_last_copy: r.last_copy != 0,
                chain: r.chain_stream.map(|stream_id| ChainSection {
                    stream_id,
                    begin: r.chain_begin.unwrap_or_default(),
                    end: r.chain_end.unwrap_or_default(),
                    entry: r.chain_entry.unwrap_or_default(),
                    exit: r.chain_exit.unwrap_or_default(),
                }),
            },
            updated: r.updated,
            is_file_lost: r.file_lost != 0,
        }
    }
}

impl Catalog {
    /// The partitions of one instance with that schema, sorted by the blocks that they cover. They don't overlap.
    pub async fn partitions_of(
        &self,
        view_set: &str,
        instance: &str,
        schema_hash: &[u8],
    ) -> Result<Vec<PartitionRecord>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM partitions WHERE view_set = ");
        statement
            .bind(Arg::Text(view_set.to_owned()))
            .push(" AND instance = ")
            .bind(Arg::Text(instance.to_owned()))
            .push(" AND schema_hash = ")
            .bind(Arg::Bytes(schema_hash.to_vec()))
            .push(" ORDER BY seq_begin");
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        Ok(rows.into_iter().map(PartitionRecord::from).collect())
    }

    /// Number of blocks up to `last_seq` in the section of each partition of an instance.
    pub async fn section_blocks(
        &self,
        view_set: &str,
        instance: &str,
        schema_hash: &[u8],
        last_seq: i64,
    ) -> Result<Vec<SectionBlocks>, LakeError> {
        let mut statement = Statement::new(
            "SELECT p.partition_id, CAST(SUM(CASE WHEN b.seq <= p.seq_end THEN 1 ELSE 0 END) AS BIGINT) AS known, \
             CAST(SUM(CASE WHEN b.seq > p.seq_end THEN 1 ELSE 0 END) AS BIGINT) AS late \
             FROM partitions p LEFT JOIN blocks b ON b.stream_id = p.chain_stream \
             AND b.object_offset >= p.chain_begin AND b.object_offset < p.chain_end AND b.seq <= ",
        );
        statement.bind(Arg::Int(last_seq)).push(" WHERE p.chain_stream IS NOT NULL AND p.view_set = ");
        statement
            .bind(Arg::Text(view_set.to_owned()))
            .push(" AND p.instance = ")
            .bind(Arg::Text(instance.to_owned()))
            .push(" AND p.schema_hash = ")
            .bind(Arg::Bytes(schema_hash.to_vec()))
            .push(" GROUP BY p.partition_id");
        self.readers.fetch(statement).await
    }

    /// All partitions after `after` in the order of publication, of any schema; of one view set if one is named.
    pub async fn partitions(
        &self,
        view_set: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<PartitionRecord>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM partitions");
        let mut conditions = Conditions::new(&mut statement);
        conditions.and("partition_id > ").bind(Arg::Int(after));
        if let Some(view_set) = view_set {
            conditions.and("view_set = ").bind(Arg::Text(view_set.to_owned()));
        }
        statement.push(" ORDER BY partition_id LIMIT ").bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        Ok(rows.into_iter().map(PartitionRecord::from).collect())
    }

    /// Partitions that lack rows of blocks that could not be read, after `after` in the order of publication.
    pub async fn partitions_with_faults(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<PartitionRecord>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM partitions");
        let mut conditions = Conditions::new(&mut statement);
        conditions.and("fault_count > 0");
        conditions.and("partition_id > ").bind(Arg::Int(after));
        statement.push(" ORDER BY partition_id LIMIT ").bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        Ok(rows.into_iter().map(PartitionRecord::from).collect())
    }

    /// Partitions with files of which the store has no copy: their ids, and the copies.
    pub(crate) async fn unsaved_partitions(&self, limit: u32) -> Result<Vec<(i64, Vec<u8>)>, LakeError> {
        let mut statement =
            Statement::new("SELECT * FROM partitions WHERE saved = 0 AND file_key IS NOT NULL LIMIT ");
        statement.bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        let copy = |row: PartitionRow| {
            let copy = serde_json::to_vec(&row);
            copy.map(|copy| (row.partition_id, copy))
                .map_err(|e| LakeError::Corrupt(Cause::new(e.to_string(), e)))
        };
        rows.into_iter().map(copy).collect()
    }

    /// The partitions with that file: at most one, unless the catalog is damaged.
    pub async fn partitions_with_file(&self, file_key: &str) -> Result<Vec<PartitionRecord>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM partitions");
        Conditions::new(&mut statement).and("file_key = ").bind(Arg::Text(file_key.to_owned()));
        statement.push(" ORDER BY partition_id");
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        Ok(rows.into_iter().map(PartitionRecord::from).collect())
    }

    /// The partitions of an instance, of any schema, with exactly these times of reception.
    pub async fn partitions_inserted(
        &self,
        view_set: &str,
        instance: &str,
        (begin, end): (i64, i64),
    ) -> Result<Vec<PartitionRecord>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM partitions");
        let mut conditions = Conditions::new(&mut statement);
        conditions.and("view_set = ").bind(Arg::Text(view_set.to_owned()));
        conditions.and("instance = ").bind(Arg::Text(instance.to_owned()));
        conditions.and("insert_begin = ").bind(Arg::Int(begin));
        conditions.and("insert_end = ").bind(Arg::Int(end));
        statement.push(" ORDER BY partition_id");
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        Ok(rows.into_iter().map(PartitionRecord::from).collect())
    }

    /// Instances that have partitions, by view set, instance and schema.
    pub async fn partitioned_instances(&self) -> Result<Vec<PartitionedInstance>, LakeError> {
        let statement = Statement::new(
            "SELECT view_set, instance, schema_hash, COUNT(*) AS partitions FROM partitions \
             GROUP BY view_set, instance, schema_hash ORDER BY view_set, instance, schema_hash",
        );
        self.readers.fetch(statement).await
    }

    /// Publishes a partition and removes the ones that it replaces; their files may be deleted from `expires` on. Returns
    /// `false`, and changes nothing, if one of the replaced ones is gone or another partition covers some of the same
    /// blocks: another materializer was first.
    ///
    /// All of it is one statement script of conditional inserts and deletes, without a read before it: what a read found
    /// could be outdated by the time of the write.
    pub async fn publish(
        &self,
        new: &NewPartition,
        replaced: &[i64],
        expires: i64,
    ) -> Result<bool, LakeError> {
        let ids = |statement: &mut Statement| {
            statement.tuple(replaced.iter().copied().map(Arg::Int));
        };
        let mut insert = Statement::new(
            "INSERT INTO partitions (token, view_set, instance, schema_hash, seq_begin, seq_end, insert_begin, \
             insert_end, event_begin, event_end, block_count, object_count, fault_count, row_count, file_key, \
             file_size, sort_order, process_ids, updated, ignored_count, chain_stream, chain_begin, chain_end, \
             chain_entry, chain_exit, last_copy, sums_at, sums_crc) SELECT ",
        );
        let process_ids = new.process_ids.as_ref();
        let chain = new.chain.as_ref();
        for (i, arg) in [
            Arg::Uuid(new.token),
            Arg::Text(new.view_set.clone()),
            Arg::Text(new.instance.clone()),
            Arg::Bytes(new.schema_hash.clone()),
            Arg::Int(new.seqs.begin),
            Arg::Int(new.seqs.end),
            Arg::Int(new.insert_begin),
            Arg::Int(new.insert_end),
            Arg::OptionalInt(new.events.map(|e| e.0)),
            Arg::OptionalInt(new.events.map(|e| e.1)),
            Arg::Int(new.block_count),
            Arg::Int(new.object_count),
            Arg::Int(new.fault_count),
            Arg::Int(new.row_count),
            Arg::OptionalText(new.file_key.clone()),
            Arg::Int(new.file_size),
            Arg::Text(new.sort_order.join(",")),
            Arg::OptionalBytes(process_ids.map(|ids| ids.iter().flat_map(|id| *id.as_bytes()).collect())),
            Arg::Int(belvedere_model::time::now()),
            Arg::Int(new.ignored_count),
            Arg::OptionalUuid(chain.map(|c| c.stream_id)),
            Arg::OptionalInt(chain.map(|c| c.begin)),
            Arg::OptionalInt(chain.map(|c| c.end)),
            Arg::OptionalBytes(chain.map(|c| c.entry.clone())),
            Arg::OptionalBytes(chain.map(|c| c.exit.clone())),
            Arg::Int(new.is_last_copy.into()),
            Arg::OptionalInt(new.sums.map(|s| s.0)),
            Arg::OptionalInt(new.sums.map(|s| s.1)),
        ]
        .into_iter()
        .enumerate()
        {
            insert.push(if i > 0 { ", " } else { "" }).bind(arg);
        }
        insert.push(" WHERE NOT EXISTS (SELECT 1 FROM partitions WHERE ");
        overlapping(&mut insert, new);
        if !replaced.is_empty() {
            insert.push(" AND partition_id NOT IN ");
            ids(&mut insert);
        }
        insert.push(")");
        if !replaced.is_empty() {
            insert.push(" AND (SELECT COUNT(*) FROM partitions WHERE partition_id IN ");
            ids(&mut insert);
            insert.push(") = ").bind(Arg::Int(replaced.len() as i64));
        }
        let mut steps = vec![Step::Count(insert)];
        if !replaced.is_empty() {
            let is_published = |statement: &mut Statement| {
                statement
                    .push(" AND EXISTS (SELECT 1 FROM partitions WHERE token = ")
                    .bind(Arg::Uuid(new.token))
                    .push(")");
            };
            let mut discard = discard_files(expires);
            discard.push(" AND partition_id IN ");
            ids(&mut discard);
            is_published(&mut discard);
            discard.push(" ON CONFLICT DO NOTHING");
            let mut delete = Statement::new("DELETE FROM partitions WHERE partition_id IN ");
            ids(&mut delete);
            is_published(&mut delete);
            steps.extend([Step::Do(discard), Step::Do(delete)]);
        }
        Ok(self.writer.transact(steps).await? > 0)
    }

    /// Extends a partition to later blocks that have no rows in its instance. Returns `false` if the partition was changed
    /// meanwhile or another one covers some of these blocks.
    pub async fn extend(&self, partition: &PartitionRecord, seq_end: i64) -> Result<bool, LakeError> {
        let mut update = Statement::new("UPDATE partitions SET seq_end = ");
        update
            .bind(Arg::Int(seq_end))
            .push(" WHERE partition_id = ")
            .bind(Arg::Int(partition.partition_id))
            .push(" AND seq_end = ")
            .bind(Arg::Int(partition.content.seqs.end))
            .push(" AND NOT EXISTS (SELECT 1 FROM partitions WHERE ");
        let wider = NewPartition {
            seqs: SeqRange::new(partition.content.seqs.begin, seq_end),
            ..partition.content.clone()
        };
        overlapping(&mut update, &wider);
        update.push(" AND partition_id <> ").bind(Arg::Int(partition.partition_id)).push(")");
        Ok(self.writer.transact(vec![Step::Count(update)]).await? > 0)
    }

    /// Removes partitions, apart from those that are marked as last copies; their files may be deleted from `expires` on.
    /// Returns how many went.
    pub async fn retire(&self, partition_ids: &[i64], expires: i64) -> Result<u64, LakeError> {
        self.remove(partition_ids, expires, " AND last_copy = 0").await
    }

    /// The same for all of them, last copies too: what they have is lost.
    pub async fn retire_with_loss(&self, partition_ids: &[i64], expires: i64) -> Result<u64, LakeError> {
        self.remove(partition_ids, expires, "").await
    }

    async fn remove(&self, partition_ids: &[i64], expires: i64, which: &str) -> Result<u64, LakeError> {
        let mut retired = 0;
        for ids in partition_ids.chunks(1000) {
            let mut discard = discard_files(expires);
            discard.push(" AND partition_id IN ").tuple(ids.iter().copied().map(Arg::Int)).push(which);
            discard.push(" ON CONFLICT DO NOTHING");
            let mut delete = Statement::new("DELETE FROM partitions WHERE partition_id IN ");
            delete.tuple(ids.iter().copied().map(Arg::Int)).push(which);
            retired += self.writer.transact(vec![Step::Do(discard), Step::Count(delete)]).await?;
        }
        Ok(retired)
    }

    /// Marks a partition as the last copy of some of its rows, or as one that can be made again.
    pub async fn mark_last_copy(&self, partition_id: i64, is_last_copy: bool) -> Result<(), LakeError> {
        let mut update = Statement::new("UPDATE partitions SET last_copy = ");
        update
            .bind(Arg::Int(is_last_copy.into()))
            .push(" WHERE partition_id = ")
            .bind(Arg::Int(partition_id));
        self.writer.transact(vec![Step::Do(update)]).await.map(drop)
    }

    /// Makes a partition one of another schema, and marks it as a last copy, if no partition of that schema covers some of the
    /// same blocks. Returns whether that was so.
    pub async fn adopt(&self, partition: &PartitionRecord, schema_hash: &[u8]) -> Result<bool, LakeError> {
        let under_it = NewPartition { schema_hash: schema_hash.to_vec(), ..partition.content.clone() };
        let mut update = Statement::new("UPDATE partitions SET last_copy = 1, schema_hash = ");
        update
            .bind(Arg::Bytes(schema_hash.to_vec()))
            .push(" WHERE partition_id = ")
            .bind(Arg::Int(partition.partition_id))
            .push(" AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM partitions) AS other WHERE ");
        overlapping(&mut update, &under_it);
        update.push(")");
        Ok(self.writer.transact(vec![Step::Count(update)]).await? > 0)
    }

    /// Notes that the file of a partition is not there, not whole or damaged; or that it is as it should be.
    pub async fn mark_file_lost(&self, partition_id: i64, is_lost: bool) -> Result<(), LakeError> {
        let mut update = Statement::new("UPDATE partitions SET file_lost = ");
        update.bind(Arg::Int(is_lost.into())).push(" WHERE partition_id = ").bind(Arg::Int(partition_id));
        self.writer.transact(vec![Step::Do(update)]).await.map(drop)
    }

    /// Partitions whose files were not there, or not whole.
    pub async fn partitions_with_lost_files(&self, limit: u32) -> Result<Vec<PartitionRecord>, LakeError> {
        let mut statement =
            Statement::new("SELECT * FROM partitions WHERE file_lost = 1 ORDER BY partition_id LIMIT ");
        statement.bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<PartitionRow>(statement).await?;
        Ok(rows.into_iter().map(PartitionRecord::from).collect())
    }
}

/// The partition that a copy is of.
pub(crate) fn partition_of_copy(copy: &[u8]) -> Result<PartitionRecord, LakeError> {
    let row: Result<PartitionRow, _> = serde_json::from_slice(copy);
    Ok(row.map_err(|e| LakeError::Corrupt(Cause::new(format!("a copy of a partition: {e}"), e)))?.into())
}

/// The condition that a partition covers some of the same blocks.
fn overlapping(statement: &mut Statement, new: &NewPartition) {
    statement
        .push("view_set = ")
        .bind(Arg::Text(new.view_set.clone()))
        .push(" AND instance = ")
        .bind(Arg::Text(new.instance.clone()))
        .push(" AND schema_hash = ")
        .bind(Arg::Bytes(new.schema_hash.clone()));
    match &new.chain {
        None => statement
            .push(" AND seq_begin <= ")
            .bind(Arg::Int(new.seqs.end))
            .push(" AND seq_end >= ")
            .bind(Arg::Int(new.seqs.begin)),
        Some(chain) => statement
            .push(" AND chain_stream = ")
            .bind(Arg::Uuid(chain.stream_id))
            .push(" AND chain_begin < ")
            .bind(Arg::Int(chain.end))
            .push(" AND chain_end > ")
            .bind(Arg::Int(chain.begin)),
    };
}

fn discard_files(expires: i64) -> Statement {
    let mut statement =
        Statement::new("INSERT INTO garbage (object_key, size, expires) SELECT file_key, file_size, ");
    statement.bind(Arg::Int(expires)).push(" FROM partitions WHERE file_key IS NOT NULL");
    statement
}
