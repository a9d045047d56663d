//! Links a new crate into the binary, by editing the lists that the other crates are in.
//!
//! These are edits of text, so comments and order stay. If a file does not look as expected, it is not changed, and the
//! author is told what to add by hand.

use super::names::Names;

/// An edit of one file.
#[derive(Debug)]
pub(super) struct Edit {
    /// From the root of the repository.
    pub(super) file: &'static str,
    /// The added text, for those who have to add it by hand.
    pub(super) what: String,
    /// The new text of the file; `None` if the place was not found.
    pub(super) make: fn(&str, &Names) -> Option<String>,
}

/// All edits for a crate.
pub(super) fn edits(names: &Names) -> Vec<Edit> {
    const APP: &str = "crates/app/Cargo.toml";
    let feature = &names.feature;
    let edit = |file, what, make| Edit { file, what, make };
    vec![
        edit("Cargo.toml", format!("to [workspace.dependencies]: {}", in_workspace(names)), add_to_workspace),
        edit(APP, format!("to [features]: {}", in_features(names)), add_feature),
        edit(APP, format!("to the list `default` in [features]: \"{feature}\""), add_to_default),
        edit(APP, format!("to [dependencies]: {}", in_dependencies(names)), add_dependency),
        edit("crates/app/src/linked.rs", format!("to linked!: {}", in_linked(names).trim()), add_to_linked),
    ]
}

fn in_workspace(names: &Names) -> String {
    let package = &names.package;
    format!("{package} = {{ path = \"crates/{package}\", version = \"0.1.0\" }}")
}

fn in_features(names: &Names) -> String {
    format!("{} = [\"dep:{}\"]", names.feature, names.package)
}

fn in_dependencies(names: &Names) -> String {
    format!("{} = {{ workspace = true, optional = true }}", names.package)
}

fn in_linked(names: &Names) -> String {
    format!("    \"{}\": {},", names.feature, names.ident)
}

fn add_to_workspace(text: &str, names: &Names) -> Option<String> {
    let is_crate = |line: &str| line.contains("path = \"crates/");
    insert(text, "[workspace.dependencies]", is_crate, &in_workspace(names))
}

fn add_feature(text: &str, names: &Names) -> Option<String> {
    insert(text, "[features]", |line| line.contains(" = [\"dep:"), &in_features(names))
}

fn add_dependency(text: &str, names: &Names) -> Option<String> {
    let is_dependency = |line: &str| line.contains("workspace = true");
    insert(text, "[dependencies]", is_dependency, &in_dependencies(names))
}

fn add_to_linked(text: &str, names: &Names) -> Option<String> {
    insert(text, "linked! {", |line| line.trim_start().starts_with('"'), &in_linked(names))
}

/// View crates come first in the list, sorted: the new one goes after the last smaller one.
fn add_to_default(text: &str, names: &Names) -> Option<String> {
    const BEGIN: &str = "\ndefault = [\"";
    let at = text.find(BEGIN)? + BEGIN.len() - 1;
    let list = &text[at..at + text[at..].find(']')?];
    let new = format!("\"{}\"", names.feature);
    let mut place = at;
    let mut before = "";
    for item in list.split(", ").map(|item| item.trim_end_matches(',')) {
        if item < before || item > new.as_str() {
            break;
        }
        place += item.len() + 2;
        before = item;
    }
    // at the end there is no ", "
    if place > at + list.len() {
        Some(format!("{}, {new}{}", &text[..at + list.len()], &text[at + list.len()..]))
    } else {
        Some(format!("{}{new}, {}", &text[..place], &text[place..]))
    }
}

/// Inserts a line in order among similar ones: the first consecutive lines of that kind after the line `anchor`, in the
/// same section.
fn insert(text: &str, anchor: &str, is_alike: impl Fn(&str) -> bool, new: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| line.trim() == anchor)? + 1;
    let section = lines[begin..].iter().take_while(|line| !line.starts_with(['[', '}']));
    let first = begin + section.take_while(|line| !is_alike(line)).count();
    let alike = lines[first..].iter().take_while(|line| is_alike(line)).count();
    if alike == 0 {
        return None;
    }
    let smaller = lines[first..first + alike].iter().take_while(|line| **line < new).count();
    let mut lines = lines;
    lines.insert(first + smaller, new);
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "\
[workspace]
members = [\"crates/*\"]

[workspace.dependencies]
belvedere-core = { path = \"crates/core\", version = \"0.1.0\" }
belvedere-views-log = { path = \"crates/views-log\", version = \"0.1.0\" }

# The engine
arrow = { version = \"59\" }
";

    const APP: &str = "\
[features]
default = [\"log\", \"net\", \"spans\", \"postgres\", \"s3\"]
# Views
log = [\"dep:belvedere-views-log\"]
net = [\"dep:belvedere-views-net\"]
# Storage
postgres = [\"belvedere-core/postgres\"]
demo = [\"dep:client\"]

[dependencies]
belvedere-core.workspace = true
belvedere-views-log = { workspace = true, optional = true }

anyhow.workspace = true
";

    const LINKED: &str = "\
macro_rules! linked {
    ($($feature:literal: $name:ident,)*) => {};
}

linked! {
    \"log\": belvedere_views_log,
    \"net\": belvedere_views_net,
}
";

    fn names(package: &str) -> Names {
        Names::new(package, &[]).unwrap()
    }

    /// The lines around the new one.
    fn around(text: Option<String>, new: &str) -> Vec<String> {
        let text = text.expect("the place is there");
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| line.contains(new)).expect("the line is there");
        lines[at - 1..=at + 1].iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_dependency_stands_among_the_crates_of_the_workspace() {
        assert_eq!(
            around(add_to_workspace(WORKSPACE, &names("views-demo")), "views-demo"),
            [
                "belvedere-views-log = { path = \"crates/views-log\", version = \"0.1.0\" }",
                "views-demo = { path = \"crates/views-demo\", version = \"0.1.0\" }",
                "",
            ]
        );
        assert_eq!(
            around(add_dependency(APP, &names("views-demo")), "views-demo"),
            [
                "belvedere-views-log = { workspace = true, optional = true }",
                "views-demo = { workspace = true, optional = true }",
                "",
            ]
        );
    }

    #[test]
    fn a_feature_stands_in_order_among_those_of_views() {
        assert_eq!(
            around(add_feature(APP, &names("views-mail")), "mail"),
            [
                "log = [\"dep:belvedere-views-log\"]",
                "mail = [\"dep:views-mail\"]",
                "net = [\"dep:belvedere-views-net\"]",
            ]
        );
        assert_eq!(around(add_feature(APP, &names("views-zoo")), "zoo")[2], "# Storage");
    }

    #[test]
    fn the_new_feature_is_a_default_one_in_order_of_views() {
        let default = |text: &str, package: &str| {
            let text = add_to_default(text, &names(package)).expect("the place is there");
            text.lines()
                .find(|line| line.starts_with("default"))
                .map(str::to_owned)
                .expect("the list is there")
        };
        assert_eq!(
            default(APP, "views-mail"),
            r#"default = ["log", "mail", "net", "spans", "postgres", "s3"]"#
        );
        assert_eq!(
            default(APP, "views-art"),
            r#"default = ["art", "log", "net", "spans", "postgres", "s3"]"#
        );
        assert_eq!(
            default(APP, "views-zoo"),
            r#"default = ["log", "net", "spans", "zoo", "postgres", "s3"]"#
        );
        assert_eq!(default("[features]\ndefault = [\"log\"]\n", "views-zoo"), r#"default = ["log", "zoo"]"#);
    }

    #[test]
    fn a_crate_is_linked_in_order_of_features() {
        assert_eq!(
            around(add_to_linked(LINKED, &names("views-mail-box")), "mail"),
            [
                "    \"log\": belvedere_views_log,",
                "    \"mail-box\": views_mail_box,",
                "    \"net\": belvedere_views_net,",
            ]
        );
        assert_eq!(around(add_to_linked(LINKED, &names("views-zoo")), "zoo")[2], "}");
    }

    #[test]
    fn a_file_that_looks_different_is_left_alone() {
        let names = names("views-demo");
        assert!(edits(&names).iter().all(|edit| (edit.make)("fn main() {}\n", &names).is_none()));
        assert_eq!(add_to_default("[features]\ndefault = [\n    \"log\",\n]\n", &names), None);
        assert_eq!(add_feature("[features]\n\n[other]\na = [\"dep:a\"]\n", &names), None);
    }

    #[test]
    fn lines_that_were_there_stay_as_they_were() {
        let names = names("views-demo");
        for (text, make) in [(WORKSPACE, add_to_workspace as fn(&str, &Names) -> _), (APP, add_feature)] {
            let new: String = make(text, &names).expect("the place is there");
            let rest: Vec<&str> = new.lines().filter(|line| !line.contains("views-demo")).collect();
            assert_eq!(rest.join("\n") + "\n", text);
        }
    }
}
