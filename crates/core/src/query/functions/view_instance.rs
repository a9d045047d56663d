//! `view_instance('set', 'id')`

use crate::query::Argument;
use crate::query::QueryContext;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct ViewInstance {
    context: QueryContext,
}

impl ViewInstance {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for ViewInstance {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [set, instance] = args.exprs() else {
            return Err(DataFusionError::Plan(format!(
                "view_instance takes two arguments, a view set and an instance, not {}",
                args.exprs().len()
            )));
        };
        let set = Argument::text(set, "first argument of view_instance, the view set,")?;
        let instance = Argument::text(instance, "second argument of view_instance, the instance,")?;
        self.context
            .factory()
            .make_view(&set, &instance)
            .and_then(|view| view.table(&self.context))
            .map_err(|e| DataFusionError::Plan(format!("{e}")))
    }
}
