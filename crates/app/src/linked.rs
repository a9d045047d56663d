//! The plug-ins in this binary. The linker silently drops a crate that nothing refers to, so each is named here.

use belvedere_core::assembly::{Assembly, AssemblyError};
use belvedere_view::{Registration, linked_unsorted};
use std::sync::OnceLock;

/// The name of a crate, and its `registrations`.
pub type Linked = (&'static str, fn() -> Vec<&'static Registration>);

/// Lists the plug-ins: `"feature": crate`. With the feature the crate is linked, and it is an error if it registered
/// nothing.
macro_rules! linked {
    ($($feature:literal: $krate:ident,)*) => {
        /// The crates of the features that were built.
        const LINKED: &[Linked] = &[
            ("belvedere-lake", belvedere_lake::registrations),
            ("belvedere-core", belvedere_core::registrations),
            (belvedere_functions::CRATE, belvedere_functions::registrations),
            (belvedere_http_api::CRATE, belvedere_http_api::registrations),
            $(#[cfg(feature = $feature)] ($krate::CRATE, $krate::registrations),)*
        ];

        /// Features with a crate, and whether they were built.
        #[cfg(test)]
        const FEATURES: &[(&str, bool)] = &[$(($feature, cfg!(feature = $feature)),)*];
    };
}

linked! {
    "flight-sql": belvedere_flight_sql,
    "images": belvedere_views_images,
    "log": belvedere_views_log,
    "metrics": belvedere_views_metrics,
    "net": belvedere_views_net,
    "otel": belvedere_views_otel,
    "spans": belvedere_views_spans,
}

/// Crates that a custom binary adds.
static ADDED: OnceLock<Vec<Linked>> = OnceLock::new();

/// Adds crates of a custom binary. Must be called once, before [`assembly`].
pub(crate) fn add(crates: &[Linked]) {
    let _ = ADDED.set(crates.to_vec());
}

fn crates() -> impl Iterator<Item = &'static Linked> {
    LINKED.iter().chain(ADDED.get().into_iter().flatten())
}

/// The assembly of everything that is linked into this program: what constructors registered, and what the crates above
/// export, in case a linker dropped their constructors.
pub(crate) fn assembly() -> Result<Assembly, AssemblyError> {
    let exported = crates().flat_map(|(_, registrations)| registrations());
    let expected: Vec<&str> = crates().map(|(name, _)| *name).collect();
    Assembly::expecting(linked_unsorted().chain(exported), &expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn constructors_register_what_crates_export_and_nothing_else() {
        let address = |r: &'static Registration| std::ptr::from_ref(r) as usize;
        let exported: BTreeSet<usize> = LINKED.iter().flat_map(|(_, f)| f()).map(address).collect();
        let registered: BTreeSet<usize> = linked_unsorted().map(address).collect();
        assert_eq!(registered, exported);
    }

    /// The features that bring a view crate along, by the manifest, are those that are linked when they are built.
    #[test]
    fn the_registry_has_the_crates_of_the_features_that_were_built() {
        let manifest = include_str!("../Cargo.toml");
        let crate_of = |line: &'static str| {
            let (feature, wanted) = line.split_once(" = [\"dep:")?;
            let (name, rest) = wanted.split_once('"')?;
            (name.contains("views-") || rest.contains("/server")).then_some((feature, name))
        };
        let of_views: Vec<_> = manifest.lines().filter_map(crate_of).collect();
        assert_eq!(
            of_views.iter().map(|(feature, _)| *feature).collect::<BTreeSet<_>>(),
            FEATURES.iter().map(|(feature, _)| *feature).collect::<BTreeSet<_>>(),
            "a feature with a view crate and the list above go together"
        );
        let is_built = |feature| FEATURES.iter().any(|(f, built)| *f == feature && *built);
        let built = of_views.iter().filter(|(feature, _)| is_built(*feature)).map(|(_, name)| *name);
        let expected: BTreeSet<&str> = built
            .chain(["belvedere-core", "belvedere-functions", "belvedere-http-api", "belvedere-lake"])
            .collect();
        assert_eq!(assembly().unwrap().crates().keys().copied().collect::<BTreeSet<_>>(), expected);
    }
}
