//! SQL functions that crates bring along.

use super::QueryContext;
use crate::registry::AssemblyError;
use belvedere_lake::access::Right;
use belvedere_view::Extension;
use datafusion::catalog::TableFunctionImpl;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use std::sync::Arc;

/// SQL functions of one crate.
#[derive(Debug)]
pub struct Functions {
    /// What is documented of them: all of them, and nothing else. Assembly checks that names are unique, the making of a
    /// lake's tables that none is missing.
    pub docs: &'static [FunctionDoc],
    /// Makes them for one query.
    pub make: fn(&QueryContext) -> FunctionSet,
}

/// Documentation of one SQL function.
#[derive(Debug, Clone, Copy)]
pub struct FunctionDoc {
    /// Name in SQL.
    pub name: &'static str,
    /// How it is called: `property_get(properties, name)`.
    pub signature: &'static str,
    /// What it gives, and when NULL.
    pub about: &'static str,
    /// What a caller must be allowed to do: to read, or to administer if it changes the lake.
    pub needs: Right,
}

impl FunctionDoc {
    /// What it gives, and which right it needs if reading is not enough.
    pub fn about_with_right(&self) -> String {
        match self.needs {
            Right::Read => self.about.to_owned(),
            right => format!("{} Needs the right {}.", self.about, right.name()),
        }
    }
}

/// The functions themselves.
#[derive(Debug, Default)]
pub struct FunctionSet {
    /// One value a row.
    pub scalars: Vec<ScalarUDF>,
    /// One value a group.
    pub aggregates: Vec<AggregateUDF>,
    /// Functions in FROM, by name.
    pub tables: Vec<(&'static str, Arc<dyn TableFunctionImpl>)>,
}

impl Functions {
    /// An error if one of them is not documented, or if something is documented that is none of them: their rights are
    /// looked up by name, so that a slip of the pen would take a right away from whoever has it, or give it to all.
    pub(crate) fn check(&self, context: &QueryContext, crate_name: &str) -> Result<(), AssemblyError> {
        let set = (self.make)(context);
        let scalars = set.scalars.iter().map(ScalarUDF::name);
        let aggregates = set.aggregates.iter().map(AggregateUDF::name);
        let made: Vec<&str> =
            scalars.chain(aggregates).chain(set.tables.iter().map(|(name, _)| *name)).collect();
        let invalid = |name: &str, reason: &str| AssemblyError::Invalid {
            what: format!("the function '{name}'"),
            crate_name: crate_name.to_owned(),
            reason: reason.to_owned(),
        };
        let documented = |name: &str| self.docs.iter().any(|doc| doc.name == name);
        if let Some(name) = made.iter().find(|name| !documented(name)) {
            return Err(invalid(
                name,
                "it has no documentation and no required right: give it a FunctionDoc",
            ));
        }
        match self.docs.iter().find(|doc| !made.contains(&doc.name)) {
            Some(doc) => {
                Err(invalid(doc.name, "it has a FunctionDoc but no implementation: correct the name"))
            }
            None => Ok(()),
        }
    }
}

impl Extension for Functions {
    fn kind(&self) -> &'static str {
        "function"
    }

    fn names(&self) -> Vec<&'static str> {
        self.docs.iter().map(|doc| doc.name).collect()
    }
}
