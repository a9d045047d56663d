//! What can be wrong with a set of registrations.

use thiserror::Error;

/// Registrations that don't fit together: a start-up error that says who has to change what.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssemblyError {
    /// Two crates, or one twice, registered the same name.
    #[error(
        "the {kind} '{name}' is registered by {first} and by {second}: link only one of them, or rename one"
    )]
    Duplicate {
        /// View set, function, routes, block source.
        kind: &'static str,
        /// The name.
        name: String,
        /// The crate that is first by name.
        first: String,
        /// The other one.
        second: String,
    },
    /// Nobody registered what a view set depends on, or what a block source is for.
    #[error(
        "{dependent} of {crate_name} needs the view set '{missing}', which no linked crate registers: link the crate \
         that does, or correct the name{hint}"
    )]
    Missing {
        /// Who needs it.
        dependent: String,
        /// The crate that registered the dependent.
        crate_name: String,
        /// What is missing.
        missing: String,
        /// Names that are near, as a sentence's end.
        hint: String,
    },
    /// View sets that depend on each other.
    #[error(
        "view sets depend on each other in a cycle: {0}; remove one of them from the depends_on of the one \
         before it"
    )]
    Cycle(String),
    /// A crate that was built for another version of the extension surface.
    #[error(
        "{crate_name} was built for version {found} of the extension API, but this program has version \
         {expected}: build both with the same version of belvedere-core"
    )]
    ApiVersion {
        /// The crate.
        crate_name: String,
        /// Its version of the surface.
        found: u32,
        /// The program's.
        expected: u32,
    },
    /// A crate that should have registered something.
    #[error(
        "the crate {0} is linked but registered nothing: it was built with a different version of belvedere-core, \
         or nothing refers to it (`use the_crate as _;`)"
    )]
    NothingRegistered(String),
    /// A registration that contradicts itself.
    #[error("{what} of {crate_name} is not valid: {reason}")]
    Invalid {
        /// What it is about.
        what: String,
        /// The crate that registered it.
        crate_name: String,
        /// What is wrong.
        reason: String,
    },
}
