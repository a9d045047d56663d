//! `belvedere schema`: documentation that is made from the registrations themselves.

use super::views::hex;
use crate::args::{SchemaArgs, SchemaFormat};
use crate::linked;
use anyhow::{Result, bail};
use belvedere_core::registry::{Assembly, EventTime, ViewSet};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

pub(crate) fn schema(args: SchemaArgs) -> Result<()> {
    let assembly = linked::assembly()?;
    let sets: Vec<_> = assembly
        .view_sets_with_crates()
        .filter(|(set, _)| args.view_set.as_deref().is_none_or(|name| name == set.name))
        .collect();
    if let (Some(name), true) = (&args.view_set, sets.is_empty()) {
        let known: Vec<&str> = assembly.view_sets().map(|s| s.name).collect();
        bail!("view set {name} not found; there are {}", known.join(", "));
    }
    let text = match args.format {
        SchemaFormat::Json => {
            let mut text = serde_json::to_string_pretty(&as_json(&assembly, &sets))?;
            text.push('\n');
            text
        }
        SchemaFormat::Md => {
            let mut text: Vec<String> =
                sets.iter().map(|(set, crate_name)| as_markdown(&assembly, set, crate_name)).collect();
            if args.view_set.is_none() {
                text.push(functions_as_markdown(&assembly));
            }
            text.join("\n")
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn as_json(assembly: &Assembly, sets: &[(&'static ViewSet, &'static str)]) -> Value {
    let view_sets: serde_json::Map<String, Value> = sets
        .iter()
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
            json!({ "name": f.name, "signature": f.signature, "description": f.about, "crate": crate_name })
        })
        .collect();
    json!({ "view_sets": view_sets, "functions": functions })
}

fn as_markdown(assembly: &Assembly, set: &ViewSet, crate_name: &str) -> String {
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
    if let Some((begin, end)) = set.event_time_columns() {
        let about = if begin == end { format!("`{begin}`") } else { format!("`{begin}` to `{end}`") };
        let _ = writeln!(text, "- Event time, which a query's time range is about: {about}");
    }
    text.push_str("\n| column | type | null | description |\n| --- | --- | --- | --- |\n");
    for c in set.columns {
        let null = if c.nullable { "yes" } else { "" };
        let time = if c.event_time == EventTime::None { "" } else { " (event time)" };
        let _ = writeln!(text, "| `{}` | {} | {null} | {}{time} |", c.name, c.column_type.to_text(), c.about);
    }
    let _ = writeln!(text, "\n```sql\n{}\n```", set.example);
    text
}

fn functions_as_markdown(assembly: &Assembly) -> String {
    let mut text =
        "# SQL functions\n\n| function | what it gives | crate |\n| --- | --- | --- |\n".to_owned();
    for (functions, crate_name) in assembly.functions() {
        for f in functions.docs {
            let _ = writeln!(text, "| `{}` | {} | {crate_name} |", f.signature, f.about);
        }
    }
    text
}
