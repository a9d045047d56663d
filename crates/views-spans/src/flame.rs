//! Where the time went: a flame graph of the spans of threads.
//!
//! Memory depends on how many ways there are through the code, not on how many spans. The width of the whole is the sum
//! of the durations of the threads themselves, the time in no span included.

use crate::thread_decoder::label;
use crate::trace::{PreOrder, columns};
use belvedere_core::Error;
use belvedere_core::query::QueryContext;
use belvedere_model::StreamInfo;
use foldhash::HashMap;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// Ways through the code that are told apart, and how deep; what goes on from there counts for the last one that is.
const MOST: usize = 1 << 18;
const DEEPEST: usize = 500;
/// Characters of a name.
const LONGEST: usize = 200;

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
    /// Nanoseconds, those of its parts included.
    total: i64,
    /// Nanoseconds of its parts.
    parts: i64,
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

    /// Adds the spans of a thread, within the context's time range.
    pub async fn add(&mut self, context: &QueryContext, stream: &StreamInfo) -> Result<(), Error> {
        let sql = format!(
            "SELECT id, \"begin\", \"end\", CAST(depth AS BIGINT) AS depth, name \
             FROM view_instance('thread_spans', '{}') ORDER BY \"begin\"",
            stream.stream_id
        );
        let frame = context.session()?.sql(&sql).await?;
        let rows = frame.execute_stream().await;
        let mut rows = rows.map_err(|e| Error::from(e).during(format!("reading {}", label(stream))))?;
        let range = context.range();
        let mut order = PreOrder::default();
        // of what is open: how deep it is, when it ends, and its node
        let mut open: Vec<(i64, i64, Option<u32>)> = Vec::new();
        loop {
            let batch = rows.try_next().await?;
            let is_last = batch.is_none();
            if let Some(batch) = order.add(batch)? {
                for row in columns(&batch)?.rows() {
                    while open.pop_if(|(depth, _, _)| *depth >= row.depth).is_some() {}
                    let begin = range.begin.map_or(row.begin, |from| row.begin.max(from));
                    let end = range.end.map_or(row.end, |to| row.end.min(to));
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
                self.nodes.push(Node { name: key.1.clone(), parent, depth, total: 0, parts: 0 });
                self.children.insert(key, node);
                node
            }
        };
        self.nodes[node as usize].total += duration;
        if let Some(parent) = parent {
            self.nodes[parent as usize].parts += duration;
        }
        Some(node)
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
    use super::{FlameGraph, clean};

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
}
