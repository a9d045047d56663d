//! Messages for people on stderr.

/// Writes a line to stderr, and ignores errors: a server outlives the terminal that started it.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), $($text)*));
    }};
}
