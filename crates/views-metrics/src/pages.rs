//! The pages `Metrics` of the web application: of the lake, and of a process.

const FILE: &str = "metrics.js";
const SOURCE: &str = include_str!("../web/metrics.js");

/// Metrics of all processes.
pub mod of_lake {
    use belvedere_view::prelude::*;

    register_page! {
        Page::new("metrics", "Metrics", "What all processes measured, along time")
            .needs(&["measures"])
            .order(5)
            .module(super::FILE, super::SOURCE)
    }
}

/// Those of one process.
pub mod of_process {
    use belvedere_view::prelude::*;

    register_page! {
        Page::new("process-metrics", "Metrics", "What the process measured, along time")
            .subject(PageSubject::Process)
            .needs(&["measures"])
            .order(20)
            .module(super::FILE, super::SOURCE)
    }
}
