//! The extension surface: what a crate registers, and how registrations become tables.
//!
//! A crate registers view sets, block sources, SQL functions and routes with the `register_…!` macros; it is
//! linked in by `use the_crate as _;`. [`Assembly::new`] is a pure function from a list of registrations to
//! an ordered assembly or an error that names crates and view sets; `inventory` only supplies the list.
//!
//! Invariant: no view set is known by name in here, and core's own come through the same door.

mod assembly;
mod block_parser;
mod column;
mod error;
mod factory;
mod functions;
mod view_set;

pub use assembly::Assembly;
pub use block_parser::{BlockParserRegistration, ParseBlock};
pub use column::{Column, ColumnType, EventTime, Origin};
pub(crate) use column::{DOCUMENTED_TYPE, JSONB};
pub use error::AssemblyError;
pub use factory::{MakerContext, View, ViewFactory, ViewMaker, default_view_factory};
pub use functions::{FunctionDoc, FunctionSet, Functions, MakeRoutes, Routes};
pub use view_set::{BlockSource, BlockSourceRegistration, Decoder, Instances, Source, SqlSource, ViewSet};

#[cfg(test)]
mod tests;

/// Version of the extension surface. A crate that was built for another one is refused.
pub const API_VERSION: u32 = 1;

/// One thing that a crate registers, and who does so.
#[derive(Debug)]
pub struct Registration {
    /// Crate that registers.
    pub crate_name: &'static str,
    /// Its version.
    pub crate_version: &'static str,
    /// [`API_VERSION`] of the core that the crate was built with.
    pub api_version: u32,
    /// What it registers.
    pub item: Item,
}

/// What can be registered.
#[derive(Debug)]
pub enum Item {
    /// A table definition.
    ViewSet(ViewSet),
    /// One more wire format that feeds a view set.
    BlockSource(BlockSourceRegistration),
    /// SQL functions.
    Functions(Functions),
    /// HTTP routes.
    Routes(Routes),
    /// How the objects of blocks of one format are read, for people to see.
    BlockParser(BlockParserRegistration),
}

/// What `inventory` collects.
#[doc(hidden)]
pub struct Submitted(pub &'static Registration);

inventory::collect!(Submitted);

/// All registrations of the crates that are linked into this program, in no particular order.
pub fn linked_unsorted() -> impl Iterator<Item = &'static Registration> {
    inventory::iter::<Submitted>.into_iter().map(|s| s.0)
}

/// Registers a [`ViewSet`], and keeps it as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_view_set {
    ($view_set:expr) => {
        $crate::__register!(ViewSet($view_set));
    };
}

/// Registers a [`BlockSourceRegistration`](crate::registry::BlockSourceRegistration), and keeps it as the
/// static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_block_source {
    ($source:expr) => {
        $crate::__register!(BlockSource($source));
    };
}

/// Registers [`Functions`], and keeps them as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_functions {
    ($functions:expr) => {
        $crate::__register!(Functions($functions));
    };
}

/// Registers [`Routes`], and keeps them as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_routes {
    ($routes:expr) => {
        $crate::__register!(Routes($routes));
    };
}

/// Registers a [`BlockParserRegistration`](crate::registry::BlockParserRegistration), and keeps it as the static
/// `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_block_parser {
    ($parser:expr) => {
        $crate::__register!(BlockParser($parser));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($kind:ident($item:expr)) => {
        /// What this module registers, as a plain value for linkers that drop constructors.
        pub static REGISTRATION: $crate::registry::Registration = $crate::registry::Registration {
            crate_name: env!("CARGO_PKG_NAME"),
            crate_version: env!("CARGO_PKG_VERSION"),
            api_version: $crate::registry::API_VERSION,
            item: $crate::registry::Item::$kind($item),
        };

        $crate::inventory::submit! { $crate::registry::Submitted(&REGISTRATION) }
    };
}
