//! Names of a new view crate and of its items.

/// Words with a meaning in Rust, in SQL or in the crate itself: a module or a table of that name would not work.
const RESERVED: &str = "\
    abstract alloc all and any array as asc async await become between box break by case cast const continue \
    core create crate cross decoder desc distinct do drop dyn else end enum except exists extern false fetch \
    final fn for from full gen group having if impl in inner insert intersect into is join lateral left let \
    like limit loop macro match mod move mut natural none not null of offset on or order outer override partials partition \
    priv proc pub ref return right select self set static std struct super table test tests then tokio trait \
    true try type typeof union unnest unsafe unsized update use using values view virtual when where while \
    window with xtask yield";

/// Prefix of the names of view crates.
const PREFIX: &str = "views-";

/// Longer names would make long lines.
const LONGEST: usize = 40;

/// All names of a view crate, derived from the one that its author chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The package and its directory: `views-disk-reads`.
    pub(super) package: String,
    /// The crate in Rust: `views_disk_reads`.
    pub(super) ident: String,
    /// The feature of the binary: `disk-reads`, or the package's name if there is such a feature already.
    pub(super) feature: String,
    /// The view set, and the tag of its streams: `disk_reads`.
    pub(super) set: String,
    /// In names of types: `DiskReads`.
    pub(super) camel: String,
}

impl Names {
    /// The names that follow from the package's, given the features that the binary has already.
    pub(super) fn new(package: &str, features: &[String]) -> Result<Self, String> {
        let short = package.strip_prefix(PREFIX).unwrap_or(package);
        let wrong = |what: &str| Err(format!("a view crate can't be called '{package}': {what}"));
        if let Some(odd) = package.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return wrong(&format!(
                "'{odd}' is none of the lower-case letters, digits and '-' that it may have"
            ));
        }
        if package == short {
            return wrong(&format!("it must start with '{PREFIX}', like '{PREFIX}{package}'"));
        }
        if !short.starts_with(|c: char| c.is_ascii_lowercase()) {
            return wrong("what follows 'views-' is the view set's name and must start with a letter");
        }
        if short.ends_with('-') || short.contains("--") {
            return wrong("there must be something between and behind '-'");
        }
        if package.len() > LONGEST {
            return wrong(&format!("it is longer than {LONGEST} characters"));
        }
        let set = short.replace('-', "_");
        if RESERVED.split(' ').any(|word| word == set) {
            return wrong(&format!("the view set '{set}' would be called like something in Rust or SQL"));
        }
        let is_taken = features.iter().any(|feature| feature == short);
        let feature = if is_taken { package } else { short };
        Ok(Self {
            package: package.to_owned(),
            ident: package.replace('-', "_"),
            feature: feature.to_owned(),
            camel: short.split('-').map(capitalized).collect(),
            set,
        })
    }

    /// A template with these names in their places.
    pub(super) fn fill(&self, template: &str) -> String {
        let places = [
            ("{{crate}}", &self.package),
            ("{{crate_ident}}", &self.ident),
            ("{{short}}", &self.feature),
            ("{{set}}", &self.set),
            ("{{Set}}", &self.camel),
        ];
        places.iter().fold(template.to_owned(), |text, (place, name)| text.replace(place, name))
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(package: &str) -> String {
        Names::new(package, &[]).unwrap_err()
    }

    #[test]
    fn all_names_follow_from_the_package() {
        let names = Names::new("views-frame-times", &["net".to_owned()]).unwrap();
        let shown = [&names.package, &names.ident, &names.feature, &names.set, &names.camel];
        let expected = ["views-frame-times", "views_frame_times", "frame-times", "frame_times", "FrameTimes"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_name_that_would_not_work_is_refused_with_the_reason() {
        for (package, reason) in [
            ("Views", "'V'"),
            ("views_demo", "'_'"),
            ("", "'views-'"),
            ("demo", "'views-demo'"),
            ("views-3d", "a letter"),
            ("views-", "a letter"),
            ("views-a--b", "between"),
            ("views-a-", "behind"),
            ("views-order", "SQL"),
            ("views-type", "Rust"),
            (&format!("views-{}", "a".repeat(40)), "40"),
        ] {
            assert!(refused(package).contains(reason), "{package}: {}", refused(package));
        }
    }

    #[test]
    fn a_feature_that_is_there_is_not_taken_twice() {
        let names = Names::new("views-demo", &["demo".to_owned()]).unwrap();
        assert_eq!((names.feature.as_str(), names.set.as_str()), ("views-demo", "demo"));
    }

    #[test]
    fn every_place_in_a_template_is_filled() {
        let names = Names::new("views-frame-times", &[]).unwrap();
        let filled = names.fill("{{crate}} {{crate_ident}} {{short}} {{set}} {{Set}} {{set}}");
        assert_eq!(
            filled,
            "views-frame-times views_frame_times frame-times frame_times FrameTimes frame_times"
        );
    }
}
