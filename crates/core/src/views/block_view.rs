//! Views whose rows are decoded from blocks.

use crate::assembly::{MakerContext, View, ViewMaker};
use crate::partitions::{Instance, RowSource, Scope, hash_of};
use crate::query::{QueryContext, ViewTable};
use anyhow::Result;
use arrow::datatypes::Schema;
use belvedere_view::Decoder;
use datafusion::catalog::TableProvider;
use std::sync::Arc;

#[derive(Debug)]
struct BlockViewMaker {
    context: MakerContext,
}

#[derive(Debug)]
struct BlockView {
    context: MakerContext,
    instance: Instance,
}

/// The maker of a view set that is decoded from blocks.
pub(crate) fn block_view_maker(context: MakerContext) -> Arc<dyn ViewMaker> {
    Arc::new(BlockViewMaker { context })
}

impl ViewMaker for BlockViewMaker {
    fn make_view(&self, view_instance_id: &str) -> Result<Arc<dyn View>> {
        let set = self.context.view_set;
        let scope = Scope::of(set, view_instance_id)?;
        let sources = &self.context.sources;
        let blocks = Instance::understood(sources);
        // assembly has seen to it that all are of one kind
        let is_chain = sources.iter().any(|s| matches!(s.decoder, Decoder::Stateful(_)));
        let rows = match is_chain {
            true => RowSource::Chains(sources.clone()),
            false => RowSource::Blocks(sources.clone()),
        };
        let instance = Instance::new(set, rows, scope, blocks);
        Ok(Arc::new(BlockView { context: self.context.clone(), instance }))
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        let formats = Instance::understood(&self.context.sources).formats.unwrap_or_default();
        hash_of(self.context.view_set, &formats)
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.context.view_set.documented_schema()
    }
}

impl View for BlockView {
    fn get_view_set_name(&self) -> &str {
        self.context.view_set.name
    }

    fn get_view_instance_id(&self) -> &str {
        &self.instance.id
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.context.view_set.documented_schema()
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.instance.schema_hash.clone()
    }

    fn instance(&self) -> Option<&Instance> {
        Some(&self.instance)
    }

    fn table(&self, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.instance.clone(), self.context.sources.clone(), context.clone())))
    }
}
