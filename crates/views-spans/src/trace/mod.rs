//! A process as a Perfetto trace: threads, asynchronous work, network traffic, logs as instants, measures as counters.
//!
//! Rows are read as a stream, in the order of time, and written as they come: memory depends on how many spans are open
//! at once and on nothing else. Other crates' views are reached by SQL, and left out where they are not linked in.
//! Spans are cut to the range that is asked for, so that a minute of a day-long process is a minute of trace.

mod lanes;
mod proto;
mod rows;
mod writer;

use crate::thread_decoder::label;
use belvedere_core::Error;
use belvedere_core::datafusion::execution::SendableRecordBatchStream;
use belvedere_core::datafusion::prelude::SessionContext;
use belvedere_core::query::{QueryContext, QueryError};
use belvedere_model::jsonb::Jsonb;
use belvedere_model::time::TimeRange;
use belvedere_model::{ProcessInfo, StreamInfo};
use foldhash::{HashMap, HashSet};
use futures::TryStreamExt;
use lanes::Lanes;
use proto::{CounterDescriptor, ProcessDescriptor, ThreadDescriptor, TrackDescriptor};
use rows::Row;
pub(crate) use rows::{PreOrder, columns};
use tokio::sync::mpsc::Sender;
use twox_hash::XxHash64;
use uuid::Uuid;
use writer::{Label, TraceWriter, note};

/// Counters whose values are told apart by their properties: the rest share one for each name.
const MOST_COUNTERS: usize = 10_000;
/// Bytes that are handed on at once.
const CHUNK: usize = 64 << 10;
/// Characters of a log message that are shown.
const LONGEST_MESSAGE: usize = 1000;

/// What a trace is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Spans of threads.
    pub threads: bool,
    /// Asynchronous spans.
    pub tasks: bool,
    /// Network spans, if there is a view set `net_spans`.
    pub net: bool,
    /// Log messages as instants, if there is a view set `log_entries`.
    pub logs: bool,
    /// Measures as counters, if there is a view set `measures`.
    pub measures: bool,
}

impl Parts {
    /// Everything.
    pub const ALL: Self = Self { threads: true, tasks: true, net: true, logs: true, measures: true };
    /// Nothing.
    pub const NONE: Self = Self { threads: false, tasks: false, net: false, logs: false, measures: false };
}

/// What a trace shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceSummary {
    /// Spans of all kinds.
    pub spans: u64,
    /// Log messages.
    pub instants: u64,
    /// Values of counters.
    pub values: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Whoever takes the bytes has gone.
struct Gone;

struct Export<'a> {
    context: &'a QueryContext,
    session: SessionContext,
    process: &'a ProcessInfo,
    process_track: u64,
    writer: TraceWriter,
    out: &'a Sender<Vec<u8>>,
    summary: TraceSummary,
    thread_ids: HashSet<i32>,
}

/// A number as an id of a process or thread in a trace, which has 31 bits for it and takes 0 for none.
fn positive(id: u64) -> i32 {
    ((id & 0x7fff_ffff) as i32).max(1)
}

/// Writes the trace of a process, within the context's time range, to `out`, piece by piece. Ends early if nobody takes
/// the pieces any more. The pieces one behind the other are a file for <https://ui.perfetto.dev>.
pub async fn write_trace(
    context: &QueryContext,
    process_id: Uuid,
    parts: Parts,
    out: &Sender<Vec<u8>>,
) -> Result<TraceSummary, Error> {
    let process = context.connection().catalog().process(process_id).await?;
    let Some(process) = process else {
        let mistake = QueryError::Sql(format!(
            "there is no process {process_id} in this lake: SELECT process_id, exe FROM processes lists all"
        ));
        return Err(mistake.into());
    };
    let mut export = Export {
        context,
        session: context.session()?,
        process: &process,
        process_track: XxHash64::oneshot(0, process_id.to_string().as_bytes()),
        writer: TraceWriter::default(),
        out,
        summary: TraceSummary::default(),
        thread_ids: HashSet::default(),
    };
    match export.run(parts).await? {
        Ok(()) | Err(Gone) => Ok(export.summary),
    }
}

/// Hands on a result of ours, or ends with a receiver that has gone.
macro_rules! alive {
    ($outcome:expr) => {
        match $outcome? {
            Ok(value) => value,
            Err(Gone) => return Ok(Err(Gone)),
        }
    };
}

type Outcome = Result<Result<(), Gone>, Error>;

impl Export<'_> {
    async fn run(&mut self, parts: Parts) -> Outcome {
        let (pid, exe) = (positive(self.process_track), self.process.exe.clone());
        self.writer.track(TrackDescriptor {
            uuid: self.process_track,
            process: Some(ProcessDescriptor { pid, process_name: exe }),
            ..TrackDescriptor::default()
        });
        let streams = self.context.connection().catalog().streams_of(self.process.process_id).await?;
        let of_tag = |tag: &str| -> Vec<&StreamInfo> {
            streams.iter().filter(|s| s.tags.iter().any(|t| t == tag)).collect()
        };
        if parts.threads {
            // all tracks first: a viewer shows them in this order
            for stream in of_tag("cpu") {
                self.thread_track(stream, pid);
            }
            for stream in of_tag("cpu") {
                alive!(self.threads(stream).await);
            }
        }
        if parts.tasks && !of_tag("cpu").is_empty() {
            alive!(self.tasks().await);
        }
        if parts.net && self.has("net_spans") && !of_tag("net").is_empty() {
            for (i, stream) in of_tag("net").into_iter().enumerate() {
                alive!(self.net(stream, i).await);
            }
        }
        if parts.logs && self.has("log_entries") && !of_tag("log").is_empty() {
            alive!(self.logs().await);
        }
        if parts.measures && self.has("measures") && !of_tag("metrics").is_empty() {
            alive!(self.measures().await);
        }
        self.flush(0).await
    }

    fn has(&self, view_set: &str) -> bool {
        self.context.factory().get_view_sets().contains_key(view_set)
    }

    /// Hands on what is written, from `least` bytes on.
    async fn flush(&mut self, least: usize) -> Outcome {
        if self.writer.len() > least {
            let bytes = self.writer.take();
            self.summary.bytes += bytes.len() as u64;
            if self.out.send(bytes).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }

    async fn rows(&self, session: &SessionContext, sql: &str) -> Result<SendableRecordBatchStream, Error> {
        let frame = session.sql(sql).await.map_err(|e| Error::from(e).during(format!("planning {sql}")))?;
        Ok(frame.execute_stream().await?)
    }

    /// A span as far as it is in the range.
    fn cut(&self, begin: i64, end: i64) -> (i64, i64) {
        let TimeRange { begin: from, end: to } = self.context.range();
        let begin = from.map_or(begin, |from| begin.max(from));
        let end = to.map_or(end, |to| end.min(to));
        (begin, end.max(begin))
    }

    fn thread_track(&mut self, stream: &StreamInfo, pid: i32) {
        let id = stream.properties.iter().find(|(key, _)| key == "thread-id");
        let id =
            id.and_then(|(_, id)| id.parse::<u64>().ok().or_else(|| Some(id.parse::<i64>().ok()? as u64)));
        // ids of 64 bits are addresses on some systems; their lower bits tell most threads apart, and all are told apart here
        let mut tid = positive(id.unwrap_or_else(|| track_of(stream)));
        while !self.thread_ids.insert(tid) {
            tid = if tid == i32::MAX { 1 } else { tid + 1 };
        }
        self.writer.track(TrackDescriptor {
            uuid: track_of(stream),
            parent_uuid: Some(self.process_track),
            thread: Some(ThreadDescriptor { pid, tid, thread_name: label(stream) }),
            ..TrackDescriptor::default()
        });
    }

    async fn threads(&mut self, stream: &StreamInfo) -> Outcome {
        let sql = format!(
            "SELECT id, \"begin\", \"end\", CAST(depth AS BIGINT) AS depth, name, target, filename, line \
             FROM view_instance('thread_spans', '{}') ORDER BY \"begin\"",
            stream.stream_id
        );
        let track = track_of(stream);
        let rows = self.rows(&self.session, &sql).await?;
        self.nested(rows, track, |_| Vec::new()).await
    }

    /// Spans that nest, on one track. Rows come in the order of their begin.
    async fn nested(
        &mut self,
        mut rows: SendableRecordBatchStream,
        track: u64,
        notes: impl Fn(&Row<'_>) -> Vec<proto::DebugAnnotation>,
    ) -> Outcome {
        // of what is open: how deep it is and when it ends
        let mut open: Vec<(i64, i64)> = Vec::new();
        let mut order = PreOrder::default();
        loop {
            let batch = rows.try_next().await?;
            let is_last = batch.is_none();
            if let Some(batch) = order.add(batch)? {
                for row in columns(&batch)?.rows() {
                    let (begin, end) = self.cut(row.begin, row.end);
                    while let Some((_, ended)) = open.pop_if(|(depth, _)| *depth >= row.depth) {
                        self.writer.end(track, ended);
                    }
                    // what ends before what is part of it did would close the wrong slice
                    let end = open.last().map_or(end, |(_, outer)| end.min(*outer));
                    let begin = begin.min(end);
                    self.writer.begin(track, begin, row.label(), notes(&row));
                    open.push((row.depth, end));
                    self.summary.spans += 1;
                    if self.writer.len() > CHUNK {
                        alive!(self.flush(CHUNK).await);
                    }
                }
            }
            if is_last {
                break;
            }
        }
        while let Some((_, ended)) = open.pop() {
            self.writer.end(track, ended);
        }
        self.flush(CHUNK).await
    }

    /// Asynchronous spans, on as many tracks as it takes for them to nest.
    async fn tasks(&mut self) -> Outcome {
        let TimeRange { begin, end } = self.context.range();
        let bound = |op: &str, column: &str, time: Option<i64>| match time {
            Some(time) => format!(" AND CAST({column} AS BIGINT) {op} {time}"),
            None => String::new(),
        };
        let events = format!("view_instance('async_events', '{}')", self.process.process_id);
        let sql = format!(
            "SELECT b.span_id AS id, b.parent_span_id AS parent, b.time AS \"begin\", e.time AS \"end\", \
             CAST(b.depth AS BIGINT) AS depth, b.name, b.target, b.filename, b.line \
             FROM (SELECT *, row_number() OVER (PARTITION BY span_id ORDER BY time) AS turn FROM {events} \
             WHERE event_type = 'begin') b \
             JOIN (SELECT span_id, time, row_number() OVER (PARTITION BY span_id ORDER BY time) AS turn FROM {events} \
             WHERE event_type = 'end') e ON b.span_id = e.span_id AND b.turn = e.turn \
             WHERE b.time <= e.time{}{} ORDER BY b.time, b.span_id",
            bound("<=", "b.time", end),
            bound(">=", "e.time", begin),
        );
        // of a span that crosses the range, one event or both are outside of it
        let session = self.context.with_range(TimeRange::ALL).session()?;
        let mut rows = self.rows(&session, &sql).await?;
        let process = self.process_track;
        let track = |lane: usize| XxHash64::oneshot(process.wrapping_add(lane as u64), b"async_track");
        let (mut lanes, mut known) = (Lanes::default(), 0);
        while let Some(batch) = rows.try_next().await? {
            for row in columns(&batch)?.rows() {
                let (begin, end) = self.cut(row.begin, row.end);
                let placed = lanes.place(row.id, row.parent, begin, end);
                if placed.lane >= known {
                    let name = match placed.lane {
                        0 => "Async Operations".to_owned(),
                        lane => format!("Async Operations {}", lane + 1),
                    };
                    self.writer.track(TrackDescriptor {
                        uuid: track(placed.lane),
                        name: Some(name),
                        parent_uuid: Some(process),
                        ..TrackDescriptor::default()
                    });
                    known = placed.lane + 1;
                }
                placed.ended.iter().for_each(|end| self.writer.end(track(placed.lane), *end));
                let notes = vec![note("span_id", row.id), note("parent_span_id", row.parent)];
                self.writer.begin(track(placed.lane), begin, row.label(), notes);
                self.summary.spans += 1;
                if self.writer.len() > CHUNK {
                    alive!(self.flush(CHUNK).await);
                }
            }
        }
        for (lane, end) in lanes.rest() {
            self.writer.end(track(lane), end);
        }
        self.flush(CHUNK).await
    }

    async fn net(&mut self, stream: &StreamInfo, number: usize) -> Outcome {
        let sql = format!(
            "SELECT span_id AS id, begin_time AS \"begin\", end_time AS \"end\", CAST(depth AS BIGINT) AS depth, \
             name, kind AS target, bit_size FROM view_instance('net_spans', '{}') \
             WHERE stream_id = '{}' ORDER BY begin_time",
            self.process.process_id, stream.stream_id
        );
        let name = match number {
            0 => "Network".to_owned(),
            number => format!("Network {}", number + 1),
        };
        let track = self.named_track(&name);
        let rows = self.rows(&self.session, &sql).await?;
        self.nested(rows, track, |row| row.bits.map(|bits| note("bit_size", bits)).into_iter().collect())
            .await
    }

    async fn logs(&mut self) -> Outcome {
        let sql = format!(
            "SELECT time AS \"begin\", time AS \"end\", CAST(level AS BIGINT) AS depth, arrow_cast(msg, 'Utf8') AS name, target \
             FROM view_instance('log_entries', '{}') ORDER BY time",
            self.process.process_id
        );
        let track = self.named_track("Log");
        let mut rows = self.rows(&self.session, &sql).await?;
        while let Some(batch) = rows.try_next().await? {
            for row in columns(&batch)?.rows() {
                let mut shown = row.label();
                if let Some((cut, _)) = shown.name.char_indices().nth(LONGEST_MESSAGE) {
                    shown.name = &shown.name[..cut];
                }
                self.writer.instant(track, row.begin, shown, vec![note("level", row.depth)]);
                self.summary.instants += 1;
                if self.writer.len() > CHUNK {
                    alive!(self.flush(CHUNK).await);
                }
            }
        }
        self.flush(CHUNK).await
    }

    async fn measures(&mut self) -> Outcome {
        let sql = format!(
            "SELECT time AS \"begin\", time AS \"end\", name, unit AS target, value, properties \
             FROM view_instance('measures', '{}') ORDER BY time",
            self.process.process_id
        );
        let (mut tracks, mut key): (HashMap<Vec<u8>, u64>, Vec<u8>) = Default::default();
        let mut rows = self.rows(&self.session, &sql).await?;
        while let Some(batch) = rows.try_next().await? {
            for row in columns(&batch)?.rows() {
                let Label { name, category: unit, .. } = row.label();
                // values of one metric with other properties are those of another thing
                let properties = if tracks.len() < MOST_COUNTERS { row.properties() } else { &[] };
                key.clear();
                for part in [name.as_bytes(), unit.as_bytes(), properties] {
                    key.extend_from_slice(part);
                    key.push(0x1f);
                }
                let track = match tracks.get(&key) {
                    Some(track) => *track,
                    None => {
                        let track = self.counter_track(&counter_name(name, properties), unit, &key);
                        tracks.insert(key.clone(), track);
                        track
                    }
                };
                self.writer.value(track, row.begin, row.value);
                self.summary.values += 1;
                if self.writer.len() > CHUNK {
                    alive!(self.flush(CHUNK).await);
                }
            }
        }
        self.flush(CHUNK).await
    }

    /// Announces a track of the process.
    fn named_track(&mut self, name: &str) -> u64 {
        self.own_track(name, None, format!("track\u{1f}{name}\u{1f}").as_bytes())
    }

    /// Announces a counter of the process; `key` tells it from all others.
    fn counter_track(&mut self, name: &str, unit: &str, key: &[u8]) -> u64 {
        self.own_track(name, Some(unit), &[b"counter\x1f", key].concat())
    }

    fn own_track(&mut self, name: &str, unit: Option<&str>, key: &[u8]) -> u64 {
        let uuid = XxHash64::oneshot(self.process_track, key);
        self.writer.track(TrackDescriptor {
            uuid,
            name: Some(name.to_owned()),
            parent_uuid: Some(self.process_track),
            counter: unit.map(|unit| CounterDescriptor { unit_name: unit.to_owned() }),
            ..TrackDescriptor::default()
        });
        uuid
    }
}

/// Name of the counter of a metric's values that have these properties: `memory {pool=texture}`. What describes the metric
/// itself (`otel.…`) is not shown.
fn counter_name(name: &str, properties: &[u8]) -> String {
    let Some(properties) = Jsonb::new(properties) else { return name.to_owned() };
    let mut names = properties.names().unwrap_or_default();
    names.retain(|name| !name.starts_with("otel."));
    names.sort_unstable();
    let shown: Vec<String> = names
        .into_iter()
        .map(|name| format!("{name}={}", properties.member(name).unwrap_or_default()))
        .collect();
    if shown.is_empty() { name.to_owned() } else { format!("{name} {{{}}}", shown.join(", ")) }
}

fn track_of(stream: &StreamInfo) -> u64 {
    XxHash64::oneshot(0, stream.stream_id.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::counter_name;
    use belvedere_model::jsonb::Jsonb;

    #[test]
    fn counters_are_called_by_their_metric_and_properties() {
        let of =
            |pairs: &[(&str, &str)]| counter_name("pool_bytes", &Jsonb::encode_texts(pairs.iter().copied()));
        assert_eq!(of(&[]), "pool_bytes");
        assert_eq!(of(&[("otel.metric.kind", "gauge")]), "pool_bytes");
        assert_eq!(of(&[("pool", "mesh"), ("level", "2")]), "pool_bytes {level=2, pool=mesh}");
        assert_eq!(counter_name("pool_bytes", b""), "pool_bytes");
    }
}
