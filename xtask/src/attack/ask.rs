//! A statement over HTTP, and how it ended.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// So much is kept of the beginning and of the end of an answer: the rest is read and dropped.
const KEPT: usize = 16 << 10;

/// How a statement ended, as its asker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// A complete answer.
    Answered(u16),
    /// A status that says why not, with the kind of error and what was said.
    Refused { status: u16, kind: String, said: String },
    /// Rows, and then an error. The kind is empty if nobody said why.
    Cut { kind: String, said: String },
    /// Nothing within the time that was given.
    Silent,
    /// The connection failed.
    Broken(String),
}

impl End {
    /// The status that it has or would have had, if the error had come before the first row.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status) | Self::Refused { status, .. } => Some(*status),
            Self::Cut { kind, .. } => status_of(kind),
            Self::Silent | Self::Broken(_) => None,
        }
    }

    /// What an error said.
    pub(super) fn said(&self) -> &str {
        match self {
            Self::Refused { said, .. } | Self::Cut { said, .. } => said,
            Self::Broken(said) => said,
            Self::Answered(_) | Self::Silent => "",
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "{status}"),
            Self::Refused { status, kind, .. } => write!(f, "{status} {kind}"),
            Self::Cut { kind, .. } if kind.is_empty() => f.write_str("200, then cut off"),
            Self::Cut { kind, .. } => write!(f, "200, then {kind}"),
            Self::Silent => f.write_str("no answer"),
            Self::Broken(_) => f.write_str("connection lost"),
        }
    }
}

/// The status of a kind of error: rows that were cut off have none of their own.
fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "sql" => 400,
        "rights" => 403,
        "busy" | "cancelled" => 409,
        "denied" | "resources" => 429,
        "internal" => 500,
        "unsupported" => 501,
        "too_long" => 504,
        _ => return None,
    })
}

/// Sends a statement and reads the answer to its end, for that long at most.
pub(super) fn ask(address: SocketAddr, sql: &str, patience: Duration) -> End {
    let mut body = Body::default();
    match exchange(address, "ndjson", sql, Instant::now() + patience, &mut body) {
        Ok(true) => body.end(),
        Ok(false) => End::Silent,
        // a server that ends the process, or the answer, may reset the connection
        Err(_) if body.status().is_some() => body.end(),
        Err(e) => End::Broken(e.to_string()),
    }
}

/// The rows of a short answer, as fields.
pub(super) fn rows(address: SocketAddr, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let mut whole = Vec::new();
    let end = Instant::now() + Duration::from_secs(60);
    let asked = exchange(address, "csv", sql, end, &mut whole).map_err(|e| format!("{sql}: {e}"))?;
    let text = String::from_utf8_lossy(&whole);
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if asked && head.contains(" 200 ") => {
            Ok(csv(&unchunked(body)).into_iter().skip(1).collect())
        }
        _ => Err(format!("{sql}: {text}")),
    }
}

/// `false` if time ran out before the answer ended.
fn exchange(
    address: SocketAddr,
    format: &str,
    sql: &str,
    end: Instant,
    to: &mut impl Write,
) -> std::io::Result<bool> {
    let left = || end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&address, left())?;
    stream.set_write_timeout(Some(left()))?;
    let head = format!(
        "POST /api/query?format={format} HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        sql.len()
    );
    stream.write_all(head.as_bytes())?;
    if let Err(e) = stream.write_all(sql.as_bytes()) {
        // refused before all of it was there: then there is an answer
        let mut some = [0];
        if stream.peek(&mut some).unwrap_or(0) == 0 {
            return Err(e);
        }
    }
    let mut buffer = vec![0; 256 << 10];
    loop {
        if end <= Instant::now() {
            return Ok(false);
        }
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => to.write_all(buffer.get(..n).unwrap_or_default())?,
            Err(e) if is_timeout(&e) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// The beginning and the end of an answer.
#[derive(Default)]
struct Body {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = KEPT.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend(bytes.iter().take(room));
        self.tail.extend(bytes);
        let beyond = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..beyond);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Body {
    fn status(&self) -> Option<u16> {
        let head = String::from_utf8_lossy(&self.head);
        head.split(' ').nth(1)?.parse().ok()
    }

    fn end(&self) -> End {
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&self.tail));
        let Some(status) = self.status() else { return End::Broken("there was no status".to_owned()) };
        let (head, body) = head.split_once("\r\n\r\n").unwrap_or((&head, ""));
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        if status != 200 {
            let (kind, said) = error_of(body).unwrap_or_default();
            return End::Refused { status, kind, said };
        }
        if !is_chunked || tail.ends_with("0\r\n\r\n") {
            return End::Answered(status);
        }
        let (kind, said) =
            tail.rfind("{\"error\":").and_then(|at| error_of(tail.get(at..)?)).unwrap_or_default();
        End::Cut { kind, said }
    }
}

/// The kind and the message of an error in JSON.
fn error_of(text: &str) -> Option<(String, String)> {
    let after = |name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
        // a quote in a message has a backslash before it
        let end = rest.match_indices('"').find(|(at, _)| !rest.get(..*at).is_some_and(|b| b.ends_with('\\')));
        Some(rest.get(..end?.0)?.to_owned())
    };
    Some((after("kind")?, after("message").unwrap_or_default()))
}

/// The text of a body in chunks, or the body itself.
fn unchunked(body: &str) -> String {
    if !body.contains("\r\n") {
        return body.to_owned();
    }
    let (mut text, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { return body.to_owned() };
        text.push_str(after.get(..size).unwrap_or_default());
        rest = after.get(size..).unwrap_or_default().trim_start_matches("\r\n");
    }
    text
}

/// The fields of lines of CSV.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                field.push('"');
                letters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            _ => field.push(letter),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(answer: &str) -> End {
        let mut body = Body::default();
        body.write_all(answer.as_bytes()).unwrap();
        body.end()
    }

    #[test]
    fn an_answer_with_an_end_is_complete_and_one_without_is_cut_off() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(end_of(&format!("{head}3\r\n{{}}\n\r\n0\r\n\r\n")), End::Answered(200));
        let cut = end_of(&format!("{head}3\r\n{{}}\n\r\n"));
        assert_eq!((cut.to_string().as_str(), cut.status()), ("200, then cut off", None));
        let error =
            "{\"error\":{\"kind\":\"too_long\",\"message\":\"it \\\"took\\\" 3 s\",\"query_id\":null}}\n";
        let cut = end_of(&format!("{head}3\r\n{{}}\n\r\n50\r\n{error}\r\n"));
        assert_eq!((cut.to_string().as_str(), cut.status()), ("200, then too_long", Some(504)));
        assert_eq!(cut.said(), "it \\\"took\\\" 3 s");
    }

    #[test]
    fn a_refusal_has_a_status_and_a_kind() {
        let end =
            end_of("HTTP/1.1 429 Too Many\r\n\r\n{\"error\":{\"kind\":\"resources\",\"message\":\"no\"}}\n");
        assert_eq!((end.to_string().as_str(), end.status()), ("429 resources", Some(429)));
    }

    #[test]
    fn the_end_of_a_long_answer_is_kept() {
        let mut body = Body::default();
        body.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        for _ in 0..10 {
            body.write_all(&[b'x'; KEPT]).unwrap();
        }
        body.write_all(b"\r\n0\r\n\r\n").unwrap();
        assert_eq!((body.end(), body.tail.len()), (End::Answered(200), KEPT));
    }

    #[test]
    fn fields_may_have_commas_and_quotes() {
        assert_eq!(csv("a,\"b,\"\"c\"\"\"\n,\n"), [["a", "b,\"c\""], ["", ""]]);
    }

    #[test]
    fn chunks_are_put_together() {
        assert_eq!(unchunked("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), "abc");
        assert_eq!(unchunked("a\nb\n"), "a\nb\n");
    }
}
