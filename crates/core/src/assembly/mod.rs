//! From registrations to the tables of one lake.
//!
//! [`Assembly::new`] is a pure function from a list of registrations to an ordered assembly or an error that names crates
//! and view sets; `inventory` only supplies the list.
//!
//! Invariant: no view set is known by name in here, and core's own come through the same door.

mod assembled;
mod error;
mod factory;
mod functions;

pub use assembled::Assembly;
pub use error::AssemblyError;
pub use factory::{Maker, MakerContext, View, ViewFactory, ViewMaker, default_view_factory};
pub use functions::{FunctionDoc, FunctionSet, Functions};

#[cfg(test)]
mod tests;

/// Registers [`Functions`], and keeps them as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_functions {
    ($functions:expr) => {
        $crate::__view::register_extension!(REGISTRATION, $crate::assembly::Functions, $functions);
    };
}

/// Registers a [`Maker`], and keeps it as the static `MAKER` of the module.
#[macro_export]
macro_rules! register_maker {
    ($maker:expr) => {
        $crate::__view::register_extension!(MAKER, $crate::assembly::Maker, $maker);
    };
}

/// Registers [`Routes`](belvedere_lake::Routes) around the query service, and keeps them as the static `REGISTRATION` of
/// the module.
#[macro_export]
macro_rules! register_query_routes {
    ($routes:expr) => {
        $crate::__view::register_extension!(
            REGISTRATION,
            $crate::__lake::Routes<$crate::query::QueryService>,
            $routes
        );
    };
}
