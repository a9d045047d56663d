//! `belvedere schema`: the documentation of the view sets and functions in this binary.

use crate::args::{SchemaArgs, SchemaFormat};
use crate::linked;
use crate::schema_docs::{as_json, functions, pages, view_set};
use anyhow::{Context, Result, bail};
use std::io::Write;

pub(crate) fn schema(args: SchemaArgs) -> Result<()> {
    let assembly = linked::assembly()?;
    if let Some(directory) = &args.output {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("the directory {} can't be created", directory.display()))?;
        for (name, page) in pages(&assembly) {
            let path = directory.join(name);
            std::fs::write(&path, page).with_context(|| format!("{} can't be written", path.display()))?;
        }
        return Ok(());
    }
    let only = args.view_set.as_deref();
    let known: Vec<&str> = assembly.view_sets().map(|s| s.name).collect();
    if let Some(name) = only.filter(|name| !known.contains(name)) {
        bail!("view set {name} not found; available: {}", known.join(", "));
    }
    let text = match args.format {
        SchemaFormat::Json => as_json(&assembly, only),
        SchemaFormat::Md => {
            let sets =
                assembly.view_sets_with_crates().filter(|(set, _)| only.is_none_or(|name| name == set.name));
            let mut text: Vec<String> = sets.map(|(set, name)| view_set(&assembly, set, name)).collect();
            if only.is_none() {
                text.push(functions(&assembly));
            }
            text.join("\n")
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
