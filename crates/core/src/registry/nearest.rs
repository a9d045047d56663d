//! Names that are near to one that nobody knows.

/// Ends a sentence about an unknown name: the names that are near, else all of them.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near: Vec<&str> = known.iter().copied().filter(|k| strsim::jaro_winkler(name, k) > 0.8).collect();
    if !near.is_empty() {
        format!("; did you mean {}?", near.join(" or "))
    } else if known.is_empty() {
        String::new()
    } else {
        format!("; available: {}", known.join(", "))
    }
}
