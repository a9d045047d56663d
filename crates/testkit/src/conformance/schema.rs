//! The schema is what was agreed, and the documentation's example works.

use super::damage::LIMIT;
use super::{SOME, Subject, is_along_streams, texts};
use crate::failure::{Context, Failure, Result, ensure};
use crate::fake_process::Block;
use belvedere_model::time::TimeRange;
use belvedere_model::transit::decompress;
use belvedere_view::Source;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Set to write snapshots: a changed one only with a raised version.
const BLESS: &str = "BELVEDERE_BLESS";

/// What stands in `schema/NAME.txt` beside the view set's crate is what the view set has now: its version, columns, SQL,
/// and the rows of the sample. Whoever changes one of them without raising the version leaves partitions in lakes that
/// look valid and are not; so that fails, and with a raised version the snapshot is written again.
pub async fn the_schema_is_the_one_of_the_snapshot(subject: &Subject, crate_directory: &Path) -> Result<()> {
    check(subject, crate_directory, std::env::var_os(BLESS).is_some()).await
}

/// Compares with the snapshot, and writes it if that is allowed.
pub(super) async fn check(subject: &Subject, crate_directory: &Path, is_blessed: bool) -> Result<()> {
    let now = Snapshot::of(subject).await?;
    let path = path(subject, crate_directory);
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text.replace("\r\n", "\n"),
        Err(_) if is_blessed => return now.write(&path),
        Err(e) => {
            return Err(Failure::new(format!("{shown} can't be read ({e}); {BLESS}=1 cargo test writes it")));
        }
    };
    if text == now.to_text() {
        return Ok(());
    }
    let then = Snapshot::parse(&text).with_context(|| format!("{shown} is no snapshot of a schema"))?;
    // another sample says nothing about the view set
    let is_same = then.schema == now.schema && (then.sample != now.sample || then.rows == now.rows);
    ensure!(
        is_same || then.version < now.version,
        "the view set {} of version {} is not what {shown} says of version {}: {}. Lakes have partitions of it that look \
         valid: raise its `version`, then write the snapshot with {BLESS}=1 cargo test",
        subject.view_set,
        now.version,
        then.version,
        if then.schema == now.schema {
            "the same blocks give other rows".to_owned()
        } else {
            format!("its schema changed from\n{}to\n{}", then.schema, now.schema)
        }
    );
    ensure!(is_blessed, "{shown} is of another version: write it with {BLESS}=1 cargo test");
    now.write(&path)
}

fn path(subject: &Subject, crate_directory: &Path) -> PathBuf {
    crate_directory.join("schema").join(format!("{}.txt", subject.view_set))
}

/// What a view set is, as far as partitions depend on it.
struct Snapshot {
    version: u32,
    /// Columns and SQL.
    schema: String,
    /// Hash of what the sample sends.
    sample: String,
    /// Hash of the rows that it gives.
    rows: String,
}

impl Snapshot {
    async fn of(subject: &Subject) -> Result<Self> {
        let mut program = (subject.sample)(SOME);
        let set = subject.view_set(&subject.assembly()?)?;
        let mut schema = String::new();
        for c in set.columns {
            let null = if c.nullable { " null" } else { "" };
            let _ = writeln!(schema, "{}: {}{null}", c.name, c.column_type.to_text());
        }
        match &set.source {
            Source::Sql(sql) => {
                let sort = sql.sort.join(", ");
                let _ = writeln!(schema, "extract: {}\nmerge: {}\nsort: {sort}", sql.extract, sql.merge);
            }
            Source::Query(sql) => {
                let _ = writeln!(schema, "query: {sql}");
            }
            Source::Blocks(_) if is_along_streams(subject)? => schema.push_str("decoded along streams\n"),
            _ => {}
        }
        // rows follow from these; other ones say nothing about the view set
        let assembly = subject.assembly()?;
        let read = assembly.view_sets().filter(|s| set.depends_on.contains(&s.name));
        let versions: Vec<(&str, u32)> = read.map(|s| (s.name, s.version)).collect();
        let mut sent = format!("{versions:?} {:?} {:?}", program.process, program.streams()).into_bytes();
        for Block { info, payload } in program.raw_blocks() {
            sent.extend(format!("{info:?}").into_bytes());
            // what was sent, not how well it was compressed
            for part in [&payload.dependencies, &payload.objects] {
                if !part.is_empty() {
                    sent.extend(decompress(part, LIMIT, "sample")?);
                }
            }
        }
        let lake = subject.fed_with(&program).await?;
        let mut rows = String::new();
        for table in subject.tables(&lake, &program)? {
            for row in table.rows(&lake).await?.rows {
                let _ = writeln!(rows, "{}", row.join("\u{1f}"));
            }
        }
        lake.close().await;
        let hash = |bytes: &[u8]| Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes).simple().to_string();
        Ok(Self { version: set.version, schema, sample: hash(&sent), rows: hash(rows.as_bytes()) })
    }

    fn to_text(&self) -> String {
        let Self { version, schema, sample, rows } = self;
        format!("version {version}\n\n{schema}\nsample {sample}\nrows {rows}\n")
    }

    fn write(&self, path: &Path) -> Result<()> {
        let directory = path.parent().context("a file is in a directory")?;
        std::fs::create_dir_all(directory).and_then(|()| std::fs::write(path, self.to_text()))?;
        Ok(())
    }

    fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.strip_prefix("version ")?.split_once("\n\n")?;
        let (schema, rest) = rest.split_once("\nsample ")?;
        let (sample, rows) = rest.split_once("\nrows ")?;
        Some(Self {
            version: version.parse().ok()?,
            schema: schema.to_owned(),
            sample: sample.to_owned(),
            rows: rows.trim_end().to_owned(),
        })
    }
}

/// The example of the documentation runs, about the sample's process or one of its streams.
pub async fn the_example_is_a_query_that_works(subject: &Subject) -> Result<()> {
    let program = (subject.sample)(SOME);
    let lake = subject.fed_with(&program).await?;
    let table = subject.tables(&lake, &program)?.pop().context("the view set has no table")?;
    let example = table.view_set.example;
    let stream = match table.view_set.instances.kinds() {
        ["stream"] => table.instance.clone(),
        _ => program.streams().first().context("the sample has no stream")?.stream_id.to_string(),
    };
    let sql = example.replace("<process id>", &program.process.process_id.to_string());
    let sql = sql.replace("<stream id>", &stream);
    ensure!(sql.contains(table.view_set.name), "the example does not show the view set: {example}");
    texts(&super::batch(&lake, &sql, TimeRange::ALL).await?)?;
    lake.close().await;
    Ok(())
}
