//! Record objects that nothing refers to: what was written of groups that never came into the catalog. Their senders got
//! no 200, and have sent them again.
//!
//! In a directory these are files that never got a record. All others there are read back at the next start. In an object
//! store they are objects with blocks that the catalog does not have. They are kept for a day: a group may be on its way into the
//! catalog, and who restores an older catalog should have time to notice.

use super::{LakeConnection, LakeError};
use crate::objects::Objects;
use crate::record::{Entry, Records};
use chrono::{DateTime, Days, Utc};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use std::time::Duration;

/// A younger object may be about to be used.
const AGE: Duration = Duration::from_secs(24 * 3600);
/// Days of objects that [`Leftovers::Recent`] looks at.
const RECENT_DAYS: u64 = 7;
/// Keys of one step.
const STEP: usize = 500;

/// Which leftovers to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// All.
    All,
    /// Those of the last days: a list of all objects of a large lake is long.
    Recent,
}

/// An object that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

impl LakeConnection {
    /// Record objects that nothing refers to, and that are old enough to be deleted.
    pub async fn leftovers(&self, which: Leftovers) -> Result<Vec<Leftover>, LakeError> {
        let now = DateTime::<Utc>::from_timestamp_nanos(belvedere_model::time::now());
        let before = now - AGE;
        if let Objects::Local(local) = self.objects() {
            return local.without_records(before.into()).await;
        }
        let mut folders = vec!["records".to_owned()];
        if which == Leftovers::Recent {
            folders = (1..=RECENT_DAYS)
                .filter_map(|days| now.checked_sub_days(Days::new(days)))
                .map(|day| format!("records/{}", day.format("%Y-%m-%d")))
                .collect();
        }
        let mut found = Vec::new();
        for folder in folders {
            let mut pages = self.store().list(Some(&folder.as_str().into())).try_chunks(STEP);
            while let Some(page) = pages.try_next().await.map_err(|e| e.1)? {
                let old: Vec<Leftover> = page
                    .into_iter()
                    .filter(|object| object.last_modified < before)
                    .map(|object| Leftover { key: object.location.to_string(), size: object.size })
                    .collect();
                let keys: Vec<String> = old.iter().map(|object| object.key.clone()).collect();
                let known = self.catalog().known_objects(&keys).await?;
                for object in old.into_iter().filter(|object| !known.contains(&object.key)) {
                    if !self.has_only_announcements(&object.key).await? {
                        found.push(object);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Earlier versions did not note objects that have no block.
    async fn has_only_announcements(&self, key: &str) -> Result<bool, LakeError> {
        let bytes = match self.store().get(&key.into()).await {
            Ok(object) => object.bytes().await?,
            // by another server that looks, too
            Err(object_store::Error::NotFound { .. }) => return Ok(true),
            Err(e) => return Err(e.into()),
        };
        let mut records = Records::new(bytes, 0).peekable();
        Ok(records.peek().is_some() && records.all(|record| !matches!(record, Ok((Entry::Block(_), _)))))
    }

    /// Deletes leftovers, apart from those that somebody uses by now. Returns how many.
    pub async fn delete_leftovers(&self, leftovers: &[Leftover]) -> Result<u64, LakeError> {
        let keys: Vec<String> = leftovers.iter().map(|leftover| leftover.key.clone()).collect();
        if let Objects::Local(local) = self.objects() {
            return local.delete_without_records(keys).await;
        }
        self.delete(&keys).await?;
        Ok(keys.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LakeOptions;
    use crate::record::{MAGIC, append};
    use crate::tests::{announcement, block};
    use object_store::PutPayload;
    use std::fs::File;
    use std::time::SystemTime;
    use uuid::Uuid;

    #[tokio::test]
    async fn files_without_records_are_leftovers_when_they_are_old_and_nobody_writes_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let lake = LakeConnection::open(&LakeOptions::directory(directory.path())).await.unwrap();
        lake.insert(vec![Entry::Block(block(Uuid::from_u128(1), 10))], None).await.unwrap();
        let day = directory.path().join("records/2026-01-31");
        std::fs::create_dir_all(&day).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
        for (name, content, modified) in [
            ("empty.blv", &b""[..], Some(old)),
            ("magic.blv", &MAGIC[..], Some(old)),
            ("begun.blv#0", &b"BLVREC01 and more"[..], Some(old)),
            ("live.blv", &MAGIC[..], Some(old)),
            ("young.blv", &MAGIC[..], None),
            ("full.blv", &b"BLVREC01 and more"[..], Some(old)),
        ] {
            std::fs::write(day.join(name), content).unwrap();
            if let Some(modified) = modified {
                File::options().write(true).open(day.join(name)).unwrap().set_modified(modified).unwrap();
            }
        }
        let live = File::open(day.join("live.blv")).unwrap();
        live.lock().unwrap();
        let found = lake.leftovers(Leftovers::All).await.unwrap();
        let keys: Vec<&str> = found.iter().filter_map(|l| l.key.rsplit('/').next()).collect();
        assert_eq!(keys, ["begun.blv#0", "empty.blv", "live.blv", "magic.blv"]);
        assert_eq!(lake.delete_leftovers(&found).await.unwrap(), 3);
        let left = std::fs::read_dir(&day).unwrap().count();
        assert_eq!(left, 3);
    }

    #[tokio::test]
    async fn young_objects_and_those_with_blocks_are_no_leftovers() {
        let lake = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let (process, stream) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
        lake.insert(vec![Entry::Process(process), Entry::Stream(stream)], None).await.unwrap();
        lake.insert(vec![Entry::Block(block(Uuid::from_u128(3), 10))], None).await.unwrap();
        let lost = "records/2026-01-31/lost.blv";
        lake.store().put(&lost.into(), PutPayload::from_static(b"BLVREC01")).await.unwrap();
        assert_eq!(lake.leftovers(Leftovers::All).await.unwrap(), []);
        let keys: Vec<String> = lake
            .store()
            .list(Some(&"records".into()))
            .map_ok(|object| object.location.to_string())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(keys.len(), 3);
        let known = lake.catalog().known_objects(&keys).await.unwrap();
        assert!(known.len() == 2 && !known.contains(lost), "{known:?}");
        assert!(!lake.has_only_announcements(lost).await.unwrap());
        let (process, _) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
        let mut records = MAGIC.to_vec();
        append(&mut records, &Entry::Process(process)).unwrap();
        lake.store().put(&lost.into(), records.clone().into()).await.unwrap();
        assert!(lake.has_only_announcements(lost).await.unwrap());
        append(&mut records, &Entry::Block(block(Uuid::from_u128(3), 10))).unwrap();
        lake.store().put(&lost.into(), records.into()).await.unwrap();
        assert!(!lake.has_only_announcements(lost).await.unwrap());
    }
}
