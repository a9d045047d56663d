//! What a crate registers, and how it is found.

use crate::block_parser::BlockParserRegistration;
use crate::block_source::BlockSourceRegistration;
use crate::view_set::ViewSet;
use belvedere_model::transit::EventLayout;
use std::any::Any;
use std::fmt::Debug;

/// Version of the extension surface. A crate that was built for another one is refused.
pub const API_VERSION: u32 = 3;

/// One thing that a crate registers, and who does so. The `register_…!` macros make it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Registration {
    /// Crate that registers.
    pub crate_name: &'static str,
    /// Its version.
    pub crate_version: &'static str,
    /// [`API_VERSION`] of the surface that the crate was built with.
    pub api_version: u32,
    /// What it registers.
    pub item: Item,
}

impl Registration {
    /// What the crate of that name and version registers.
    #[doc(hidden)]
    pub const fn new(crate_name: &'static str, crate_version: &'static str, item: Item) -> Self {
        Self { crate_name, crate_version, api_version: API_VERSION, item }
    }

    /// The same as if it had been built with another version of the surface.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_api_version(mut self, api_version: u32) -> Self {
        self.api_version = api_version;
        self
    }
}

/// What can be registered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Item {
    /// A table definition.
    ViewSet(ViewSet),
    /// One more wire format that feeds a view set.
    BlockSource(BlockSourceRegistration),
    /// The fields of a native event type of variable size.
    EventLayout(EventLayout),
    /// How the objects of blocks of one format are read, for people to see.
    BlockParser(BlockParserRegistration),
    /// What another crate than this one gives a meaning: SQL functions, routes, makers.
    Extension(&'static dyn Extension),
}

/// A kind of registration that this crate knows nothing about. Whoever defines the kind looks for values of its type.
pub trait Extension: Any + Debug + Send + Sync {
    /// What each of its names names, in lower case: `function`, `set of routes`.
    fn kind(&self) -> &'static str;

    /// The names that it takes among those of its kind: no other extension may have them.
    fn names(&self) -> Vec<&'static str>;

    /// The view set whose rows it makes, if it is a maker of one.
    fn makes_view_set(&self) -> Option<&'static str> {
        None
    }
}

impl dyn Extension {
    /// The extension as a value of its type; `None` if it is of another type.
    pub fn downcast_ref<T: Extension>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// What `inventory` collects.
#[doc(hidden)]
pub struct Submitted(pub &'static [Registration]);

inventory::collect!(Submitted);

/// All registrations of the crates that are linked into this program, in no particular order.
#[doc(hidden)]
pub fn linked_unsorted() -> impl Iterator<Item = &'static Registration> {
    inventory::iter::<Submitted>.into_iter().flat_map(|s| s.0)
}

/// Defines columns as constants, and the list of all of them in their order: what a view set documents and what its
/// decoder fills is then the same value, and a column's name stands once.
///
/// ```
/// use belvedere_view::prelude::*;
///
/// columns! {
///     pub(crate) COLUMNS:
///     PROCESS_ID = Column::process_id(),
///     TIME = Column::time("time", "when it ticked").event_time(),
///     NUMBER = Column::int64("number", "how many ticks came before"),
/// }
///
/// assert_eq!(COLUMNS.len(), 3);
/// assert_eq!(COLUMNS[2].name, NUMBER.name);
/// ```
#[macro_export]
macro_rules! columns {
    ($visibility:vis $all:ident: $($name:ident = $column:expr),+ $(,)?) => {
        $(
            #[doc = concat!("See [`", stringify!($all), "`].")]
            #[allow(dead_code, reason = "core fills some of them, and no decoder names those")]
            $visibility const $name: $crate::Column = $column;
        )+

        /// The columns, in their order.
        $visibility const $all: &[$crate::Column] = &[$($name),+];
    };
}

/// Registers a [`ViewSet`], and keeps it as the static `REGISTRATION` of the module. One that lacks its description, its
/// columns or an example does not compile.
#[macro_export]
macro_rules! register_view_set {
    ($view_set:expr) => {
        $crate::__register!(REGISTRATION, $crate::Item::ViewSet($view_set.complete()));
    };
}

/// Registers a [`BlockSourceRegistration`], and keeps it as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_block_source {
    ($source:expr) => {
        $crate::__register!(REGISTRATION, $crate::Item::BlockSource($source));
    };
}

/// Registers [`EventLayout`]s, and keeps them as the static `EVENT_LAYOUTS` of the module.
#[macro_export]
macro_rules! register_event_layouts {
    ($($layout:expr),+ $(,)?) => {
        /// The layouts of native events that this module registers, as plain values for linkers that drop constructors.
        pub static EVENT_LAYOUTS: &[$crate::Registration] =
            &[$($crate::__registration!($crate::Item::EventLayout($layout))),+];

        $crate::inventory::submit! { $crate::Submitted(EVENT_LAYOUTS) }
    };
}

/// Registers a [`BlockParserRegistration`], and keeps it as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_block_parser {
    ($parser:expr) => {
        $crate::__register!(REGISTRATION, $crate::Item::BlockParser($parser));
    };
}

/// Registers a value of a type that is an [`Extension`], and keeps it as the static of that name in the module.
#[macro_export]
macro_rules! register_extension {
    ($static_name:ident, $type:ty, $extension:expr) => {
        $crate::__register!(
            $static_name,
            $crate::Item::Extension({
                static EXTENSION: $type = $extension;
                &EXTENSION
            })
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registration {
    ($item:expr) => {
        $crate::Registration::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), $item)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($static_name:ident, $item:expr) => {
        /// What this module registers, as a plain value for linkers that drop constructors.
        pub static $static_name: $crate::Registration = $crate::__registration!($item);

        $crate::inventory::submit! { $crate::Submitted(std::slice::from_ref(&$static_name)) }
    };
}
