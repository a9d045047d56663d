//! Views that users define in the lake itself: files `views/NAME.sql`, no code.
//!
//! ```sql
//! -- name: errors_by_hour
//! -- description: Failed jobs of each machine and hour
//! -- group: hour, computer
//! -- merge: SELECT hour, computer, sum(errors) AS errors FROM partials GROUP BY hour, computer
//! SELECT date_bin(INTERVAL '1 hour', time) AS hour, computer, count(*) AS errors
//! FROM job_runs WHERE failed GROUP BY 1, 2
//! ```
//!
//! The header is comments: `name` (the file's if it is not there), `description`, `group` (the columns that rows
//! are grouped by: an instant among them makes the view's rows have a time) and `merge` (see
//! [`SqlSource::merge`]). A comment line without one of these words goes on with what the line before says. They are
//! the same kind of view set as those of crates: partitions, background work and pruning included.

use super::view_factory;
use crate::error::{Context, Error, Result};
use crate::query::{QueryContext, Tables, ViewFactory, check_sql_source};
use crate::registry::{Assembly, tables_of};
use arrow::datatypes::{DataType, Field, TimeUnit};
use belvedere_lake::{LakeConnection, with_causes};
use belvedere_model::SeqRange;
use belvedere_view::{
    Column, ColumnType, EventTime, Instances, Item, Registration, Source, SqlSource, ViewSet,
};
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The folder with users' views in the object store.
const FOLDER: &str = "views";
/// A larger file is no view.
const LARGEST: u64 = 1 << 20;
/// How old what is known of the folder may be.
const STALE: Duration = Duration::from_secs(5);

/// All views of a lake: those that crates registered, and those that users defined.
#[derive(Debug)]
pub(crate) struct UserViews {
    crates: Assembly,
    connection: Arc<LakeConnection>,
    runtime: Arc<RuntimeEnv>,
    state: Mutex<State>,
    /// One looks at a time, others go on with what is known.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    assembly: Arc<Assembly>,
    factory: ViewFactory,
    /// The files as they were listed last: key, time and size.
    listed: Vec<(String, i64, u64)>,
    looked: Instant,
    /// What was made of a file, by its key and text. A definition lives as long as the program.
    made: BTreeMap<(String, String), &'static Registration>,
    /// Files that can't be used, and why.
    problems: Vec<String>,
}

impl UserViews {
    pub(crate) async fn new(
        crates: Assembly,
        connection: Arc<LakeConnection>,
        runtime: Arc<RuntimeEnv>,
    ) -> Result<Self> {
        let factory = view_factory(&crates, runtime.clone(), connection.clone())?;
        let state = State {
            assembly: Arc::new(crates.clone()),
            factory,
            listed: Vec::new(),
            looked: Instant::now(),
            made: BTreeMap::new(),
            problems: Vec::new(),
        };
        let views =
            Self { crates, connection, runtime, state: Mutex::new(state), looking: Default::default() };
        views.look().await;
        Ok(views)
    }

    /// What is registered, and the tables.
    pub(crate) fn current(&self) -> Tables {
        let state = self.lock();
        Tables { assembly: state.assembly.clone(), factory: state.factory.clone() }
    }

    /// Files that can't be used, and why.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.lock().problems.clone()
    }

    /// Sees to it that what is known of the folder is not too old.
    pub(crate) async fn refresh(&self) {
        if self.lock().looked.elapsed() >= STALE {
            self.look().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // a state is replaced as a whole
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the folder if it changed. What can't be used is left out and said.
    async fn look(&self) {
        let Ok(_turn) = self.looking.try_lock() else { return };
        self.lock().looked = Instant::now();
        if let Err(e) = self.load().await {
            tracing::warn!(
                "the folder '{FOLDER}' of the lake can't be read, its views stay unchanged: {}",
                with_causes(&e)
            );
        }
    }

    async fn load(&self) -> Result<()> {
        let store = self.connection.store();
        let mut files: Vec<(String, i64, u64)> = store
            .list(Some(&FOLDER.into()))
            .map_ok(|f| (f.location.to_string(), f.last_modified.timestamp_micros(), f.size))
            .try_filter(|f| std::future::ready(f.0.ends_with(".sql")))
            .try_collect()
            .await?;
        files.sort();
        if self.lock().listed == files {
            return Ok(());
        }
        let mut problems = Vec::new();
        let mut waiting = Vec::new();
        for (key, _, size) in &files {
            if *size > LARGEST {
                problems.push(format!("{key} is not usable: it is larger than {LARGEST} bytes"));
                continue;
            }
            let bytes = store.get(&key.as_str().into()).await?.bytes().await?;
            waiting.push((key.clone(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        // one may read another: as long as one more can be made, others may follow
        let mut registrations: Vec<(String, &'static Registration)> = Vec::new();
        let mut assembly = self.crates.clone();
        let mut factory = self.factory_of(&assembly)?;
        loop {
            let mut failed = Vec::new();
            let before = registrations.len();
            for (key, text) in waiting {
                match self.add(&key, &text, &assembly, &factory, &registrations).await {
                    Ok((registration, with_it)) => {
                        registrations.push((key, registration));
                        factory = self.factory_of(&with_it)?;
                        assembly = with_it;
                    }
                    Err(e) => failed.push((key, text, e)),
                }
            }
            if failed.is_empty() || registrations.len() == before {
                problems.extend(failed.iter().map(|(key, _, e)| format!("{key} is not usable: {e}")));
                break;
            }
            waiting = failed.into_iter().map(|(key, text, _)| (key, text)).collect();
        }
        for problem in &problems {
            tracing::error!("{problem}");
        }
        let mut state = self.lock();
        (state.assembly, state.factory) = (Arc::new(assembly), factory);
        (state.listed, state.problems) = (files, problems);
        Ok(())
    }

    fn factory_of(&self, assembly: &Assembly) -> Result<ViewFactory> {
        view_factory(assembly, self.runtime.clone(), self.connection.clone())
    }

    /// A file's registration, and the assembly with it.
    async fn add(
        &self,
        key: &str,
        text: &str,
        assembly: &Assembly,
        factory: &ViewFactory,
        registrations: &[(String, &'static Registration)],
    ) -> Result<(&'static Registration, Assembly)> {
        let of_file = (key.to_owned(), text.to_owned());
        let known = self.lock().made.get(&of_file).copied();
        let registration = match known {
            Some(registration) => registration,
            None => {
                let definition = Definition::parse(key, text)?;
                let context = QueryContext::for_definitions(
                    self.connection.clone(),
                    Tables { assembly: Arc::new(assembly.clone()), factory: factory.clone() },
                    self.runtime.clone(),
                );
                // no row is read for this
                let session = context.within(SeqRange::new(1, 0)).session()?;
                let registration = definition.register(&session, assembly, factory).await?;
                self.lock().made.insert(of_file, registration);
                registration
            }
        };
        let name = view_set_name(registration);
        if let Some((other, _)) = registrations.iter().find(|(_, other)| view_set_name(other) == name) {
            return Err(Error::Request(format!(
                "it defines '{}', as {other} does: give one of them another name, with a line '-- name: …'",
                name.unwrap_or_default()
            )));
        }
        let all = registrations.iter().map(|(_, registration)| *registration).chain([registration]);
        let assembly = self.crates.with(all)?;
        // what is wrong with it in the engine's eyes is to be known now
        Ok((registration, assembly))
    }
}

fn view_set_name(registration: &Registration) -> Option<&'static str> {
    match &registration.item {
        Item::ViewSet(set) => Some(set.name),
        _ => None,
    }
}

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
struct Definition {
    name: String,
    description: String,
    group: Vec<String>,
    merge: String,
    extract: String,
}

impl Definition {
    fn parse(key: &str, text: &str) -> Result<Self> {
        let stem = key.rsplit('/').next().unwrap_or(key).trim_end_matches(".sql");
        let mut header: BTreeMap<&str, String> = BTreeMap::new();
        let mut last: Option<&str> = None;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.peek().map(|l| l.trim()) {
            let Some(comment) = line.strip_prefix("--") else {
                if line.is_empty() {
                    lines.next();
                    continue;
                }
                break;
            };
            let said = comment.trim();
            let word = ["name", "description", "group", "merge"]
                .into_iter()
                .find_map(|word| Some((word, said.strip_prefix(word)?.trim_start().strip_prefix(':')?)));
            match (word, last) {
                (Some((word, value)), _) => {
                    header.insert(word, value.trim().to_owned());
                    last = Some(word);
                }
                (None, Some(word)) => {
                    let value = header.entry(word).or_default();
                    value.push('\n');
                    value.push_str(said);
                }
                // a comment before the header
                (None, None) => {}
            }
            lines.next();
        }
        let mut take = |word: &str| header.remove(word).filter(|v| !v.is_empty());
        let needs = |word: &str| format!("its header needs a line '-- {word}: …'");
        let group = take("group").with_context(|| needs("group"))?;
        Ok(Self {
            name: take("name").unwrap_or_else(|| stem.to_owned()),
            description: take("description").with_context(|| needs("description"))?,
            group: group.split(',').map(|c| c.trim().to_owned()).collect(),
            merge: take("merge").with_context(|| needs("merge"))?,
            extract: lines.collect::<Vec<_>>().join("\n").trim().trim_end_matches(';').to_owned(),
        })
    }

    /// Checks the SQL and makes a registration like a crate's.
    async fn register(
        &self,
        session: &datafusion::prelude::SessionContext,
        assembly: &Assembly,
        factory: &ViewFactory,
    ) -> Result<&'static Registration> {
        let mut depends_on = Vec::new();
        for table in tables_of(&self.extract)? {
            match assembly.view_sets().find(|s| s.name == table) {
                Some(set) if matches!(set.source, Source::Query(_)) => {
                    return Err(Error::Request(format!(
                        "'{table}' is computed for each query and can't be materialized in parts: read what \
                         it reads"
                    )));
                }
                Some(set) => depends_on.push(set.name),
                None => {
                    return Err(Error::Request(format!(
                        "'{table}' is not a view set: only view sets can be read, by their names"
                    )));
                }
            }
        }
        // what shows the same rows for whatever blocks would be counted again for each of them
        let follows_blocks = |name: &&str| factory.get_global_view(name).is_some_and(|v| v.follows_blocks());
        if !depends_on.iter().any(follows_blocks) {
            return Err(Error::Request(
                "its SQL must read a view set whose rows come with blocks, such as 'blocks' itself"
                    .to_owned(),
            ));
        }
        let sort = Box::leak(self.group.iter().map(|c| leak(c)).collect::<Vec<_>>().into_boxed_slice());
        let sql = SqlSource::new(leak(&self.extract)).merge(leak(&self.merge)).sort(sort);
        let schema = check_sql_source(session, &sql).await?;
        let mut columns = Vec::new();
        for field in schema.fields() {
            columns
                .push(self.column(field, columns.iter().all(|c: &Column| c.event_time == EventTime::None))?);
        }
        if let Some(missing) = self.group.iter().find(|g| columns.iter().all(|c| c.name != **g)) {
            return Err(Error::Request(format!("its SQL has no column '{missing}' to group by")));
        }
        let set = ViewSet::new(leak(&self.name))
            .about(leak(&self.description))
            .columns(Box::leak(columns.into_boxed_slice()))
            .instances(Instances::Global)
            .depends_on(Box::leak(depends_on.into_boxed_slice()))
            .sql(sql)
            .example(leak(&format!("SELECT * FROM {} LIMIT 10", self.name)));
        let registration = Registration::new("the lake's folder 'views'", "", Item::ViewSet(set));
        Ok(Box::leak(Box::new(registration)))
    }

    /// The first instant that rows are grouped by is their time.
    fn column(&self, field: &Field, may_be_time: bool) -> Result<Column> {
        let name = leak(field.name());
        let Some(column_type) = ColumnType::of_engine(field.data_type()) else {
            return Err(Error::Request(format!(
                "the column {name} is {}, which view sets don't support: cast it, for example to BIGINT, \
                 DOUBLE or VARCHAR",
                field.data_type()
            )));
        };
        let mut column = Column::new(name, leak(&format!("column {name} of {}", self.name)), column_type);
        if field.is_nullable() {
            column = column.nullable();
        }
        let is_time = matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _));
        if is_time && may_be_time && self.group.iter().any(|g| g == name) {
            column = column.event_time();
        }
        Ok(column)
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_go_on_over_several_lines_and_the_file_names_the_view() {
        let text = "-- what we count\n-- description: Errors\n-- group: hour, computer\n-- merge: SELECT hour\n\
                    --   FROM partials\n\nSELECT 1\n-- a comment\nFROM log_entries;\n";
        let definition = Definition::parse("views/errors.sql", text).unwrap();
        assert_eq!(definition.name, "errors");
        assert_eq!(definition.group, ["hour", "computer"]);
        assert_eq!(definition.merge, "SELECT hour\nFROM partials");
        assert_eq!(definition.extract, "SELECT 1\n-- a comment\nFROM log_entries");
        let missing = Definition::parse("views/errors.sql", "-- description: Errors\nSELECT 1").unwrap_err();
        assert_eq!(missing.to_string(), "its header needs a line '-- group: …'");
    }
}
