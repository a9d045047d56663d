//! SQL functions that crates bring along: what is documented of one and what makes it are one value.

use super::QueryContext;
use crate::error::AssemblyError;
use belvedere_lake::access::Right;
use belvedere_view::Extension;
use datafusion::catalog::TableFunctionImpl;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use std::sync::Arc;

/// SQL functions of one crate. Their names are unique in a program.
#[derive(Debug)]
pub struct Functions {
    functions: &'static [SqlFunction],
}

/// One SQL function: its documentation, the right that a caller needs, and what makes it for a query.
#[derive(Debug, Clone, Copy)]
pub struct SqlFunction {
    name: &'static str,
    signature: &'static str,
    about: &'static str,
    right: Right,
    make: Make,
}

/// Makes a function for one query.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Make {
    /// One value a row.
    Scalar(fn(&QueryContext) -> ScalarUDF),
    /// One value a group.
    Aggregate(fn(&QueryContext) -> AggregateUDF),
    /// A function in FROM.
    Table(fn(&QueryContext) -> Arc<dyn TableFunctionImpl>),
}

impl SqlFunction {
    /// A function of one value a row. The signature says how it is called, and by that its name:
    /// `property_get(properties, name)`. What `make` returns has the same name.
    pub const fn scalar(signature: &'static str, make: fn(&QueryContext) -> ScalarUDF) -> Self {
        Self::new(signature, Make::Scalar(make))
    }

    /// A function of one value a group. See [`SqlFunction::scalar`].
    pub const fn aggregate(signature: &'static str, make: fn(&QueryContext) -> AggregateUDF) -> Self {
        Self::new(signature, Make::Aggregate(make))
    }

    /// A function in FROM. See [`SqlFunction::scalar`].
    pub const fn table(
        signature: &'static str,
        make: fn(&QueryContext) -> Arc<dyn TableFunctionImpl>,
    ) -> Self {
        Self::new(signature, Make::Table(make))
    }

    const fn new(signature: &'static str, make: Make) -> Self {
        let bytes = signature.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'(' {
            end += 1;
        }
        assert!(end > 0 && end < bytes.len(), "a signature is a name with its parameters in parentheses");
        Self { name: signature.split_at(end).0, signature, about: "", right: Right::Read, make }
    }

    /// The same with a description: what it returns, and when NULL.
    #[must_use]
    pub const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// The same for callers with that right. Without this, the right to read is enough.
    #[must_use]
    pub const fn needs(self, right: Right) -> Self {
        Self { right, ..self }
    }

    /// Name in SQL.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How it is called: `property_get(properties, name)`.
    pub const fn signature(&self) -> &'static str {
        self.signature
    }

    /// What it returns, and when NULL.
    pub const fn description(&self) -> &'static str {
        self.about
    }

    /// The right that a caller needs.
    pub const fn right(&self) -> Right {
        self.right
    }

    /// What it returns, and which right it needs if reading is not enough.
    pub fn description_with_right(&self) -> String {
        match self.right {
            Right::Read => self.about.to_owned(),
            right => format!("{} Needs the right {}.", self.about, right.name()),
        }
    }

    pub(crate) const fn maker(&self) -> Make {
        self.make
    }
}

impl Functions {
    /// These functions.
    pub const fn new(functions: &'static [SqlFunction]) -> Self {
        Self { functions }
    }

    /// The functions, in the order in which the crate lists them.
    pub const fn all(&self) -> &'static [SqlFunction] {
        self.functions
    }

    /// An error if one of them has no description, or if what makes it gives it another name: the right that a caller
    /// needs goes by the name in the signature, so that a typo would open or close a function.
    pub(crate) fn check(&self, context: &QueryContext, crate_name: &str) -> Result<(), AssemblyError> {
        for function in self.functions {
            let invalid = |reason: String| AssemblyError::Invalid {
                what: format!("the function '{}'", function.name),
                crate_name: crate_name.to_owned(),
                reason,
            };
            if function.about.is_empty() {
                return Err(invalid("it has no description: add one with about(…)".to_owned()));
            }
            let made = match function.make {
                Make::Scalar(make) => make(context).name().to_owned(),
                Make::Aggregate(make) => make(context).name().to_owned(),
                Make::Table(_) => continue,
            };
            if made != function.name {
                return Err(invalid(format!("its implementation is called '{made}': make the names equal")));
            }
        }
        Ok(())
    }
}

impl Extension for Functions {
    fn kind(&self) -> &'static str {
        "function"
    }

    fn names(&self) -> Vec<&'static str> {
        self.functions.iter().map(|function| function.name).collect()
    }
}
