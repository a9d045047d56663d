//! Views whose rows are decoded from blocks.

use super::instance_view::{Kind, maker_of};
use crate::error::Result;
use crate::query::{MakerContext, QueryContext, ViewMaker};
use crate::scan::{Instance, RowSource, Scope, ViewTable, hash_of};
use belvedere_view::{BlockSource, Decoder, ViewSet};
use datafusion::catalog::TableProvider;
use std::sync::Arc;

#[derive(Debug)]
struct BlockView {
    view_set: &'static ViewSet,
    sources: Arc<[BlockSource]>,
}

/// The maker of a view set that is decoded from blocks.
pub(crate) fn block_view_maker(context: MakerContext) -> Arc<dyn ViewMaker> {
    let MakerContext { view_set, sources, .. } = context;
    let formats = Instance::understood(&sources).formats.unwrap_or_default();
    maker_of(view_set, hash_of(view_set, &formats), BlockView { view_set, sources })
}

impl BlockView {
    fn kept_instance(&self, scope: Scope) -> Instance {
        let sources = self.sources.clone();
        let blocks = Instance::understood(&sources);
        // assembly has seen to it that all are of one kind
        let along_streams = sources.iter().any(|s| matches!(s.decoder, Decoder::Stateful(_)));
        let rows = if along_streams { RowSource::Streams(sources) } else { RowSource::Blocks(sources) };
        Instance::new(self.view_set, rows, scope, blocks)
    }
}

impl Kind for BlockView {
    fn instance(&self, scope: Scope) -> Option<Instance> {
        Some(self.kept_instance(scope))
    }

    fn table(&self, scope: Scope, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.kept_instance(scope), self.sources.clone(), context.scan().clone())))
    }
}
