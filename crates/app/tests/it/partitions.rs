//! Partitions of real traffic: made, merged, thrown away and made again, read by the binary and by the library.

use crate::support::{Place, recording, replay, testdata};
use belvedere::core::Lake;
use belvedere_testkit::conformance::rows_do_not_depend_on_partitions;
use std::process::Output;

fn lines(output: Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A lake with these recordings, and no server.
fn lake_of(names: &[&str]) -> Place {
    let place = Place::new();
    let server = place.serve(&["--roles", "ingest"]);
    for name in names {
        let requests = recording(&testdata("recordings").join(format!("{name}.jsonl.gz")));
        assert!(replay(&server, &requests).iter().all(|s| *s == 200));
    }
    server.stop();
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_recording_are_the_same_however_they_are_kept() {
    let place = lake_of(&["native-small", "native-old", "net-small"]);
    let lake = Lake::open(place.directory.path()).await.unwrap();
    let sql = "SELECT arrow_cast(process_id, 'Utf8') FROM processes ORDER BY 1";
    let batches = lake.sql(sql).await.unwrap();
    let mut rows = 0;
    for set in ["log_entries", "measures", "log_stats"] {
        rows += rows_do_not_depend_on_partitions(&lake, set, "global").await.unwrap();
    }
    for batch in batches {
        for row in 0..batch.num_rows() {
            let id = arrow::util::display::array_value_to_string(batch.column(0), row).unwrap();
            for set in ["log_entries", "measures"] {
                rows += rows_do_not_depend_on_partitions(&lake, set, &id).await.unwrap();
            }
        }
    }
    assert!(rows > 1_000, "{rows}");
    lake.close().await;
}

#[test]
fn maintain_once_brings_everything_up_to_date_and_says_what_it_did() {
    for (backend, place) in Place::all() {
        let server = place.serve(&["--roles", "ingest"]);
        assert!(
            replay(&server, &recording(&testdata("recordings/native-small.jsonl.gz")))
                .iter()
                .all(|s| *s == 200)
        );
        server.stop();
        let stats = "SELECT level, sum(count) AS count FROM log_stats GROUP BY level ORDER BY level";
        let logs = "SELECT level, count(*) AS count FROM log_entries GROUP BY level ORDER BY level";
        let live = place.query(logs);
        assert_eq!(place.query(stats), live, "{backend}");

        let said = lines(place.command("maintain").arg("--once").output().unwrap());
        for set in ["log_entries global: 1 new partitions, 196 rows", "log_stats global", "measures global"] {
            assert!(said.iter().any(|line| line.starts_with(set)), "{backend}: {said:?}");
        }
        assert_eq!(place.query(logs), live, "{backend}");
        assert_eq!(place.query(stats), live, "{backend}");
        let plan = place.query(&format!("EXPLAIN {logs}"));
        let reads = plan.iter().find(|row| row["plan_type"] == "reads").unwrap();
        let reads = reads["plan"].as_str().unwrap();
        assert!(reads.starts_with("log_entries global: 1 of 1 partitions"), "{reads}");
        assert!(reads.ends_with("0 blocks to decode (0 bytes)"), "{reads}");

        let again = lines(place.command("maintain").arg("--once").output().unwrap());
        assert_eq!(again, ["everything is up to date"], "{backend}");
        let checked = lines(place.command("fsck").output().unwrap());
        assert_eq!(checked.last().unwrap(), "clean", "{backend}: {checked:?}");

        let retired = place.query(
            "SELECT * FROM retire_partitions('log_entries', 'global', '2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z')",
        );
        assert_eq!(retired.len(), 1, "{backend}");
        assert_eq!(place.query(logs), live, "{backend}");
    }
}

#[test]
fn a_server_makes_partitions_by_itself_and_keeps_what_queries_wanted() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = recording(&testdata("recordings/native-old.jsonl.gz"));
    assert!(replay(&server, &requests).iter().all(|s| *s == 200));
    let rows = place.number("SELECT count(*) FROM log_entries");
    let kept = "SELECT CAST(COALESCE(sum(num_rows), 0) AS BIGINT) FROM list_partitions() \
                WHERE view_set_name = 'log_entries'";
    let began = std::time::Instant::now();
    while place.number(kept) < rows {
        assert!(began.elapsed().as_secs() < 60, "no partition was made");
    }
    assert_eq!(place.number("SELECT count(*) FROM log_entries"), rows);
    let (_, metrics) = server.connect().get("/metrics");
    assert!(metrics.contains("belvedere_partitions_made_total{view_set=\"log_entries\"}"), "{metrics}");
    server.stop();
    assert_eq!(place.number("SELECT count(*) FROM log_entries"), rows);
}

#[test]
fn a_view_that_is_a_file_in_the_lake_is_a_view_like_any_other() {
    let place = lake_of(&["native-small"]);
    let folder = place.directory.path().join("views");
    std::fs::create_dir(&folder).unwrap();
    let definition = "-- description: Messages by hour and level\n-- group: hour, level\n\
                      -- merge: SELECT hour, level, sum(messages) AS messages\n--   FROM partials GROUP BY hour, level\n\
                      SELECT date_trunc('hour', time) AS hour, level, count(*) AS messages\n\
                      FROM log_entries GROUP BY 1, 2;\n";
    std::fs::write(folder.join("by_hour.sql"), definition).unwrap();
    let sql = "SELECT level, sum(messages) AS messages FROM by_hour GROUP BY level ORDER BY level";
    let live = place.query(sql);
    assert_eq!(live.len(), 6);
    // a view over that view
    let over = "-- description: Messages by hour\n-- group: hour\n\
                -- merge: SELECT hour, sum(messages) AS messages FROM partials GROUP BY hour\n\
                SELECT hour, CAST(sum(messages) AS BIGINT) AS messages FROM by_hour GROUP BY hour";
    std::fs::write(folder.join("a_total.sql"), over).unwrap();
    assert_eq!(place.number("SELECT sum(messages) FROM a_total"), 196);
    let said = lines(place.command("maintain").arg("--once").output().unwrap());
    assert!(said.iter().any(|line| line.starts_with("by_hour global: 1 new partitions")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("a_total global: 1 new partitions")), "{said:?}");
    assert_eq!(place.query(sql), live);
    assert_eq!(place.number("SELECT sum(messages) FROM a_total"), 196);

    // what can't be used is said where it is missed
    std::fs::write(folder.join("wrong.sql"), "-- description: nothing\nSELECT 1").unwrap();
    let output = place.try_query("SELECT * FROM wrong", &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        error.contains("views/wrong.sql is not usable: its header needs a line '-- group: …'"),
        "{error}"
    );
    // two files may say the same, but not define the same
    std::fs::write(folder.join("one.sql"), over).unwrap();
    std::fs::write(folder.join("other.sql"), over).unwrap();
    for view in ["one", "other"] {
        assert_eq!(place.number(&format!("SELECT sum(messages) FROM {view}")), 196);
    }
    for file in ["pair_a.sql", "pair_b.sql"] {
        std::fs::write(folder.join(file), format!("-- name: pair\n{over}")).unwrap();
    }
    assert_eq!(place.number("SELECT sum(messages) FROM pair"), 196);
    let output = place.try_query("SELECT * FROM pair_b", &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "views/pair_b.sql is not usable: it defines 'pair', as views/pair_a.sql does";
    assert!(error.contains(expected), "{error}");
    assert_eq!(place.query(sql), live);
}

#[test]
fn what_would_go_is_said_before_it_goes() {
    let place = lake_of(&["native-small"]);
    lines(place.command("maintain").arg("--once").output().unwrap());
    let flags = ["--keep-blocks", "0s", "--keep-view", "measures=0s", "--grace", "0s"];
    let would = lines(place.command("maintain").arg("--dry-run").args(flags).output().unwrap());
    assert_eq!(would.len(), 2, "{would:?}");
    assert!(would[0].starts_with("would go: 1 partitions of measures"), "{would:?}");
    assert!(would[1].starts_with("would go: ") && would[1].contains(" blocks ("), "{would:?}");
    assert!(place.number("SELECT count(*) FROM blocks") > 0);
    let said = lines(place.command("maintain").arg("--once").args(flags).output().unwrap());
    assert!(said.iter().any(|line| line.starts_with("gone: ") && line.contains(" blocks (")), "{said:?}");
    assert_eq!(place.number("SELECT count(*) FROM blocks"), 0);
    assert_eq!(place.number("SELECT count(*) FROM log_entries"), 196);
    assert_eq!(place.number("SELECT count(*) FROM measures"), 0);
    // a mistake in a flag is said in one line
    let wrong = place.command("maintain").args(["--once", "--keep-blocks", "soon"]).output().unwrap();
    assert!(!wrong.status.success());
}

#[test]
fn a_view_that_fails_costs_the_others_nothing() {
    let place = lake_of(&["native-small"]);
    let folder = place.directory.path().join("views");
    std::fs::create_dir(&folder).unwrap();
    let fails = "-- description: Divides by zero\n-- group: level\n-- merge: SELECT level, odd FROM partials\n\
                 SELECT level, 1 / (level - level) AS odd FROM log_entries";
    std::fs::write(folder.join("a_fails.sql"), fails).unwrap();
    let output = place.command("maintain").arg("--once").output().unwrap();
    let (said, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!output.status.success());
    assert!(error.contains("a_fails global could not be brought up to date"), "{error}");
    assert!(said.contains("log_entries global: 1 new partitions, 196 rows"), "{said}");
    assert!(said.contains("log_stats global: 1 new partitions"), "{said}");
    // and it can't reach the host's files
    let writes = "-- description: Writes a file\n-- group: level\n-- merge: SELECT level FROM partials\n\
                  COPY (SELECT level FROM log_entries) TO '/tmp/out.csv'";
    std::fs::write(folder.join("writes.sql"), writes).unwrap();
    // a mistake in it is said with its cause
    let misses = "-- description: Misses a column\n-- group: nothing\n-- merge: SELECT nothing FROM partials\n\
                  SELECT nothing FROM log_entries";
    std::fs::write(folder.join("misses.sql"), misses).unwrap();
    let listed = place.command("views").output().unwrap();
    let warning = String::from_utf8(listed.stderr).unwrap();
    assert!(warning.contains("views/misses.sql is not usable: the SQL of the view: "), "{warning}");
    assert!(warning.contains("No field named nothing"), "{warning}");
    assert!(warning.contains("views/writes.sql is not usable: expected one SQL query"), "{warning}");
    assert!(String::from_utf8(listed.stdout).unwrap().contains("a_fails"));
}

#[test]
fn a_server_that_is_killed_at_work_leaves_a_clean_lake() {
    let place = Place::new();
    let requests = recording(&testdata("recordings/native-old.jsonl.gz"));
    let mut expected = 0;
    for repetition in 0..3 {
        let server = place.serve(&[]);
        let fresh = crate::support::with_fresh_ids(&requests);
        assert!(replay(&server, &fresh).iter().all(|s| *s == 200));
        // some work by hand beside that of the server, and the end at some point of it
        let mut maintain =
            place.command("maintain").arg("--once").stdout(std::process::Stdio::null()).spawn().unwrap();
        let began = std::time::Instant::now();
        while began.elapsed().as_millis() < 40 * repetition {}
        maintain.kill().unwrap();
        maintain.wait().unwrap();
        server.kill();
        let rows = place.number("SELECT count(*) FROM log_entries");
        if expected == 0 {
            expected = rows;
        }
        assert_eq!(rows as u128, expected as u128 * (repetition + 1));
        assert_eq!(place.number("SELECT CAST(sum(count) AS BIGINT) FROM log_stats"), rows);
        let checked = lines(place.command("fsck").output().unwrap());
        assert_eq!(checked.last().unwrap(), "clean", "{checked:?}");
    }
}

#[test]
fn a_check_keeps_the_last_copy_of_rows_and_maintenance_waits_for_blocks_that_are_away() {
    let place = Place::new();
    let server = place.serve(&[]);
    replay(&server, &recording(&testdata("recordings/native-small.jsonl.gz")));
    server.stop();
    let rows = place.number("SELECT count(*) FROM log_entries");
    let root = place.directory.path();
    let (here, away) = (root.join("records"), root.join("away"));
    let run = |arguments: &[&str]| {
        let output = place.command(arguments[0]).args(&arguments[1..]).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    std::fs::rename(&here, &away).unwrap();
    let (is_done, said) = run(&["maintain", "--once"]);
    assert!(!is_done && said.contains("left for later"), "{said}");
    std::fs::rename(&away, &here).unwrap();
    assert!(run(&["maintain", "--once"]).0);
    assert_eq!(place.number("SELECT count(*) FROM log_entries"), rows);
    assert!(run(&["fsck"]).1.contains("clean"));
    std::fs::rename(&here, &away).unwrap();
    for arguments in [&["fsck", "--repair"][..], &["fsck", "--repair", "--sample", "5"]] {
        let (is_clean, said) = run(arguments);
        assert!(!is_clean && said.contains("it is missing"), "{said}");
        assert_eq!(place.number("SELECT count(*) FROM log_entries"), rows);
    }
    std::fs::rename(&away, &here).unwrap();
    let (is_clean, said) = run(&["fsck"]);
    assert!(is_clean, "{said}");
}
