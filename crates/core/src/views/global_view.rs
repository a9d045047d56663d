//! Views that are read page by page, with the one instance `global`.

use super::instance_view::{Kind, maker_of};
use crate::error::Result;
use crate::query::{MakerContext, PagedSource, PagedTable, QueryContext, ViewMaker};
use crate::scan::Scope;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use std::sync::Arc;

#[derive(Debug)]
struct GlobalView<S> {
    schema: SchemaRef,
    source: Arc<S>,
}

/// The maker of a view set with one table, `global`, over that source.
pub(crate) fn global_view_maker(context: &MakerContext, source: impl PagedSource) -> Arc<dyn ViewMaker> {
    let set = context.view_set;
    maker_of(set, set.schema_hash(), GlobalView { schema: set.engine_schema(), source: Arc::new(source) })
}

impl<S: PagedSource> Kind for GlobalView<S> {
    fn follows_blocks(&self) -> bool {
        S::FOLLOWS_BLOCKS
    }

    fn table(&self, _: Scope, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(PagedTable::new(self.schema.clone(), self.source.clone(), context.clone())))
    }
}
