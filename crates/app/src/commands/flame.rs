//! `belvedere flame`

use super::lake::{open_existing, range};
use super::output::NewFile;
use crate::args::FlameArgs;
use anyhow::{Result, bail};
use belvedere_core::Lake;
use belvedere_model::StreamInfo;
use belvedere_views_spans::flame::FlameGraph;
use indicatif::HumanCount;
use uuid::Uuid;

pub(crate) async fn flame(args: FlameArgs) -> Result<()> {
    let range = range(&args.range)?;
    let lake = open_existing(&args.lake).await?;
    let context = lake.context(range);
    let (title, streams) = streams(&lake, args.id).await?;
    let mut graph = FlameGraph::default();
    let mut outcome = Ok(());
    for stream in &streams {
        outcome = graph.add(&context, stream).await.map_err(Into::into);
        if outcome.is_err() {
            break;
        }
    }
    super::faults::warn_of_faults(context.report());
    if outcome.is_ok() {
        outcome = draw(&graph, &title, &args);
    }
    lake.build_requested(&|_| ()).await;
    lake.close().await;
    outcome?;
    note!(
        "{}: {} spans, {:.3} ms in total; open it in a browser",
        args.output.display(),
        HumanCount(graph.spans()),
        graph.total() as f64 / 1e6
    );
    Ok(())
}

fn draw(graph: &FlameGraph, title: &str, args: &FlameArgs) -> Result<()> {
    let mut file = NewFile::create(&args.output)?;
    graph.write_svg(title, file.writer())?;
    file.finish()
}

/// The stream with that id, or the threads of the process with that id, and a title.
async fn streams(lake: &Lake, id: Uuid) -> Result<(String, Vec<StreamInfo>)> {
    let catalog = lake.connection().catalog();
    if let Some(stream) = catalog.stream(id).await? {
        return Ok((format!("thread {id}"), vec![StreamInfo::clone(&stream)]));
    }
    let Some(process) = catalog.process(id).await? else {
        bail!(
            "no stream or process {id} in this lake: SELECT process_id, exe FROM processes and \
             SELECT stream_id FROM streams list them"
        );
    };
    let mut threads = catalog.streams_of(id).await?;
    threads.retain(|s| s.tags.iter().any(|t| t == "cpu"));
    Ok((format!("{} ({id})", process.exe), threads))
}
