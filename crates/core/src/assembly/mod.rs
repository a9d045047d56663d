//! The tables of one lake: made of what crates registered and of the views that users defined in the lake.

mod user_views;
mod view_factory;

pub use crate::error::AssemblyError;
#[doc(hidden)]
pub use crate::query::Functions;
pub use crate::query::{Maker, MakerContext, SqlFunction, View, ViewFactory, ViewMaker};
pub use crate::registry::Assembly;
pub(crate) use user_views::UserViews;
pub use view_factory::default_view_factory;
pub(crate) use view_factory::view_factory;

#[cfg(test)]
mod tests;

/// Registers [`SqlFunction`]s, and keeps them as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_functions {
    ($($function:expr),+ $(,)?) => {
        $crate::__view::register_extension!(
            REGISTRATION,
            $crate::assembly::Functions,
            $crate::assembly::Functions::new(&[$($function),+])
        );
    };
}

/// Registers a [`Maker`], and keeps it as the static `MAKER` of the module.
#[macro_export]
macro_rules! register_maker {
    ($maker:expr) => {
        $crate::__view::register_extension!(MAKER, $crate::assembly::Maker, $maker);
    };
}
