//! Pages of the web application.

use crate::registration::Extension;

/// A page of the web application that a crate registers: a title, what it is about, and one ES module that draws it.
///
/// The module has `export default (page) => ({ mount(element), dispose() })`; docs/web.md says what `page` has. It imports
/// the libraries of the application by their bare names (`preact`, `preact/hooks`, `htm`, `@preact/signals`) and nothing
/// else.
///
/// ```
/// use belvedere_view::{Page, PageSubject, register_page};
///
/// register_page! {
///     Page::new("ticks", "Ticks", "How often the clocks of players ticked")
///         .needs(&["ticks"])
///         .module("ticks.js", "export default () => ({ mount(element) { element.append('…'); }, dispose() {} });")
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Page {
    /// A part of its address: lower-case letters, digits and `-`. No other page has it.
    pub name: &'static str,
    /// What the menu says.
    pub title: &'static str,
    /// What it shows, in a sentence without a full stop.
    pub about: &'static str,
    /// What it is a page of.
    pub subject: PageSubject,
    /// View sets that it asks. Without one of them, it is left out.
    pub needs: &'static [&'static str],
    /// Its place among the pages of its subject, from 0 on. Pages of one place are in the order of their names.
    pub order: u32,
    /// The name of its module's file.
    pub file: &'static str,
    /// The module.
    pub source: &'static str,
}

/// What a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageSubject {
    /// The whole lake: the page is in the menu.
    Lake,
    /// A process: the page is a tab of each.
    Process,
}

impl Page {
    /// A page of the lake, which needs a module.
    pub const fn new(name: &'static str, title: &'static str, about: &'static str) -> Self {
        Self { name, title, about, subject: PageSubject::Lake, needs: &[], order: 100, file: "", source: "" }
    }

    /// What it is a page of: the lake, unless this says otherwise.
    #[must_use]
    pub const fn subject(mut self, subject: PageSubject) -> Self {
        self.subject = subject;
        self
    }

    /// View sets that it asks.
    #[must_use]
    pub const fn needs(mut self, view_sets: &'static [&'static str]) -> Self {
        self.needs = view_sets;
        self
    }

    /// Its place; 100, unless this says otherwise.
    #[must_use]
    pub const fn order(mut self, order: u32) -> Self {
        self.order = order;
        self
    }

    /// The module that draws it, and the name of its file.
    #[must_use]
    pub const fn module(mut self, file: &'static str, source: &'static str) -> Self {
        self.file = file;
        self.source = source;
        self
    }

    /// The page, if it can be shown: what stands in addresses is plain, and there is a module.
    ///
    /// # Panics
    ///
    /// At compile time, where `register_page!` calls it.
    #[doc(hidden)]
    #[must_use]
    pub const fn complete(self) -> Self {
        assert!(is_plain(self.name, false), "a page's name has lower-case letters, digits and - only");
        assert!(
            is_plain(self.file, true) && !self.source.is_empty(),
            "a page needs a module: .module(\"name.js\", …)"
        );
        assert!(
            !self.title.is_empty() && !self.about.is_empty(),
            "a page needs a title and what it is about"
        );
        self
    }
}

/// Whether a name can stand in an address as it is: that of a file ends in `.js`.
const fn is_plain(name: &str, is_file: bool) -> bool {
    let bytes = name.as_bytes();
    let end = if is_file { bytes.len().saturating_sub(3) } else { bytes.len() };
    let mut i = 0;
    while i < end {
        if !(bytes[i].is_ascii_lowercase() || bytes[i].is_ascii_digit() || bytes[i] == b'-') {
            return false;
        }
        i += 1;
    }
    let is_js = bytes.len() > 3
        && bytes[bytes.len() - 3] == b'.'
        && bytes[bytes.len() - 2] == b'j'
        && bytes[bytes.len() - 1] == b's';
    end > 0 && (!is_file || is_js)
}

impl Extension for Page {
    fn kind(&self) -> &'static str {
        "page"
    }

    fn names(&self) -> Vec<&'static str> {
        vec![self.name]
    }
}

/// Registers a [`Page`], and keeps it as the static `PAGE` of the module. One whose name or module is missing or has other
/// characters than an address takes does not compile.
#[macro_export]
macro_rules! register_page {
    ($page:expr) => {
        $crate::register_extension!(PAGE, $crate::Page, $page.complete());
    };
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn names_of_pages_and_files_are_what_an_address_takes_as_it_is() {
        for name in ["flame", "a-1"] {
            assert!(is_plain(name, false), "{name}");
        }
        for name in ["", "Flame", "a/b", "a.js", "..", "é", "a b"] {
            assert!(!is_plain(name, false), "{name}");
        }
        for file in ["flame.js", "a-1.js"] {
            assert!(is_plain(file, true), "{file}");
        }
        for file in ["", ".js", "flame", "../flame.js", "a/b.js", "Flame.js", "flame.mjs"] {
            assert!(!is_plain(file, true), "{file}");
        }
    }
}
