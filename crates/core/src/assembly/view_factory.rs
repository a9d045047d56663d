//! From registrations to the tables of one lake.

use crate::error::{Context, Result};
use crate::query::{Functions, Maker, MakerContext, QueryContext, Tables, ViewFactory};
use crate::registry::Assembly;
use crate::views::{block_view_maker, query_view_maker, sql_view_maker};
use belvedere_lake::LakeConnection;
use belvedere_view::Source;
use datafusion::execution::runtime_env::RuntimeEnv;
use std::sync::Arc;

/// The tables of everything that is linked into this program.
pub async fn default_view_factory(
    runtime: Arc<RuntimeEnv>,
    lake: Arc<LakeConnection>,
) -> Result<ViewFactory> {
    view_factory(&Assembly::new(belvedere_view::linked_unsorted())?, runtime, lake)
}

/// Makes the tables of one lake, in the order of their dependencies. An error too if a crate's functions and their
/// documentation don't fit together.
pub(crate) fn view_factory(
    assembly: &Assembly,
    runtime: Arc<RuntimeEnv>,
    lake: Arc<LakeConnection>,
) -> Result<ViewFactory> {
    let mut factory = ViewFactory::default();
    for (view_set, crate_name) in assembly.view_sets_with_crates() {
        let context = MakerContext {
            view_set,
            sources: assembly.sources(view_set.name).into(),
            lake: lake.clone(),
            runtime: runtime.clone(),
            dependencies: factory.restricted_to(view_set.depends_on),
        };
        let failed = || format!("view set {} of {crate_name} could not be created", view_set.name);
        let maker = match view_set.source {
            Source::Blocks(_) => block_view_maker(context),
            Source::Sql(sql) => sql_view_maker(context, sql),
            Source::Query(sql) => query_view_maker(context, sql),
            // `Source::Maker`: the assembly has seen to it that there is one
            _ => {
                let mut makers = assembly.extensions::<Maker>().map(|(maker, _)| maker);
                let maker = makers.find(|maker| maker.view_set == view_set.name);
                let maker = maker.context("it has no maker").with_context(failed)?;
                maker.make(context).with_context(failed)?
            }
        };
        if view_set.instances.has_global() {
            factory.add_global_view(maker.make_view("global").with_context(failed)?);
        }
        factory.add_view_set(view_set.name.to_owned(), maker)?;
    }
    // functions can't be made without a lake, and so can't be looked at before there is one
    let tables = Tables { assembly: Arc::new(assembly.clone()), factory: factory.clone() };
    let context = QueryContext::for_definitions(lake, tables, runtime);
    for (functions, crate_name) in assembly.extensions::<Functions>() {
        functions.check(&context, crate_name)?;
    }
    Ok(factory)
}
