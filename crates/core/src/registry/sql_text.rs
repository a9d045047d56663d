//! What the SQL of view sets reads, told from its text.

use crate::error::{Error, Result};
use crate::parser;
use datafusion::sql::sqlparser::ast::{Statement, visit_relations};
use std::ops::ControlFlow;

/// What the merge of a view calls its partial rows.
pub(crate) const PARTIALS: &str = "partials";

/// Names of the tables that a query reads, sorted; those that it defines itself left out.
pub(crate) fn tables_of(sql: &str) -> Result<Vec<String>> {
    let statements = parser::statements(sql)?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Err(Error::Request("expected one SQL query".to_owned()));
    };
    let name = |name: String| name.trim_matches('"').to_owned();
    let defined: Vec<String> =
        query.with.iter().flat_map(|w| &w.cte_tables).map(|t| name(t.alias.name.to_string())).collect();
    let mut names = Vec::new();
    let _ = visit_relations(&statements, |relation| {
        names.push(name(relation.to_string()));
        ControlFlow::<()>::Continue(())
    });
    names.retain(|name| !defined.contains(name));
    names.sort();
    names.dedup();
    Ok(names)
}
