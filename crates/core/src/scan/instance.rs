//! A view instance whose rows can be kept in partitions.

use crate::error::{Error, Result};
use belvedere_lake::{BlockFilter, NewPartition};
use belvedere_model::{SeqRange, TRANSIT_FORMAT};
use belvedere_view::{BlockSource, Instances, SqlSource, ViewSet};
use std::sync::Arc;
use uuid::Uuid;

/// Which blocks an instance is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Global,
    Process(Uuid),
    Stream(Uuid),
}

impl Scope {
    /// What an instance id of a view set means; an error if it has no such instance.
    pub(crate) fn new(set: &ViewSet, instance_id: &str) -> Result<Self> {
        let id = || {
            Uuid::try_parse(instance_id).map_err(|_| {
                Error::Request(format!(
                    "'{instance_id}' is not an instance of {}: expected a {} id, which is a UUID",
                    set.name,
                    set.instances.kinds().last().unwrap_or(&"process")
                ))
            })
        };
        Ok(match (set.instances, instance_id) {
            (Instances::Global | Instances::GlobalAndPerProcess, "global") => Self::Global,
            (Instances::Global, other) => {
                return Err(Error::Request(format!(
                    "{} has only the instance 'global', not '{other}'",
                    set.name
                )));
            }
            (Instances::PerProcess | Instances::PerStream, "global") => {
                return Err(Error::Request(format!(
                    "{1} has no global instance: select a {0} with view_instance('{1}', '<{0} id>')",
                    set.instances.kinds().last().unwrap_or(&"process"),
                    set.name
                )));
            }
            (Instances::PerStream, _) => Self::Stream(id()?),
            (Instances::PerProcess | Instances::GlobalAndPerProcess, _) => Self::Process(id()?),
            (unknown, _) => {
                return Err(Error::Request(format!(
                    "{} has instances of an unknown kind: {unknown:?}",
                    set.name
                )));
            }
        })
    }

    /// What the instance is one of, as in [`Instances::kinds`]; `None` if it is of everything.
    pub(crate) fn kind(self) -> Option<&'static str> {
        match self {
            Self::Global => None,
            Self::Process(_) => Some("process"),
            Self::Stream(_) => Some("stream"),
        }
    }

    /// `global`, or an id: lower-case and hyphenated, one spelling for one instance.
    pub(crate) fn to_id(self) -> String {
        match self {
            Self::Global => "global".to_owned(),
            Self::Process(id) | Self::Stream(id) => id.to_string(),
        }
    }
}

/// How rows are made.
#[derive(Debug, Clone)]
pub(crate) enum RowSource {
    /// By decoding blocks, each by itself.
    Blocks(Arc<[BlockSource]>),
    /// By decoding the blocks of each stream one after the other.
    Streams(Arc<[BlockSource]>),
    /// By SQL over the rows that other view sets have for the same blocks.
    Sql(SqlSource),
}

/// A view instance whose rows core can keep in partitions: what `View::instance` gives.
#[derive(Debug, Clone)]
pub struct Instance {
    pub(crate) view_set: &'static ViewSet,
    pub(crate) source: RowSource,
    pub(crate) scope: Scope,
    /// `global`, or an id: lower-case and hyphenated.
    pub(crate) id: String,
    pub(crate) schema_hash: Vec<u8>,
    /// Tags and formats of the streams whose blocks can give rows.
    pub(crate) blocks: BlockFilter,
}

/// The schema hash of a view set whose sources understand blocks of these formats. A program that understands more makes
/// more rows of the same blocks: its partitions must not be taken for another one's.
pub(crate) fn hash_of(view_set: &ViewSet, formats: &[String]) -> Vec<u8> {
    let mut hash = view_set.schema_hash();
    let others: Vec<&str> = formats.iter().map(String::as_str).filter(|f| *f != TRANSIT_FORMAT).collect();
    if !others.is_empty() {
        hash.extend_from_slice(others.join("\n").as_bytes());
        hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &hash).as_bytes().to_vec();
    }
    hash
}

impl Instance {
    pub(crate) fn new(
        view_set: &'static ViewSet,
        source: RowSource,
        scope: Scope,
        mut blocks: BlockFilter,
    ) -> Self {
        match scope {
            Scope::Global => {}
            Scope::Process(id) => blocks.process_id = Some(id),
            Scope::Stream(id) => blocks.stream_id = Some(id),
        }
        let id = scope.to_id();
        let schema_hash = hash_of(view_set, blocks.formats.as_deref().unwrap_or_default());
        Self { view_set, source, scope, id, schema_hash, blocks }
    }

    /// The schema hashes of earlier versions of the view set that had the same columns, for rows that are decoded from blocks.
    pub(crate) fn earlier_hashes(&self) -> Vec<Vec<u8>> {
        if !self.is_of_blocks() {
            return Vec::new();
        }
        let formats = self.blocks.formats.as_deref().unwrap_or_default();
        (1..self.view_set.version).map(|version| hash_of(&self.view_set.version(version), formats)).collect()
    }

    /// Tags and formats that a view set's block sources understand.
    pub(crate) fn understood(sources: &[BlockSource]) -> BlockFilter {
        BlockFilter {
            tags: Some(distinct(sources.iter().map(|s| s.tag))),
            formats: Some(distinct(sources.iter().map(|s| s.format))),
            ..BlockFilter::default()
        }
    }

    /// The blocks of the instance in a range.
    pub(crate) fn blocks_in(&self, seqs: SeqRange) -> BlockFilter {
        BlockFilter { seqs, ..self.blocks.clone() }
    }

    /// The blocks that a partition of the instance is made of, as far as they are still there.
    pub(crate) fn blocks_of(&self, partition: &NewPartition) -> BlockFilter {
        match &partition.chain {
            None => self.blocks_in(partition.seqs),
            Some(chain) => BlockFilter {
                stream_id: Some(chain.stream_id),
                process_id: None,
                offsets: Some((chain.begin, chain.end)),
                ..self.blocks_in(SeqRange::new(1, partition.seqs.end))
            },
        }
    }

    /// Whether partitions can be read one behind the other where their rows' times are so: those of SQL may hold
    /// rows that become one.
    pub(crate) fn is_of_blocks(&self) -> bool {
        matches!(self.source, RowSource::Blocks(_) | RowSource::Streams(_))
    }

    /// Names of the columns that the rows of a partition are in ascending order of.
    pub(crate) fn sort_order(&self) -> Vec<&'static str> {
        match &self.source {
            RowSource::Blocks(_) | RowSource::Streams(_) => {
                self.view_set.event_time_columns().map(|c| c.0).into_iter().collect()
            }
            RowSource::Sql(sql) => sql.sort.to_vec(),
        }
    }

    /// What the instance is called in messages and leases.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.view_set.name, self.id)
    }

    /// A partition of the instance with nothing in it.
    pub(crate) fn empty_partition(&self, seqs: SeqRange) -> NewPartition {
        let now = belvedere_model::time::now();
        NewPartition {
            token: Uuid::new_v4(),
            view_set: self.view_set.name.to_owned(),
            instance: self.id.clone(),
            schema_hash: self.schema_hash.clone(),
            seqs,
            insert_begin: now,
            insert_end: now,
            events: None,
            block_count: 0,
            object_count: 0,
            fault_count: 0,
            row_count: 0,
            file_key: None,
            file_size: 0,
            sums: None,
            sort_order: self.sort_order().into_iter().map(str::to_owned).collect(),
            process_ids: Some(Vec::new()),
            is_last_copy: false,
            ignored_count: 0,
            chain: None,
        }
    }
}

fn distinct(texts: impl Iterator<Item = &'static str>) -> Vec<String> {
    let mut texts: Vec<String> = texts.map(str::to_owned).collect();
    texts.sort();
    texts.dedup();
    texts
}
