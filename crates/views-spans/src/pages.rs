//! Pages of the web application.

/// What threads did, along time.
pub mod timeline {
    use belvedere_view::prelude::*;

    register_page! {
        Page::new("timeline", "Timeline", "What the threads of a process did, along time")
            .subject(PageSubject::Process)
            .needs(&["thread_spans"])
            .order(30)
            .module("timeline.js", include_str!("../web/timeline.js"))
    }
}

/// Where the time went.
pub mod flame {
    use belvedere_view::prelude::*;

    register_page! {
        Page::new("flame", "Flame graph", "Where the time of a process went")
            .subject(PageSubject::Process)
            .order(40)
            .module("flame.js", include_str!("../web/flame.js"))
    }
}
