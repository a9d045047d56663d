//! `belvedere views`

use super::lake::open_if_there;
use crate::args::ViewsArgs;
use crate::format::{Format, RowWriter};
use crate::linked;
use crate::schema_docs::hex;
use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use belvedere_core::registry::ViewSet;
use std::sync::Arc;

pub(crate) async fn views(args: ViewsArgs) -> Result<()> {
    // a lake may have views of its own
    let (assembly, problems) = match open_if_there(&args.lake).await? {
        Some(lake) => {
            let found = (lake.assembly(), lake.problems());
            lake.close().await;
            found
        }
        None => (Arc::new(linked::assembly()?), Vec::new()),
    };
    for problem in problems {
        eprintln!("warning: {problem}");
    }
    let sets: Vec<_> = assembly.view_sets_with_crates().collect();
    let texts = |f: &dyn Fn(&(&'static ViewSet, &'static str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(sets.iter().map(f)))
    };
    let version = |name: &str| assembly.crates().get(name).copied().unwrap_or_default().to_owned();
    let rows = RecordBatch::try_from_iter([
        ("view_set", texts(&|s| s.0.name.to_owned())),
        ("instances", texts(&|s| s.0.instances.kinds().join(", "))),
        ("crate", texts(&|s| format!("{} {}", s.1, version(s.1)).trim_end().to_owned())),
        ("schema_hash", texts(&|s| hex(&s.0.schema_hash()))),
        ("about", texts(&|s| s.0.about.to_owned())),
    ])?;
    let mut writer = RowWriter::new(Format::Table, std::io::stdout(), rows.schema())?;
    writer.write(&rows)?;
    writer.finish()
}
