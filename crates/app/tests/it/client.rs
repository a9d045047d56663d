//! An unmodified program built on the published client library.

use crate::support::Place;
use micromegas_telemetry_sink::TelemetryGuardBuilder;
use micromegas_tracing::prelude::*;
use std::process::Command;

const URL: &str = "BELVEDERE_TEST_CLIENT_URL";

/// Not a test: the program, run by the test below in a process of its own.
#[test]
fn the_program() {
    let Ok(url) = std::env::var(URL) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let _guard = TelemetryGuardBuilder::default()
        .with_telemetry_sink_url(url)
        .with_local_sink_enabled(false)
        .with_process_property("branch".to_owned(), "main ∂".to_owned())
        .build()
        .unwrap();
    for i in 0..1000_u32 {
        info!("message {i}");
        warn!(target: "custom::target", asset = "tree", size = %i, "static text");
        fmetric!("frame_time", "ms", "scene" = "forest", f64::from(i) / 4.0);
        imetric!("triangles", "count", u64::from(i) * 1000);
    }
    log::error!("through the log crate");
    tracing::info!(answer = 42, "through the tracing crate");
}

#[test]
fn logs_and_metrics_of_a_program_with_the_published_client_come_out_with_their_properties() {
    let place = Place::new();
    let server = place.serve(&[]);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["client::the_program", "--exact"])
        .env(URL, server.url())
        .status()
        .unwrap();
    assert!(status.success());

    let processes =
        place.query("SELECT process_id, property_get(properties, 'BRANCH') AS branch FROM processes");
    assert_eq!(processes.len(), 1);
    assert_eq!(processes[0]["branch"], "main ∂");
    let id = processes[0]["process_id"].as_str().unwrap();

    let logs = place.query(&format!(
        "SELECT level, target, msg, property_get(properties, 'asset') AS asset, \
         property_get(properties, 'size') AS size, property_get(process_properties, 'branch') AS branch \
         FROM view_instance('log_entries', '{id}') ORDER BY time"
    ));
    let plain: Vec<_> = logs.iter().filter(|l| l["msg"].as_str().unwrap().starts_with("message ")).collect();
    assert_eq!(plain.len(), 1000);
    for (i, log) in plain.iter().enumerate() {
        assert_eq!(log["msg"], format!("message {i}"));
        assert_eq!(log["level"], 4);
        assert_eq!(log["branch"], "main ∂");
    }
    let tagged: Vec<_> = logs.iter().filter(|l| l["target"] == "custom::target").collect();
    assert_eq!(tagged.len(), 1000);
    for (i, log) in tagged.iter().enumerate() {
        assert_eq!((&log["msg"], &log["level"]), (&"static text".into(), &3.into()));
        assert_eq!(log["asset"], "tree");
        assert_eq!(log["size"], i.to_string());
    }
    assert!(
        logs.iter()
            .any(|l| l["msg"].as_str().unwrap().starts_with("through the log crate") && l["level"] == 2)
    );
    assert!(logs.iter().any(|l| l["msg"].as_str().unwrap().starts_with("through the tracing crate")));

    let measures = place.query(
        "SELECT name, unit, property_get(properties, 'scene') AS scene, count(*) AS count, sum(value) AS sum \
         FROM measures WHERE name IN ('frame_time', 'triangles') GROUP BY 1, 2, 3 ORDER BY name",
    );
    assert_eq!(
        serde_json::Value::from(measures),
        serde_json::json!([
            {"name": "frame_time", "unit": "ms", "scene": "forest", "count": 1000, "sum": 124_875.0},
            {"name": "triangles", "unit": "count", "scene": null, "count": 1000, "sum": 499_500_000.0},
        ])
    );
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_shows_rows_of_its_program_and_leaves() {
    let place = Place::new();
    let output = place.command("demo").args(["--http", "127.0.0.1:0", "--once"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("listening http 127.0.0.1:"), "{stderr}");
    assert!(stdout.contains("cutting piece"), "{stdout}");
    assert!(stdout.contains("thickness"), "{stdout}");
    // what it showed is in the lake
    assert!(place.number("SELECT count(*) FROM log_entries WHERE msg LIKE 'cutting piece%'") > 0);
}
