//! The view crates in this binary. A crate that nothing refers to would be dropped by the linker in silence.

use belvedere_core::registry::{Assembly, AssemblyError, Registration, linked_unsorted};

/// A crate and what it exports as registered.
type Linked = (&'static str, fn() -> Vec<&'static Registration>);

/// Every crate that the features ask for, with what it registers.
const LINKED: &[Linked] = &[
    ("belvedere-core", belvedere_core::registrations),
    #[cfg(feature = "log")]
    ("belvedere-views-log", belvedere_views_log::registrations),
    #[cfg(feature = "metrics")]
    ("belvedere-views-metrics", belvedere_views_metrics::registrations),
    #[cfg(feature = "net")]
    ("belvedere-views-net", belvedere_views_net::registrations),
    #[cfg(feature = "otel")]
    ("belvedere-views-otel", belvedere_views_otel::registrations),
    #[cfg(feature = "spans")]
    ("belvedere-views-spans", belvedere_views_spans::registrations),
];

/// Everything that is linked into this program, fit together: what constructors registered, and what the
/// crates above export, in case a linker dropped their constructors.
pub(crate) fn assembly() -> Result<Assembly, AssemblyError> {
    let exported = LINKED.iter().flat_map(|(_, registrations)| registrations());
    let expected: Vec<&str> = LINKED.iter().map(|(name, _)| *name).collect();
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

    #[test]
    fn the_registry_has_the_crates_of_the_features_that_were_built() {
        let assembly = assembly().unwrap();
        let mut expected = BTreeSet::from(["belvedere-core"]);
        if cfg!(feature = "log") {
            expected.insert("belvedere-views-log");
        }
        if cfg!(feature = "metrics") {
            expected.insert("belvedere-views-metrics");
        }
        if cfg!(feature = "net") {
            expected.insert("belvedere-views-net");
        }
        if cfg!(feature = "otel") {
            expected.insert("belvedere-views-otel");
        }
        if cfg!(feature = "spans") {
            expected.insert("belvedere-views-spans");
        }
        assert_eq!(assembly.crates().keys().copied().collect::<BTreeSet<_>>(), expected);
        let has = |name: &str| assembly.view_sets().any(|s| s.name == name);
        assert_eq!(has("log_entries"), cfg!(feature = "log"));
        assert_eq!(has("measures"), cfg!(feature = "metrics"));
        assert_eq!(has("net_spans"), cfg!(feature = "net"));
        assert_eq!(has("otel_spans"), cfg!(feature = "otel"));
        assert_eq!(has("otel_metrics"), cfg!(feature = "otel"));
        assert_eq!(assembly.routes().any(|(r, _)| r.name == "otlp"), cfg!(feature = "otel"));
        assert_eq!(has("thread_spans"), cfg!(feature = "spans"));
        assert_eq!(has("async_events"), cfg!(feature = "spans"));
        assert!(has("blocks") && has("processes") && has("streams"));
    }
}
