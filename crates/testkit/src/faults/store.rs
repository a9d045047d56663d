//! An object store that fails.

use super::{Fault, Faults, slowly};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Another store, with the faults of a plan.
#[derive(Debug)]
pub(super) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Faults,
}

fn failed(what: &str, path: &str, how: &str) -> Error {
    Error::Generic { store: "faulty", source: format!("a fault of a test: {what} of '{path}' {how}").into() }
}

fn not_found(path: &Path) -> Error {
    Error::NotFound { path: path.to_string(), source: "a fault of a test: it is away for a while".into() }
}

impl FaultyStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// Runs a request with a fault. The caller has seen to faults of its own kind.
    async fn run<T>(
        &self,
        fault: Option<Fault>,
        what: &str,
        path: &str,
        request: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match fault {
            Some(Fault::Before | Fault::Crash) => return Err(failed(what, path, "was not done")),
            Some(Fault::LostRequest) => {
                self.faults.no_answer().await;
                return Err(failed(what, path, "got no answer"));
            }
            Some(Fault::Slow) => slowly().await,
            _ => {}
        }
        // the program may have ended while this was slow
        if self.faults.has_ended() {
            return Err(failed(what, path, "was not done"));
        }
        let done = request.await?;
        match fault {
            Some(Fault::After) => Err(failed(what, path, "was done, and failed")),
            Some(Fault::LostReply) => {
                self.faults.no_answer().await;
                Err(failed(what, path, "was done, and got no answer"))
            }
            _ => Ok(done),
        }
    }

    /// Whether an object is said not to be there.
    fn is_away(&self, path: &Path, fault: Option<Fault>) -> bool {
        let mut state = self.faults.lock();
        let step = state.step;
        if fault == Some(Fault::NotFound) {
            state.away.insert(path.clone(), step + 1);
        }
        state.away.get(path).is_some_and(|until| *until >= step)
    }

    fn note_put(&self, path: &Path) {
        let mut state = self.faults.lock();
        let now = (state.step, state.passed);
        state.put.insert(path.clone(), now);
        state.deleted.retain(|(_, old)| old.location != *path);
    }

    /// How old an object is by the time that has passed here.
    fn aged(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let state = self.faults.lock();
        let put = state.put.get(&meta.location).map_or(0, |(_, passed)| *passed);
        meta.last_modified -= std::time::Duration::from_secs((state.passed - put).max(0).unsigned_abs());
        meta
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with faults", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.faults.strike("put", location.as_ref());
        if fault == Some(Fault::Torn) {
            let bytes: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
            let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
            self.inner.put_opts(location, half.into(), options).await?;
            self.note_put(location);
            return Err(failed("put", location.as_ref(), "was done in part"));
        }
        let put = async {
            let put = self.inner.put_opts(location, payload, options).await?;
            self.note_put(location);
            Ok(put)
        };
        self.run(fault, "put", location.as_ref(), put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.faults.strike("upload", location.as_ref());
        let upload = self.inner.put_multipart_opts(location, options);
        let inner = self.run(fault, "upload", location.as_ref(), upload).await?;
        self.note_put(location);
        Ok(Box::new(FaultyUpload { inner, path: location.to_string(), faults: self.faults.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        let fault = self.faults.strike(what, location.as_ref());
        if self.is_away(location, fault) {
            return Err(not_found(location));
        }
        let got = self.run(fault, what, location.as_ref(), self.inner.get_opts(location, options)).await?;
        let (meta, range, attributes) =
            (self.aged(got.meta.clone()), got.range.clone(), got.attributes.clone());
        if fault != Some(Fault::Torn) || what == "head" {
            return Ok(GetResult { meta, ..got });
        }
        let bytes = got.bytes().await?;
        let torn = [Ok(bytes.slice(..bytes.len() / 2)), Err(failed("get", location.as_ref(), "broke off"))];
        let payload = GetResultPayload::Stream(stream::iter(torn).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fault = self.faults.strike("get", location.as_ref());
        if self.is_away(location, fault) {
            return Err(not_found(location));
        }
        if fault == Some(Fault::Torn) {
            return Err(failed("get", location.as_ref(), "broke off"));
        }
        self.run(fault, "get", location.as_ref(), self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, faults) = (self.inner.clone(), self.faults.clone());
        locations
            .then(move |location| {
                let this = Self::new(inner.clone(), faults.clone());
                async move {
                    let location = location?;
                    let fault = this.faults.strike("delete", location.as_ref());
                    let delete = async {
                        let old = this.inner.head(&location).await;
                        this.inner.delete(&location).await?;
                        if let Ok(old) = old {
                            let mut state = this.faults.lock();
                            let step = state.step;
                            state.deleted.push((step, old));
                        }
                        Ok(location.clone())
                    };
                    this.run(fault, "delete", location.as_ref(), delete).await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = Self::new(self.inner.clone(), self.faults.clone());
        let prefix = prefix.cloned();
        let shown = prefix.as_ref().map(Path::to_string).unwrap_or_default();
        async move {
            let fault = this.faults.strike("list", &shown);
            let list = this.inner.list(prefix.as_ref()).try_collect::<Vec<_>>();
            let mut found = this.run(fault, "list", &shown, list).await?;
            if fault == Some(Fault::StaleList) {
                let state = this.faults.lock();
                let is_old = |step: u64| step + 2 <= state.step;
                found.retain(|meta| state.put.get(&meta.location).is_none_or(|(step, _)| is_old(*step)));
                let known: HashSet<Path> = found.iter().map(|meta| meta.location.clone()).collect();
                let is_in = |meta: &ObjectMeta| {
                    prefix.as_ref().is_none_or(|prefix| meta.location.prefix_matches(prefix))
                };
                let gone = state.deleted.iter().filter(|(step, meta)| !is_old(*step) && is_in(meta));
                found.extend(
                    gone.map(|(_, meta)| meta.clone()).filter(|meta| !known.contains(&meta.location)),
                );
            }
            let mut listed: Vec<Result<ObjectMeta>> =
                found.into_iter().map(|meta| Ok(this.aged(meta))).collect();
            if fault == Some(Fault::Torn) {
                listed.truncate(listed.len() / 2);
                listed.push(Err(failed("list", &shown, "broke off")));
            }
            Ok::<_, Error>(stream::iter(listed))
        }
        .into_stream()
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let shown = prefix.map(Path::to_string).unwrap_or_default();
        let fault = self.faults.strike("list", &shown);
        self.run(fault, "list", &shown, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fault = self.faults.strike("copy", from.as_ref());
        self.run(fault, "copy", from.as_ref(), self.inner.copy_opts(from, to, options)).await?;
        self.note_put(to);
        Ok(())
    }
}

/// An upload in parts that fails.
#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    path: String,
    faults: Faults,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.faults.strike("put of a part", &self.path) {
            Some(Fault::Before | Fault::Crash | Fault::Torn | Fault::LostRequest) => {
                let failed = failed("put of a part", &self.path, "was not done");
                async move { Err(failed) }.boxed()
            }
            _ => self.inner.put_part(data),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let store = FaultyStore::new(Arc::new(object_store::memory::InMemory::new()), self.faults.clone());
        let fault = self.faults.strike("end of an upload", &self.path);
        store.run(fault, "end of an upload", &self.path, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
