//! Where the time went: a flame graph of the spans of threads, and of those of OpenTelemetry.
//!
//! Memory depends on how many ways there are through the code, not on how many spans. The width of the whole is the sum
//! of the durations of the threads themselves, the time in no span included.

use crate::trace::{PreOrder, columns};
use belvedere_core::Error;
use belvedere_core::arrow::array::{Array, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::{DataType, Int64Type};
use belvedere_core::arrow::error::ArrowError;
use belvedere_model::time::TimeRange;
use foldhash::HashMap;
use futures::{Stream, TryStreamExt};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use uuid::Uuid;

/// Ways through the code that are told apart, and how deep; what goes on from there counts for the last one that is.
const MOST: usize = 1 << 18;
const DEEPEST: usize = 500;
/// Spans of one trace that are looked at together.
const MOST_OF_TRACE: usize = 1 << 18;
/// Characters of a name.
const LONGEST: usize = 200;

/// A span of a trace.
#[derive(Debug)]
struct TraceSpan {
    id: Vec<u8>,
    parent: Vec<u8>,
    name: Box<str>,
    duration: i64,
}

/// The spans of the trace that is being read.
#[derive(Debug, Default)]
struct Trace {
    id: Vec<u8>,
    spans: Vec<TraceSpan>,
}

/// The columns of a batch of spans of OpenTelemetry.
struct TraceSpans {
    trace_ids: BinaryArray,
    ids: BinaryArray,
    parents: BinaryArray,
    begins: Int64Array,
    ends: Int64Array,
    names: StringArray,
}

impl TraceSpans {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str, to: &DataType| match batch.column_by_name(name) {
            Some(column) => cast(column, to),
            None => Err(ArrowError::SchemaError(format!("there is no column {name}"))),
        };
        let bytes =
            |name: &str| Ok::<_, ArrowError>(column(name, &DataType::Binary)?.as_binary::<i32>().clone());
        let numbers = |name: &str| {
            Ok::<_, ArrowError>(column(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        Ok(Self {
            trace_ids: bytes("trace_id")?,
            ids: bytes("span_id")?,
            parents: bytes("parent_span_id")?,
            begins: numbers("begin")?,
            ends: numbers("end")?,
            names: column("name", &DataType::Utf8)?.as_string::<i32>().clone(),
        })
    }
}

/// A span as far as it is in the range.
fn cut(range: TimeRange, begin: i64, end: i64) -> (i64, i64) {
    let begin = range.begin.map_or(begin, |from| begin.max(from));
    let end = range.end.map_or(end, |to| end.min(to));
    (begin, end.max(begin))
}

/// How often and how long each way through the code was gone.
#[derive(Debug, Default)]
pub struct FlameGraph {
    nodes: Vec<Node>,
    children: HashMap<(Option<u32>, Arc<str>), u32>,
    /// Nanoseconds of the outermost spans.
    total: i64,
    spans: u64,
}

#[derive(Debug)]
struct Node {
    name: Arc<str>,
    parent: Option<u32>,
    depth: usize,
    /// Spans.
    calls: u64,
    /// Nanoseconds, those of its parts included.
    total: i64,
    /// Nanoseconds of its parts.
    parts: i64,
}

/// A way through the code, as a table shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) name: &'a str,
    /// The number, from 0 on, of the way that this one goes on from: a lower one than its own.
    pub(crate) parent: Option<u32>,
    pub(crate) depth: usize,
    pub(crate) calls: u64,
    /// Nanoseconds.
    pub(crate) total: i64,
    /// Those in none that goes on from it.
    pub(crate) own: i64,
}

impl FlameGraph {
    /// Nanoseconds of the outermost spans.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// Spans that were counted.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// The SQL of a thread's spans, for [`FlameGraph::add_thread`].
    pub fn thread_sql(stream_id: Uuid) -> String {
        format!(
            "SELECT id, \"begin\", \"end\", CAST(depth AS BIGINT) AS depth, name \
             FROM view_instance('thread_spans', '{stream_id}') ORDER BY \"begin\""
        )
    }

    /// Adds the spans of a thread, within a range of time. They come in the order of their begin.
    pub async fn add_thread<E: From<Error>>(
        &mut self,
        range: TimeRange,
        mut rows: impl Stream<Item = Result<RecordBatch, E>> + Unpin,
    ) -> Result<(), E> {
        let mut order = PreOrder::default();
        // of what is open: how deep it is, when it ends, and its node
        let mut open: Vec<(i64, i64, Option<u32>)> = Vec::new();
        loop {
            let batch = rows.try_next().await?;
            let is_last = batch.is_none();
            if let Some(batch) = order.add(batch).map_err(Error::from)? {
                for row in columns(&batch).map_err(Error::from)?.rows() {
                    while open.pop_if(|(depth, _, _)| *depth >= row.depth).is_some() {}
                    let (begin, end) = cut(range, row.begin, row.end);
                    // no part goes on longer than the whole
                    let end = open.last().map_or(end, |(_, outer, _)| end.min(*outer)).max(begin);
                    let parent = open.last().map(|(_, _, node)| *node);
                    let node = self.count(parent, row.name(), end - begin);
                    open.push((row.depth, end, node));
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The SQL of a process's spans of OpenTelemetry, for [`FlameGraph::add_traces`].
    pub fn traces_sql(process_id: Uuid) -> String {
        format!(
            "SELECT trace_id, span_id, parent_span_id, CAST(start_time AS BIGINT) AS \"begin\", \
             CAST(end_time AS BIGINT) AS \"end\", name \
             FROM view_instance('otel_spans', '{process_id}') ORDER BY trace_id, start_time"
        )
    }

    /// Adds spans of OpenTelemetry, within a range of time. Those of a trace come one behind the other. A span whose parent
    /// is not among them is an outermost one: its parent is of another process.
    pub async fn add_traces<E: From<Error>>(
        &mut self,
        range: TimeRange,
        mut rows: impl Stream<Item = Result<RecordBatch, E>> + Unpin,
    ) -> Result<(), E> {
        let mut trace = Trace::default();
        while let Some(batch) = rows.try_next().await? {
            let spans = TraceSpans::new(&batch).map_err(Error::from)?;
            for row in 0..batch.num_rows() {
                if trace.id != spans.trace_ids.value(row) || trace.spans.len() >= MOST_OF_TRACE {
                    self.count_trace(&mut trace);
                    trace.id = spans.trace_ids.value(row).to_owned();
                }
                let (begin, end) = cut(range, spans.begins.value(row), spans.ends.value(row));
                trace.spans.push(TraceSpan {
                    id: spans.ids.value(row).to_owned(),
                    parent: spans.parents.value(row).to_owned(),
                    name: if spans.names.is_valid(row) { spans.names.value(row) } else { "" }.into(),
                    duration: end.saturating_sub(begin),
                });
            }
        }
        self.count_trace(&mut trace);
        Ok(())
    }

    /// Counts the spans of one trace, parents before their parts.
    fn count_trace(&mut self, trace: &mut Trace) {
        let spans = std::mem::take(&mut trace.spans);
        let by_id: HashMap<&[u8], usize> =
            spans.iter().enumerate().map(|(i, span)| (span.id.as_slice(), i)).collect();
        let parent_of = |i: usize| by_id.get(spans[i].parent.as_slice()).copied().filter(|p| *p != i);
        // of those that are counted: their nodes
        let mut nodes: Vec<Option<Option<u32>>> = vec![None; spans.len()];
        for first in 0..spans.len() {
            let mut path = vec![first];
            // a sender can make circles, and what is deeper than is told apart is not followed
            while let Some(parent) = path.last().and_then(|i| parent_of(*i)) {
                if nodes[parent].is_some() || path.len() > DEEPEST || path.contains(&parent) {
                    break;
                }
                path.push(parent);
            }
            for i in path.into_iter().rev().filter(|i| nodes[*i].is_none()).collect::<Vec<_>>() {
                let parent = parent_of(i).and_then(|parent| nodes[parent]);
                nodes[i] = Some(self.count(parent, &spans[i].name, spans[i].duration));
            }
        }
    }

    /// Counts a span; `parent` is `None` for an outermost one, and its node is `None` if it is not told apart.
    fn count(&mut self, parent: Option<Option<u32>>, name: &str, duration: i64) -> Option<u32> {
        self.spans += 1;
        if parent.is_none() {
            self.total += duration;
        }
        let parent = match parent {
            Some(None) => return None,
            Some(Some(node)) => Some(node),
            None => None,
        };
        let depth = parent.map_or(0, |parent| self.nodes[parent as usize].depth + 1);
        let key: (_, Arc<str>) = (parent, clean(name).into());
        let node = match self.children.get(&key) {
            Some(node) => *node,
            None if self.nodes.len() >= MOST || depth >= DEEPEST => return None,
            None => {
                let node = self.nodes.len() as u32;
                self.nodes.push(Node { name: key.1.clone(), parent, depth, calls: 0, total: 0, parts: 0 });
                self.children.insert(key, node);
                node
            }
        };
        self.nodes[node as usize].calls += 1;
        self.nodes[node as usize].total += duration;
        if let Some(parent) = parent {
            self.nodes[parent as usize].parts += duration;
        }
        Some(node)
    }

    /// The ways through the code, by their numbers: each behind the one that it goes on from.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way<'_>> {
        self.nodes.iter().map(|node| Way {
            name: &node.name,
            parent: node.parent,
            depth: node.depth,
            calls: node.calls,
            total: node.total,
            own: (node.total - node.parts).max(0),
        })
    }

    /// Lines `outer;inner nanoseconds`, sorted: the time in each way through the code and in none that goes on from it.
    pub fn folded(&self) -> Vec<String> {
        let mut lines: BTreeMap<String, i64> = BTreeMap::new();
        for node in &self.nodes {
            let own = node.total - node.parts;
            if own <= 0 {
                continue;
            }
            let mut path = vec![&*node.name];
            let mut next = node.parent;
            while let Some(outer) = next.and_then(|n| self.nodes.get(n as usize)) {
                path.push(&*outer.name);
                next = outer.parent;
            }
            path.reverse();
            *lines.entry(path.join(";")).or_default() += own;
        }
        lines.into_iter().map(|(path, own)| format!("{path} {own}")).collect()
    }

    /// Writes the picture, an SVG that can be searched and zoomed in a browser.
    pub fn write_svg(&self, title: &str, to: impl Write) -> Result<(), Error> {
        let lines = self.folded();
        if lines.is_empty() {
            return Err(Error::Request("there are no spans to draw".to_owned()));
        }
        let mut options = inferno::flamegraph::Options::default();
        options.title = title.chars().map(drawable).collect();
        options.count_name = "ns".to_owned();
        // the beginning of a name says most
        options.text_truncate_direction = inferno::flamegraph::TextTruncateDirection::Right;
        // browsers then measure each name: letters of many scripts are not as wide as those of monospaced Latin
        options.font_type = "sans-serif".to_owned();
        options.font_width = 0.6;
        inferno::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), to)
            .map_err(|e| Error::other(e).during("drawing the flame graph"))
    }
}

/// A character as XML can have it: it has no way to write the others.
fn drawable(c: char) -> char {
    match c {
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// A name as a line can have it: without the characters that divide a line, and without a number at its end that would
/// be taken for one that counts.
fn clean(name: &str) -> String {
    let mut name: String = name
        .chars()
        .take(LONGEST)
        .map(|c| match c {
            ';' => ':',
            '\n' | '\r' | '\t' => ' ',
            c => drawable(c),
        })
        .collect();
    if let Some(space) = name.rfind(' ')
        && name[space + 1..].chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        name.replace_range(space..=space, "\u{a0}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{FlameGraph, Trace, TraceSpan, clean};

    #[test]
    fn names_can_be_told_from_what_divides_and_counts() {
        for (name, shown) in [
            ("draw", "draw"),
            ("a;b\nc", "a:b c"),
            ("phase 2", "phase\u{a0}2"),
            ("crane #1 cycle", "crane #1 cycle"),
            ("two 2.5", "two\u{a0}2.5"),
        ] {
            assert_eq!(clean(name), shown);
        }
        assert_eq!(clean(&"é".repeat(300)).chars().count(), 200);
    }

    #[test]
    fn pictures_have_only_characters_that_xml_has() {
        let all: String = ('\0'..='\u{100}').collect();
        let mut graph = FlameGraph::default();
        for name in ["esc\u{1b}[0m", "nul\0", "\u{b}\u{7}\u{85}", "\u{fffe}\u{ffff}"] {
            graph.count(None, name, 10);
        }
        let mut svg = Vec::new();
        graph.write_svg(&format!("title {}", all), &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        let strange = |c: &char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        assert_eq!(svg.chars().find(strange), None);
        assert!(svg.contains("esc\u{fffd}[0m") && svg.contains("nul\u{fffd}"));
    }

    #[test]
    fn spans_of_a_trace_are_within_their_parents_in_any_order_and_circles_end() {
        let span = |id: u8, parent: u8, name: &str, duration: i64| TraceSpan {
            id: vec![id],
            parent: if parent == 0 { Vec::new() } else { vec![parent] },
            name: name.into(),
            duration,
        };
        let mut graph = FlameGraph::default();
        let spans = vec![
            span(3, 2, "read", 20),
            span(1, 0, "GET", 100),
            span(2, 1, "query", 50),
            span(4, 99, "elsewhere", 7),
            span(5, 6, "egg", 3),
            span(6, 5, "hen", 3),
        ];
        graph.count_trace(&mut Trace { id: Vec::new(), spans });
        let lines = graph.folded();
        assert_eq!(lines[..3], ["GET 50", "GET;query 30", "GET;query;read 20"]);
        assert!(
            lines.contains(&"elsewhere 7".to_owned()) && lines.iter().any(|l| l.contains("egg")),
            "{lines:?}"
        );
        assert_eq!(graph.spans(), 6);
    }

    #[test]
    fn long_names_keep_their_beginning_and_widths_are_those_of_the_letters() {
        let mut graph = FlameGraph::default();
        graph.count(None, "a name", 10);
        let mut svg = Vec::new();
        graph.write_svg("title", &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        assert!(svg.contains("var truncate_text_right = true;"), "{svg}");
        assert!(
            svg.contains("font-family:sans-serif") || svg.contains("font-family:\"sans-serif\""),
            "{svg}"
        );
    }
}
