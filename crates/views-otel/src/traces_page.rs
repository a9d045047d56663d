//! The page `Traces` of the web application.

use belvedere_view::prelude::*;

register_page! {
    Page::new("traces", "Traces", "Traces of OpenTelemetry, across the processes that took part in them")
        .needs(&["otel_spans"])
        .order(10)
        .module("traces.js", include_str!("../web/traces.js"))
}
