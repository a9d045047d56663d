//! What was acknowledged is there: after `kill -9`, after a power cut, however often and in whatever order it
//! was sent.

use crate::support::{Place, Request, Server, main_id, recording, replay, testdata, with_fresh_ids};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use uuid::Uuid;

fn small() -> Vec<Request> {
    recording(&testdata("recordings/native-small.jsonl.gz"))
}

fn block_ids(place: &Place) -> BTreeSet<Uuid> {
    let rows = place.query("SELECT block_id FROM blocks");
    let ids: BTreeSet<Uuid> =
        rows.iter().map(|row| row["block_id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids.len(), rows.len(), "a block is there twice");
    ids
}

fn blocks_of(requests: &[Request]) -> BTreeSet<Uuid> {
    requests.iter().filter(|r| r.is("insert_block")).filter_map(main_id).collect()
}

#[test]
fn every_acknowledged_block_survives_kill_9_under_load() {
    let place = Place::new();
    let recorded = small();
    for round in 0..3 {
        let server = place.serve(&[]);
        let acknowledged = Mutex::new(BTreeSet::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // the server dies under this thread: then it is done
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        let mut connection = server.connect();
                        loop {
                            for request in with_fresh_ids(&recorded) {
                                assert_eq!(connection.post(&request.path, &request.body).0, 200);
                                if request.is("insert_block") {
                                    acknowledged.lock().unwrap().extend(main_id(&request));
                                }
                            }
                        }
                    }));
                });
            }
            // killed as soon as there is something to lose
            while acknowledged.lock().unwrap().len() < 40 * (round + 1) {
                std::thread::yield_now();
            }
            crate::support::kill_by_address(&server);
        });
        let acknowledged = acknowledged.into_inner().unwrap();
        server.kill();
        let found = block_ids(&place);
        let missing: Vec<_> = acknowledged.difference(&found).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?}");
    }
    let server = place.serve(&[]);
    assert!(place.number("SELECT count(*) FROM log_entries") > 0);
    assert_eq!(place.query("SELECT * FROM block_faults()"), Vec::<serde_json::Value>::new());
    server.stop();
}

#[test]
fn a_power_cut_that_takes_the_catalogue_back_in_time_loses_nothing() {
    let place = Place::new();
    let directory = place.directory.path();
    let (first, second) = (with_fresh_ids(&small()), with_fresh_ids(&small()));
    let server = place.serve(&[]);
    replay(&server, &first);
    server.stop();

    let server = place.serve(&[]);
    let saved = catalog_files(directory);
    replay(&server, &second);
    let rows = place.number("SELECT count(*) FROM log_entries");
    server.kill();
    // what was not synced is gone, and the tail of the records is torn
    for (name, _) in catalog_files(directory) {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    for (name, bytes) in &saved {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
    let newest = record_files(directory).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes.extend([17, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&newest, bytes).unwrap();

    let mut expected = blocks_of(&first);
    expected.extend(blocks_of(&second));
    assert_eq!(block_ids(&place), expected);
    assert_eq!(place.number("SELECT count(*) FROM log_entries"), rows);

    // and even a catalog that is lost as a whole is made again from the records
    for (name, _) in catalog_files(directory) {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    place.serve(&[]).stop();
    assert_eq!(block_ids(&place), expected);
    assert_eq!(place.number("SELECT count(*) FROM log_entries"), rows);
}

fn catalog_files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("catalog.sqlite") {
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
    files
}

fn record_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for day in std::fs::read_dir(directory.join("records")).unwrap() {
        for file in std::fs::read_dir(day.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files.sort_by_key(|f| std::fs::metadata(f).unwrap().modified().unwrap());
    files
}

#[test]
fn sending_everything_again_and_at_once_changes_nothing_on_every_backend() {
    for (backend, place) in Place::all() {
        let server = place.serve(&[]);
        let requests = small();
        replay(&server, &requests);
        let rows = "SELECT count(*) FROM log_entries";
        let (before, rows_before) = (block_ids(&place), place.number(rows));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    assert!(replay(&server, &requests).iter().all(|s| *s == 200));
                });
            }
        });
        assert_eq!(block_ids(&place), before, "{backend}");
        assert_eq!(place.number(rows), rows_before, "{backend}");
        assert_eq!(place.number("SELECT count(*) FROM processes"), 1, "{backend}");
        assert_eq!(place.number("SELECT count(*) FROM streams"), 9, "{backend}");
    }
}

#[test]
fn requests_in_reverse_order_give_the_same_rows() {
    let (forward, backward) = (Place::new(), Place::new());
    let requests = small();
    let server = forward.serve(&[]);
    replay(&server, &requests);
    let other = backward.serve(&[]);
    let (mut reversed, mut last) = (requests.clone(), Vec::new());
    reversed.reverse();
    for request in reversed {
        last = replay(&other, std::slice::from_ref(&request));
        if request.is("insert_block") {
            assert_eq!(backward.number("SELECT count(*) FROM blocks"), 0, "its stream is not there yet");
        }
    }
    assert_eq!(last, [200]);
    let sql = "SELECT time, level, target, msg, properties FROM log_entries ORDER BY time, msg";
    assert_eq!(forward.query(sql), backward.query(sql));
}

#[test]
fn a_query_beside_a_running_server_sees_each_block_as_soon_as_it_is_acknowledged() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut acknowledged = 0;
    let mut connection = server.connect();
    for request in small() {
        assert_eq!(connection.post(&request.path, &request.body).0, 200);
        if request.is("insert_block") {
            acknowledged += 1;
            if acknowledged % 6 == 0 {
                assert_eq!(place.number("SELECT count(*) FROM blocks"), acknowledged);
            }
        }
    }
}

#[test]
fn a_server_that_is_asked_to_stop_answers_what_is_under_way() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = with_fresh_ids(&small());
    replay(&server, &requests);
    let began = std::time::Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(block_ids(&place), blocks_of(&requests));
}

/// The keys of the record objects of a place in S3, sorted.
fn record_objects(place: &Place) -> Option<(String, Vec<String>)> {
    let endpoint = place.environment.iter().find(|(key, _)| key == "AWS_ENDPOINT")?.1.clone();
    let address = endpoint.trim_start_matches("http://").to_owned();
    let objects = place.flags.iter().find_map(|flag| flag.strip_prefix("s3://belvedere/"))?;
    let path = format!("/belvedere?list-type=2&prefix={objects}/records/");
    let (status, list) = Server::connect_to(&address).get(&path);
    assert_eq!(status, 200, "{list}");
    let keys = list.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
    Some((address, keys.map(str::to_owned).collect()))
}

#[test]
fn a_lost_catalog_is_made_again_on_every_backend() {
    for (backend, mut place) in Place::all() {
        let server = place.serve(&["--roles", "ingest"]);
        assert!(replay(&server, &small()).iter().all(|status| *status == 200));
        server.stop();
        assert!(place.command("maintain").arg("--once").output().unwrap().status.success());
        let tables = ["processes", "streams", "log_entries", "measures", "log_stats"];
        let count =
            |place: &Place| tables.map(|table| place.number(&format!("SELECT count(*) FROM {table}")));
        let (before, blocks) = (count(&place), block_ids(&place).len());
        // partitions outlive the blocks of an object that is gone
        let objects = record_objects(&place);
        if let Some((address, keys)) = &objects {
            for key in keys.iter().take(keys.len() / 2) {
                // the test server only wants to see that somebody signs
                let signed = [("authorization", "AWS test:test")];
                let path = format!("/belvedere/{key}");
                let (status, told) = Server::connect_to(address).send("DELETE", &path, &signed, b"");
                assert_eq!(status, 204, "{told}");
            }
        }
        for (file, _) in catalog_files(place.directory.path()) {
            std::fs::remove_file(place.directory.path().join(file)).unwrap();
        }
        if let Some(flag) = place.flags.iter_mut().find(|flag| flag.starts_with("postgres://")) {
            *flag = belvedere_testkit::postgres_database().unwrap();
        }
        place.serve(&["--roles", "ingest"]).stop();
        assert_eq!(count(&place), before, "{backend}");
        let left = block_ids(&place).len();
        assert!(
            if objects.is_some() { left < blocks } else { left == blocks },
            "{backend}: {left} of {blocks}"
        );
        let fsck = place.command("fsck").output().unwrap();
        assert!(fsck.status.success(), "{backend}: {}", String::from_utf8_lossy(&fsck.stdout));
    }
}
