//! Code that the benchmarks share.

use crate::support::{Request, recording, testdata};
use belvedere::core::Lake;
use belvedere_model::wire::BlockRequest;
use belvedere_model::{BlockRecord, ProcessInfo, StreamInfo};
use bytes::Bytes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub fn find(name: &str, fallback: &str) -> PathBuf {
    let named = std::env::var("BELVEDERE_RECORDINGS").map(|d| Path::new(&d).join(format!("{name}.jsonl.gz")));
    match named {
        Ok(path) if path.exists() => path,
        _ => {
            println!("({name} is not there: {fallback} is used instead, which is too small for figures)");
            testdata(&format!("recordings/{fallback}.jsonl.gz"))
        }
    }
}

/// The quickest of several runs.
pub fn best(mut run: impl FnMut()) -> Duration {
    (0..7)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .min()
        .unwrap()
}

/// Blocks of a recording with all that is needed to decode them.
pub fn blocks(path: &Path) -> Vec<(BlockRecord, Bytes)> {
    let requests = recording(path);
    let mut processes = HashMap::new();
    let mut streams = HashMap::new();
    for request in &requests {
        if request.is("insert_process") {
            let process = ProcessInfo::decode(&request.body).unwrap();
            processes.insert(process.process_id, Arc::new(process));
        } else if request.is("insert_stream") {
            let stream = StreamInfo::decode(&request.body).unwrap();
            streams.insert(stream.stream_id, Arc::new(stream));
        }
    }
    let blocks = requests.into_iter().filter(|r| r.is("insert_block"));
    blocks
        .map(|request| {
            let block = BlockRequest::decode(request.body.into()).unwrap();
            let payload = block.payload();
            let record = BlockRecord {
                seq: 0,
                stream: Arc::clone(&streams[&block.info.stream_id]),
                process: Arc::clone(&processes[&block.info.process_id]),
                info: block.info,
                object_key: String::new(),
                payload_offset: 0,
            };
            (record, payload)
        })
        .collect()
}

/// User and system time that a process took so far.
pub fn cpu_of(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Puts the requests of a recording into a lake, without a server.
pub async fn feed(lake: &Lake, requests: &[Request]) {
    let connection = lake.connection();
    for request in requests {
        if request.is("insert_process") {
            connection.insert_process(ProcessInfo::decode(&request.body).unwrap()).await.unwrap();
        } else if request.is("insert_stream") {
            connection.insert_stream(StreamInfo::decode(&request.body).unwrap()).await.unwrap();
        } else {
            connection
                .insert_block(BlockRequest::decode(request.body.clone().into()).unwrap())
                .await
                .unwrap();
        }
    }
}
