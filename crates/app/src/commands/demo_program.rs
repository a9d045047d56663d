//! The program that the demo instruments: a small workshop that logs, measures and traces through the published
//! client library, over HTTP like any other program.

use anyhow::{Context, Result};
use micromegas_telemetry_sink::TelemetryGuardBuilder;
use micromegas_tracing::dispatch::{
    flush_log_buffer, flush_metrics_buffer, flush_thread_buffer, init_thread_stream,
};
use micromegas_tracing::prelude::*;
use std::time::{Duration, Instant};

/// Works until it is killed, and sends its events to the server at `url`.
pub(crate) async fn run(url: &str) -> Result<()> {
    let _guard = TelemetryGuardBuilder::default()
        .with_telemetry_sink_url(url.to_owned())
        .with_local_sink_enabled(false)
        .with_install_log_capture(false)
        .with_install_tracing_capture(false)
        .with_cpu_tracing_enabled(true)
        .with_process_property("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())
        .with_process_property("purpose".to_owned(), "demo".to_owned())
        .build()
        .context("the client library could not be set up")?;
    init_thread_stream();
    let mut bench = tokio::time::interval(Duration::from_millis(20));
    for piece in 0_u64.. {
        bench.tick().await;
        make(piece);
        // a real program leaves flushing to the library's timer; nobody should wait a minute for the demo
        if piece % 25 == 24 {
            flush_log_buffer();
            flush_metrics_buffer();
            flush_thread_buffer();
        }
    }
    Ok(())
}

fn make(piece: u64) {
    span_scope!("make a piece");
    let began = Instant::now();
    let wood = ["oak", "birch", "pine"][(piece % 3) as usize];
    info!(wood = wood, "cutting piece {piece}");
    cut(piece);
    let thickness = (20.0 + 4.0 * (piece as f64 / 7.0).sin() + (piece * 37 % 11) as f64 / 10.0).round() / 2.0;
    fmetric!("thickness", "mm", "wood" = wood, thickness);
    if piece % 10 == 7 {
        warn!(wood = wood, "piece {piece} is too thin: {thickness} mm");
    }
    if piece % 50 == 49 {
        error!("the saw is stuck after piece {piece}");
    }
    fmetric!("cutting_time", "ms", began.elapsed().as_secs_f64() * 1000.0);
    imetric!("pieces", "count", piece + 1);
}

/// Takes as long as the wood is hard.
fn cut(piece: u64) {
    span_scope!("cut");
    for _ in 0..3 {
        span_scope!("stroke");
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(50 + piece % 3 * 100) {}
    }
}
