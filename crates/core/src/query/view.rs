//! Views, who makes them, and the factory that has them all: the API that the seed's programs know.

use super::QueryContext;
use crate::error::{Error, Result};
use crate::registry::nearest;
use crate::scan::Instance;
use arrow::datatypes::Schema;
use async_trait::async_trait;
use belvedere_lake::LakeConnection;
use belvedere_view::{BlockSource, Extension, ViewSet};
use datafusion::catalog::TableProvider;
use datafusion::execution::runtime_env::RuntimeEnv;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// One table of a view set.
#[async_trait]
pub trait View: Debug + Send + Sync {
    /// View set that it is an instance of.
    fn get_view_set_name(&self) -> &str;

    /// `global`, or a process or stream id: lower-case and hyphenated.
    fn get_view_instance_id(&self) -> &str;

    /// The documented schema.
    fn get_schema(&self) -> Arc<Schema>;

    /// Changes when the same blocks give other rows than before.
    fn get_schema_hash(&self) -> Vec<u8>;

    /// What core needs to know to keep the view's rows in partitions; `None` if its rows are made anew at each
    /// query. Only core makes such views.
    #[doc(hidden)]
    fn instance(&self) -> Option<&Instance> {
        None
    }

    /// Whether the table shows the rows of the blocks that a query sees, and of no others. A view that is SQL over
    /// others must read one that does.
    fn follows_blocks(&self) -> bool {
        self.instance().is_some()
    }

    /// The table as one query sees it. Its columns are those of the documented schema, in order, possibly in
    /// other types.
    fn table(&self, context: &QueryContext) -> Result<Arc<dyn TableProvider>>;
}

/// Makes the instances of a view set.
pub trait ViewMaker: Send + Sync + Debug {
    /// Makes one instance; an error if there can't be one of that id.
    fn make_view(&self, view_instance_id: &str) -> Result<Arc<dyn View>>;

    /// See [`View::get_schema_hash`].
    fn get_schema_hash(&self) -> Vec<u8>;

    /// The documented schema.
    fn get_schema(&self) -> Arc<Schema>;
}

/// What the maker of a view set gets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MakerContext {
    /// The registration.
    pub view_set: &'static ViewSet,
    /// Everything that turns blocks into rows of this view set: its own source first, then those that others
    /// registered, by crate.
    pub sources: Arc<[BlockSource]>,
    /// The lake.
    pub lake: Arc<LakeConnection>,
    /// Memory and disk for queries.
    pub runtime: Arc<RuntimeEnv>,
    /// The view sets that this one depends on.
    pub dependencies: ViewFactory,
}

/// Makes the [`ViewMaker`] of a view set whose source is [`Source::Maker`](belvedere_view::Source::Maker).
#[derive(Debug)]
pub struct Maker {
    pub(crate) view_set: &'static str,
    make: fn(MakerContext) -> Result<Arc<dyn ViewMaker>>,
}

impl Maker {
    /// A maker for the view set of that name.
    pub const fn new(view_set: &'static str, make: fn(MakerContext) -> Result<Arc<dyn ViewMaker>>) -> Self {
        Self { view_set, make }
    }

    /// Makes the view maker.
    pub(crate) fn make(&self, context: MakerContext) -> Result<Arc<dyn ViewMaker>> {
        (self.make)(context)
    }
}

impl Extension for Maker {
    fn kind(&self) -> &'static str {
        "maker"
    }

    fn names(&self) -> Vec<&'static str> {
        vec![self.view_set]
    }

    fn makes_view_set(&self) -> Option<&'static str> {
        Some(self.view_set)
    }
}

/// All tables of a lake.
#[derive(Clone, Debug, Default)]
pub struct ViewFactory {
    global_views: Vec<Arc<dyn View>>,
    view_sets: BTreeMap<String, Arc<dyn ViewMaker>>,
}

impl ViewFactory {
    /// A factory with these global views and no view set.
    pub fn new(global_views: Vec<Arc<dyn View>>) -> Self {
        Self { global_views, view_sets: BTreeMap::new() }
    }

    /// The global views in the order in which they were added.
    pub fn get_global_views(&self) -> &[Arc<dyn View>] {
        &self.global_views
    }

    /// The global view of that view set.
    pub fn get_global_view(&self, view_set_name: &str) -> Option<Arc<dyn View>> {
        self.global_views.iter().find(|v| v.get_view_set_name() == view_set_name).cloned()
    }

    /// Adds a global view.
    pub fn add_global_view(&mut self, view: Arc<dyn View>) {
        self.global_views.push(view);
    }

    /// Adds a view set; an error if there is one of that name.
    pub fn add_view_set(&mut self, view_set_name: String, maker: Arc<dyn ViewMaker>) -> Result<()> {
        if self.view_sets.contains_key(&view_set_name) {
            return Err(Error::Request(format!("view set {view_set_name} already exists")));
        }
        self.view_sets.insert(view_set_name, maker);
        Ok(())
    }

    /// All view sets, by name.
    pub fn get_view_sets(&self) -> &BTreeMap<String, Arc<dyn ViewMaker>> {
        &self.view_sets
    }

    /// Makes an instance of a view set.
    pub fn make_view(&self, view_set_name: &str, view_instance_id: &str) -> Result<Arc<dyn View>> {
        match self.view_sets.get(view_set_name) {
            Some(maker) => maker.make_view(view_instance_id),
            None => {
                let names = self.view_sets.keys().map(String::as_str);
                Err(Error::Request(format!(
                    "view set {view_set_name} not found{}",
                    nearest(view_set_name, names)
                )))
            }
        }
    }

    /// The same factory with only some of its view sets.
    pub(crate) fn restricted_to(&self, names: &[&str]) -> Self {
        Self {
            global_views: self
                .global_views
                .iter()
                .filter(|v| names.contains(&v.get_view_set_name()))
                .cloned()
                .collect(),
            view_sets: self
                .view_sets
                .iter()
                .filter(|(name, _)| names.contains(&name.as_str()))
                .map(|(name, maker)| (name.clone(), maker.clone()))
                .collect(),
        }
    }
}
