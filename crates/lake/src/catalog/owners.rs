//! Who an id belongs to. The first announcement of a stream says which process it is of, and what a process is announced
//! by says which protocol it is of: what contradicts that is refused before it is stored.

use super::statement::{Arg, Statement};
use super::write::foreign_block;
use super::{Catalog, LakeError};
use crate::record::Entry;
use belvedere_model::{ProcessInfo, StreamInfo, TRANSIT_FORMAT};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Refuses streams that are another process's already, and blocks of streams that are another process's. `streams` are those
/// that are known; those of the entries are added if all of them are taken.
pub(crate) fn check_owners(
    entries: &[Entry],
    streams: &mut HashMap<Uuid, Arc<StreamInfo>>,
) -> Result<(), LakeError> {
    let conflict = |text: String| Err(LakeError::Conflict(text.into()));
    let mut own: HashMap<Uuid, Arc<StreamInfo>> = HashMap::new();
    for entry in entries {
        match entry {
            Entry::Process(_) => {}
            Entry::Stream(stream) => {
                let id = stream.stream_id;
                let known = match streams.get(&id) {
                    Some(known) => known,
                    None => &*own.entry(id).or_insert_with(|| stream.clone()),
                };
                if known.process_id != stream.process_id {
                    return conflict(format!(
                        "stream {} was announced as one of the process {}, not of {}: announce it with an id of its \
                         own",
                        stream.stream_id, known.process_id, stream.process_id
                    ));
                }
            }
            Entry::Block(block) => {
                let info = &block.info;
                let stream = streams.get(&info.stream_id).or_else(|| own.get(&info.stream_id));
                if let Some(stream) = stream.filter(|s| s.process_id != info.process_id) {
                    return conflict(foreign_block(info, stream.process_id));
                }
            }
        }
    }
    streams.extend(own);
    Ok(())
}

impl Catalog {
    /// The streams that entries name, as far as they were announced before, by id.
    pub(crate) async fn streams_named(
        &self,
        entries: impl Iterator<Item = &Entry>,
    ) -> Result<HashMap<Uuid, Arc<StreamInfo>>, LakeError> {
        let ids = entries.filter_map(|entry| match entry {
            Entry::Process(_) => None,
            Entry::Stream(stream) => Some(stream.stream_id),
            Entry::Block(block) => Some(block.info.stream_id),
        });
        let mut ids: Vec<Uuid> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        self.streams_by_id(&self.intake, &ids).await
    }

    /// Refuses to take a process, or a stream of it, from native clients if another protocol brought the process.
    pub(crate) async fn check_native(&self, process_id: Uuid) -> Result<(), LakeError> {
        match self.other_format(process_id).await? {
            None => Ok(()),
            Some(format) => Err(LakeError::Conflict(
                format!(
                    "process {process_id} has streams of the format {format}, so a native client can't be it: \
                     announce the process with an id of its own"
                )
                .into(),
            )),
        }
    }

    /// Whether somebody else has announced the process or the stream under these ids. `process` and `stream` are what another
    /// protocol than the native one is about to announce.
    pub(crate) async fn is_taken(
        &self,
        process: &ProcessInfo,
        stream: &StreamInfo,
    ) -> Result<bool, LakeError> {
        if let Some(known) = self.stream(stream.stream_id).await? {
            return Ok(known.process_id != stream.process_id || known.format != stream.format);
        }
        let Some(known) = self.process(process.process_id).await? else { return Ok(false) };
        let counts_nanoseconds =
            |p: &ProcessInfo| (p.tsc_frequency, p.start_ticks == p.start_time) == (1_000_000_000, true);
        // ids don't depend on the case of these
        let is_same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        let is_alike = is_same(&known.exe, &process.exe)
            && is_same(&known.computer, &process.computer)
            && counts_nanoseconds(&known) == counts_nanoseconds(process);
        Ok(!is_alike && self.other_format(process.process_id).await?.is_none())
    }

    /// The format of one of a process's streams that is not that of native clients, if there is one.
    async fn other_format(&self, process_id: Uuid) -> Result<Option<String>, LakeError> {
        let mut statement = Statement::new("SELECT format FROM streams WHERE process_id = ");
        statement
            .bind(Arg::Uuid(process_id))
            .push(" AND format <> ")
            .bind(Arg::Text(TRANSIT_FORMAT.to_owned()))
            .push(" LIMIT 1");
        Ok(self.readers.fetch::<(String,)>(statement).await?.pop().map(|row| row.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{AnnouncedBlock, Body, IngestError, IngestLimits, IngestionService};
    use crate::tests::{announcement, block_of};
    use crate::{BlockFilter, LakeConnection, LakeOptions};
    use belvedere_model::StreamParts;
    use belvedere_model::wire::BlockRequest;

    const P1: Uuid = Uuid::from_u128(1);
    const P2: Uuid = Uuid::from_u128(2);
    const S1: Uuid = Uuid::from_u128(11);
    const S2: Uuid = Uuid::from_u128(12);

    async fn lake() -> Arc<LakeConnection> {
        LakeConnection::open(&LakeOptions::in_memory()).await.unwrap()
    }

    async fn announce(lake: &LakeConnection, process: Uuid, stream: Uuid) -> Result<(), LakeError> {
        let (process, stream) = announcement(process, stream);
        lake.insert(vec![Entry::Process(process), Entry::Stream(stream)], None).await
    }

    fn block(id: u128, process: Uuid, stream: Uuid) -> BlockRequest {
        block_of(Uuid::from_u128(id), process, stream, 10)
    }

    /// Ids of visible blocks with their processes.
    async fn visible(lake: &LakeConnection) -> Vec<(u128, Uuid)> {
        let blocks = lake.catalog().blocks(&BlockFilter::default(), 0, 100).await.unwrap();
        blocks.iter().map(|b| (b.info.block_id.as_u128(), b.process.process_id)).collect()
    }

    #[tokio::test]
    async fn a_block_of_a_process_with_a_stream_of_another_one_is_refused_with_the_ids() {
        let lake = lake().await;
        announce(&lake, P1, S1).await.unwrap();
        announce(&lake, P2, S2).await.unwrap();
        let error = lake.insert_block(block(100, P1, S2)).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(IngestError::from(error), IngestError::BadRequest(_)));
        for id in [P1, P2, S2, Uuid::from_u128(100)] {
            assert!(text.contains(&id.to_string()), "{text}");
        }
        let error = announce(&lake, P1, S2).await.unwrap_err();
        assert!(matches!(error, LakeError::Conflict(_)), "{error}");
        lake.insert_block(block(100, P2, S2)).await.unwrap();
        assert_eq!(visible(&lake).await, [(100, P2)]);
    }

    #[tokio::test]
    async fn a_block_that_waits_for_a_stream_is_not_shown_if_the_stream_is_announced_as_another_processs() {
        let lake = lake().await;
        lake.insert_block(block(100, P1, S1)).await.unwrap();
        lake.insert_block(block(101, P2, S1)).await.unwrap();
        announce(&lake, P1, S2).await.unwrap();
        announce(&lake, P2, S1).await.unwrap();
        assert_eq!(visible(&lake).await, [(101, P2)]);
        assert_eq!(lake.catalog().waiting_blocks().await.unwrap(), 0);
        // in one request
        let (process, stream) = announcement(P1, Uuid::from_u128(13));
        let foreign = block(102, P2, stream.stream_id);
        let entries = vec![Entry::Process(process), Entry::Stream(stream), Entry::Block(foreign)];
        assert!(matches!(lake.insert(entries, None).await, Err(LakeError::Conflict(_))));
    }

    #[tokio::test]
    async fn a_block_that_waits_keeps_its_id_whatever_comes_with_the_same_one() {
        let lake = lake().await;
        lake.insert_block(block(100, P1, S1)).await.unwrap();
        announce(&lake, P2, S2).await.unwrap();
        lake.insert_block(block(100, P2, S2)).await.unwrap();
        assert_eq!(visible(&lake).await, []);
        announce(&lake, P1, S1).await.unwrap();
        assert_eq!(visible(&lake).await, [(100, P1)]);
    }

    #[tokio::test]
    async fn a_process_of_another_protocol_is_not_a_native_clients_and_the_other_way_round() {
        let lake = lake().await;
        let service = IngestionService::new(lake.clone(), IngestLimits::default());
        let other = |exe: &str| {
            let (process, stream) = announcement(P1, S1);
            let process = ProcessInfo { exe: exe.to_owned(), ..Arc::unwrap_or_clone(process) };
            AnnouncedBlock::new(Arc::new(process), stream, block(100, P1, S1))
        };
        // what is sent has no format: the native one
        let native = |stream: Uuid| Body::new(announcement(P1, stream).1.encode().unwrap().into(), None);
        let process = announcement(P1, S1).0;
        // the native client was first, under another name
        let body = || Body::new(process.encode().into(), None);
        service.insert_process(body()).await.unwrap();
        assert!(service.is_taken(&other("shop")).await.unwrap());
        assert!(!service.is_taken(&other("exe")).await.unwrap());
        // the other protocol was first
        service.insert_blocks(vec![other("exe")], None).await.unwrap();
        assert!(!service.is_taken(&other("shop")).await.unwrap());
        for refused in [service.insert_process(body()).await, service.insert_stream(native(S2)).await] {
            let Err(IngestError::BadRequest(why)) = refused else { panic!("{refused:?}") };
            assert!(why.as_str().contains("something/v1") && why.as_str().contains(&P1.to_string()));
        }
        // and its streams are its own too
        let service = IngestionService::new(lake.clone(), IngestLimits::default());
        let mut foreign = other("exe");
        foreign.stream =
            Arc::new(StreamParts { stream_id: S1, process_id: P2, ..StreamParts::default() }.into());
        assert!(service.is_taken(&foreign).await.unwrap());
    }
}
