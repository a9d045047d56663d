//! Documentation that is generated from the registrations.

use belvedere_core::assembly::{Assembly, FunctionDoc};
use belvedere_view::{EventTime, Source, ViewSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// All pages by file name: an index, one for each view set, one for functions, and everything as JSON.
pub(crate) fn pages(assembly: &Assembly) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for (set, crate_name) in assembly.view_sets_with_crates() {
        pages.insert(format!("{}.md", set.name), view_set(assembly, set, crate_name));
    }
    pages.insert("sql-functions.md".to_owned(), functions(assembly));
    pages.insert("index.md".to_owned(), index(assembly));
    pages.insert("schema.json".to_owned(), as_json(assembly, None));
    pages
}

/// The index: all view sets and their dependencies.
fn index(assembly: &Assembly) -> String {
    let mut text =
        "# Schema\n\nMade by `belvedere schema` from what the crates of this program register.\n\n\
                    | view set | a row is | instances | crate |\n| --- | --- | --- | --- |\n"
            .to_owned();
    for (set, crate_name) in assembly.view_sets_with_crates() {
        let kinds = set.instances.kinds().join(", ");
        let _ = writeln!(text, "| [{0}]({0}.md) | {1} | {kinds} | {crate_name} |", set.name, cell(set.about));
    }
    text.push_str("\nFunctions that crates bring along: [SQL functions](sql-functions.md). ");
    text.push_str("Everything as JSON: [schema.json](schema.json).\n\n");
    text.push_str("What is made from what, crate by crate:\n\n```mermaid\ngraph LR\n");
    let mut crates: BTreeMap<&str, Vec<&ViewSet>> = BTreeMap::new();
    for (set, crate_name) in assembly.view_sets_with_crates() {
        crates.entry(crate_name).or_default().push(set);
    }
    for (crate_name, sets) in &crates {
        let _ = writeln!(text, "    subgraph {crate_name}");
        for set in sets {
            let _ = writeln!(text, "        {}", set.name);
        }
        text.push_str("    end\n");
    }
    for set in assembly.view_sets() {
        for read in set.depends_on {
            let _ = writeln!(text, "    {read} --> {}", set.name);
        }
    }
    text.push_str("```\n");
    text
}

/// The page of one view set.
pub(crate) fn view_set(assembly: &Assembly, set: &ViewSet, crate_name: &str) -> String {
    let mut text = format!("# {}\n\n{}.\n\n", set.name, set.about);
    let instances = match set.instances.kinds() {
        ["global"] => format!("`{}`", set.name),
        ["process"] => format!("`view_instance('{}', '<process id>')`", set.name),
        ["stream"] => format!("`view_instance('{}', '<stream id>')`", set.name),
        _ => format!("`{0}`, and `view_instance('{0}', '<process id>')` for one process", set.name),
    };
    let _ = writeln!(text, "- Tables: {instances}");
    let _ = writeln!(text, "- Registered by: {crate_name}");
    if !set.depends_on.is_empty() {
        let _ = writeln!(text, "- Depends on: {}", set.depends_on.join(", "));
    }
    let formats: Vec<String> = assembly
        .sources(set.name)
        .iter()
        .map(|s| format!("{} blocks tagged `{}`", s.format, s.tag))
        .collect();
    if !formats.is_empty() {
        let _ = writeln!(text, "- Made from: {}", formats.join(", "));
    }
    if matches!(set.source, Source::Query(_)) {
        text.push_str("- Made anew at each query; nothing of it is kept\n");
    }
    if let Some((begin, end)) = set.event_time_columns() {
        let about = if begin == end { format!("`{begin}`") } else { format!("`{begin}` to `{end}`") };
        let _ = writeln!(text, "- Event time, which a query's time range is about: {about}");
    }
    text.push_str("\n| column | type | null | description |\n| --- | --- | --- | --- |\n");
    for c in set.columns {
        let null = if c.nullable { "yes" } else { "" };
        let time = if c.event_time == EventTime::None { "" } else { " (event time)" };
        let (of_type, about) = (c.column_type.to_text(), cell(c.about));
        let _ = writeln!(text, "| `{}` | {of_type} | {null} | {about}{time} |", c.name);
    }
    let _ = writeln!(text, "\n```sql\n{}\n```", set.example);
    if let Source::Sql(sql) = &set.source {
        let _ = writeln!(
            text,
            "\nThe rows of some blocks, and what becomes of them:\n\n```sql\n{}\n```",
            sql.extract
        );
        let _ = writeln!(text, "\n```sql\n{}\n```", sql.merge);
    }
    if let Source::Query(sql) = &set.source {
        let _ = writeln!(text, "\nIt is this query:\n\n```sql\n{sql}\n```");
    }
    let own: Vec<&FunctionDoc> = functions_of_crate(assembly, crate_name).collect();
    if !own.is_empty() {
        let _ = writeln!(text, "\nFunctions of {crate_name}:\n\n| function | what it gives |\n| --- | --- |");
        for f in own {
            let _ = writeln!(text, "| `{}` | {} |", cell(f.signature), cell(&f.about_with_right()));
        }
    }
    text
}

fn functions_of_crate<'a>(
    assembly: &'a Assembly,
    name: &'a str,
) -> impl Iterator<Item = &'static FunctionDoc> + 'a {
    assembly.functions().filter(move |(_, of)| *of == name).flat_map(|(functions, _)| functions.docs)
}

/// The page of all functions.
pub(crate) fn functions(assembly: &Assembly) -> String {
    let mut text =
        "# SQL functions\n\nWhat crates bring along beside tables, and beside the engine's own functions.\n\n\
         | function | what it gives | crate |\n| --- | --- | --- |\n"
            .to_owned();
    for (functions, crate_name) in assembly.functions() {
        for f in functions.docs {
            let _ = writeln!(
                text,
                "| `{}` | {} | {crate_name} |",
                cell(f.signature),
                cell(&f.about_with_right())
            );
        }
    }
    text
}

/// Escapes a text for a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Everything, or one view set, as JSON with a line break at the end.
pub(crate) fn as_json(assembly: &Assembly, only: Option<&str>) -> String {
    let sets = assembly.view_sets_with_crates().filter(|(set, _)| only.is_none_or(|name| name == set.name));
    let view_sets: serde_json::Map<String, Value> = sets
        .map(|(set, crate_name)| {
            let columns: Vec<Value> = set
                .columns
                .iter()
                .map(|c| {
                    json!({
                        "name": c.name,
                        "type": c.column_type.to_text(),
                        "nullable": c.nullable,
                        "description": c.about,
                    })
                })
                .collect();
            let value = json!({
                "description": set.about,
                "crate": crate_name,
                "crate_version": assembly.crates().get(crate_name),
                "instances": set.instances.kinds(),
                "depends_on": set.depends_on,
                "version": set.version,
                "schema_hash": hex(&set.schema_hash()),
                "columns": columns,
                "example": set.example,
            });
            (set.name.to_owned(), value)
        })
        .collect();
    let functions: Vec<Value> = assembly
        .functions()
        .flat_map(|(functions, crate_name)| functions.docs.iter().map(move |f| (f, crate_name)))
        .map(|(f, crate_name)| {
            json!({
                "name": f.name,
                "signature": f.signature,
                "description": f.about,
                "needs": f.needs.name(),
                "crate": crate_name,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "view_sets": view_sets, "functions": functions }))
}

/// Bytes as lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
