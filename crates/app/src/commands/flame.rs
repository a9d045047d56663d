//! `belvedere flame`

use super::lake::range;
use super::output::NewFile;
use super::source::{Rows, Source};
use crate::args::FlameArgs;
use anyhow::{Context, Result, bail};
use arrow::array::{AsArray, ListArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use belvedere_model::TRANSIT_FORMAT;
use belvedere_model::time::TimeRange;
use belvedere_views_spans::flame::FlameGraph;
use indicatif::HumanCount;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) async fn flame(args: FlameArgs) -> Result<()> {
    let range = range(&args.range)?;
    let source = Source::open(&args.source).await?;
    let outcome = graph(&source, range, &args).await;
    source.close().await;
    let graph = outcome?;
    note!(
        "{}: {} spans, {:.3} ms in total; open it in a browser",
        args.output.display(),
        HumanCount(graph.spans()),
        graph.total() as f64 / 1e6
    );
    Ok(())
}

/// Reads the spans and draws them.
async fn graph(source: &Source, range: TimeRange, args: &FlameArgs) -> Result<FlameGraph> {
    let subject = Subject::of(source, args.id).await?;
    let mut graph = FlameGraph::default();
    let mut missing = 0;
    let tell = |rows: &Rows| {
        rows.warn();
        rows.missing()
    };
    for stream in &subject.threads {
        let mut rows = source.query(&FlameGraph::thread_sql(*stream), range).await?;
        graph
            .add_thread(range, &mut rows.batches)
            .await
            .with_context(|| format!("reading thread {stream}"))?;
        missing += tell(&rows);
    }
    if let Some(process_id) = subject.traces {
        let mut rows = source.query(&FlameGraph::traces_sql(process_id), range).await?;
        graph.add_traces(range, &mut rows.batches).await.context("reading spans of OpenTelemetry")?;
        missing += tell(&rows);
    }
    if args.strict && missing > 0 {
        bail!("--strict: rows are missing from this picture");
    }
    let mut file = NewFile::create(&args.output)?;
    graph.write_svg(&subject.title, file.writer())?;
    file.finish()?;
    Ok(graph)
}

/// What is drawn.
struct Subject {
    title: String,
    /// Streams of threads.
    threads: Vec<Uuid>,
    /// A process with spans of OpenTelemetry.
    traces: Option<Uuid>,
}

impl Subject {
    /// The stream with that id, or the process with that id.
    async fn of(source: &Source, id: Uuid) -> Result<Self> {
        let streams = source
            .collect(&format!(
                "SELECT stream_id, process_id, format, tags FROM streams \
                 WHERE stream_id = '{id}' OR process_id = '{id}' ORDER BY stream_id"
            ))
            .await?;
        let mut subject = Self { title: format!("thread {id}"), threads: Vec::new(), traces: None };
        let mut is_stream = false;
        for batch in &streams {
            let (ids, processes) = (texts(batch, "stream_id")?, texts(batch, "process_id")?);
            let (formats, tags) = (texts(batch, "format")?, tags(batch)?);
            for row in 0..batch.num_rows() {
                let (stream_id, process_id): (Uuid, Uuid) =
                    (ids.value(row).parse()?, processes.value(row).parse()?);
                is_stream |= stream_id == id;
                let tags = tags.value(row);
                let is_of_thread = tags.as_string::<i32>().iter().any(|tag| tag == Some("cpu"));
                if is_of_thread {
                    subject.threads.push(stream_id);
                } else if formats.value(row) != TRANSIT_FORMAT {
                    subject.traces = Some(process_id);
                }
            }
        }
        let processes =
            source.collect(&format!("SELECT exe FROM processes WHERE process_id = '{id}'")).await?;
        let exe = match processes.iter().find(|batch| batch.num_rows() > 0) {
            Some(batch) => Some(texts(batch, "exe")?.value(0).to_owned()),
            None => None,
        };
        match exe {
            Some(exe) => subject.title = format!("{exe} ({id})"),
            None if !is_stream => bail!(
                "no stream or process {id} in this lake: SELECT process_id, exe FROM processes and \
                 SELECT stream_id FROM streams list them"
            ),
            None => {}
        }
        if subject.traces.is_some() {
            let has = "SELECT view_set_name FROM list_view_sets() WHERE view_set_name = 'otel_spans'";
            if source.collect(has).await?.iter().all(|batch| batch.num_rows() == 0) {
                subject.traces = None;
            }
        }
        Ok(subject)
    }
}

fn column(batch: &RecordBatch, name: &str, to: &DataType) -> Result<arrow::array::ArrayRef> {
    let column = batch.column_by_name(name).with_context(|| format!("the answer has no column {name}"))?;
    Ok(cast(column, to)?)
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn tags(batch: &RecordBatch) -> Result<ListArray> {
    let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    Ok(column(batch, "tags", &texts)?.as_list::<i32>().clone())
}
