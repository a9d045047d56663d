//! What is said to people, beside the answer itself.

/// Writes a line to stderr. Nothing depends on somebody reading it: a server outlives the terminal that started it.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), $($text)*));
    }};
}
