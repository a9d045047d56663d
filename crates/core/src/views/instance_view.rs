//! The one shell around views of all kinds: names, schemas and hashes are the same for all, a kind makes the table.

use crate::error::Result;
use crate::query::{QueryContext, View, ViewMaker};
use crate::scan::{Instance, Scope};
use arrow::datatypes::Schema;
use belvedere_view::ViewSet;
use datafusion::catalog::TableProvider;
use std::fmt::Debug;
use std::sync::Arc;

/// What one kind of view does.
pub(super) trait Kind: Debug + Send + Sync + 'static {
    /// The instance, if its rows are kept in partitions.
    fn instance(&self, _: Scope) -> Option<Instance> {
        None
    }

    /// See [`View::follows_blocks`]; for those whose rows are not kept.
    fn follows_blocks(&self) -> bool {
        false
    }

    /// The table of that instance as one query sees it.
    fn table(&self, scope: Scope, context: &QueryContext) -> Result<Arc<dyn TableProvider>>;
}

/// Makes instances of a view set.
#[derive(Debug, Clone)]
struct InstanceViewMaker {
    view_set: &'static ViewSet,
    schema_hash: Vec<u8>,
    kind: Arc<dyn Kind>,
}

/// One instance.
#[derive(Debug)]
struct InstanceView {
    maker: InstanceViewMaker,
    scope: Scope,
    id: String,
    instance: Option<Instance>,
}

/// A maker of instances of that kind.
pub(super) fn maker_of(
    view_set: &'static ViewSet,
    schema_hash: Vec<u8>,
    kind: impl Kind,
) -> Arc<dyn ViewMaker> {
    Arc::new(InstanceViewMaker { view_set, schema_hash, kind: Arc::new(kind) })
}

impl ViewMaker for InstanceViewMaker {
    fn make_view(&self, view_instance_id: &str) -> Result<Arc<dyn View>> {
        let scope = Scope::new(self.view_set, view_instance_id)?;
        let instance = self.kind.instance(scope);
        Ok(Arc::new(InstanceView { maker: self.clone(), scope, id: scope.to_id(), instance }))
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.schema_hash.clone()
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.view_set.documented_schema()
    }
}

impl View for InstanceView {
    fn get_view_set_name(&self) -> &str {
        self.maker.view_set.name
    }

    fn get_view_instance_id(&self) -> &str {
        &self.id
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.maker.view_set.documented_schema()
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.maker.schema_hash.clone()
    }

    fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
    }

    fn follows_blocks(&self) -> bool {
        self.instance.is_some() || self.maker.kind.follows_blocks()
    }

    fn table(&self, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        self.maker.kind.table(self.scope, context)
    }
}
