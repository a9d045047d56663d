//! The body of an answer: a stream that encodes rows as they are made.
//!
//! Four things shape it.
//! - A status can only be sent before the first byte. So [`send`] waits for the first rows: most queries that fail do so by
//!   then, and get a status of their own.
//! - A later failure must not look like an end. Nothing in HTTP/1.1 says so but a connection that breaks off, so the
//!   stream ends with an error, which makes hyper reset the connection or the stream.
//! - An answer that lacks the rows of blocks says so: in a header if that is known when the answer begins, as it is for
//!   short ones; else in a trailer, and NDJSON in a last line too.
//! - A slow client must slow the query down, not fill memory. Nothing here runs ahead: the next rows are fetched when
//!   hyper asks for the next chunk, which it does when the last one is on its way.

use super::compression::{Compression, Output};
use super::error::{HttpError, MISSING_BLOCKS, QUERY_ID};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use belvedere_core::query::QueryError;
use belvedere_core::query::QueryReport;
use belvedere_core::query::formats::{Format, RowWriter};
use belvedere_core::service::Answer;
use futures::stream::{BoxStream, StreamExt};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long an answer that failed is kept open, so that the last line gets out.
const FLUSH_TIME: Duration = Duration::from_millis(100);

/// How long an answer is kept back to see whether it ends with its first rows: then all that it has to say goes in front.
const SHORT: Duration = Duration::from_millis(50);

/// Sends an answer once its first rows are there: what fails until then has a status of its own.
pub(super) async fn send(
    answer: Answer,
    format: Format,
    compression: Compression,
) -> Result<Response, HttpError> {
    let Answer { query_id, schema, mut rows, report } = answer;
    let (mut second, mut is_over) = (None, false);
    let begin = async {
        // before the query runs: the format may not support the type of a column
        let encoder = Encoder::new(format, schema, compression)?;
        match rows.next().await.transpose()? {
            Some(batch) => {
                let (encoder, waiting, bytes) = encoder.rows(batch).await?;
                match tokio::time::timeout(SHORT, rows.next()).await {
                    // it is over, and so its report is complete
                    Ok(None) => is_over = true,
                    // nothing has been sent yet, and whoever asks so wants nothing of it
                    Ok(Some(Err(e @ QueryError::Incomplete(_)))) => return Err(e),
                    Ok(Some(next)) => second = Some(next),
                    Err(_) => {}
                }
                Ok((encoder, waiting, bytes))
            }
            None => Ok((encoder, None, Bytes::new())),
        }
    };
    let (encoder, waiting, bytes) = begin.await.map_err(|e| HttpError::of_query(&e, Some(query_id)))?;
    let rows = match is_over {
        true => futures::stream::empty().boxed(),
        false => futures::stream::iter(second).chain(rows).boxed(),
    };
    let stream = BodyStream {
        rows,
        waiting,
        encoder: Some(encoder),
        format,
        query_id,
        ready: Some(bytes),
        failure: None,
        told: report.fault_count(),
        report: report.clone(),
    };
    let missing = report.fault_count();
    let chunks = futures::stream::unfold(stream, BodyStream::next);
    let headers = [
        (header::CONTENT_TYPE.as_str(), content_type(format).to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff".to_owned()),
        (QUERY_ID, query_id.to_string()),
        (header::TRAILER.as_str(), MISSING_BLOCKS.to_owned()),
    ];
    let trailers = async move {
        let missing = report.fault_count();
        let trailers = HeaderMap::from_iter([(MISSING_BLOCKS.parse().ok()?, HeaderValue::from(missing))]);
        (missing > 0).then_some(Ok(trailers))
    };
    let body = Body::new(http_body_util::BodyExt::with_trailers(Body::from_stream(chunks), trailers));
    let mut response = (headers, body).into_response();
    if missing > 0 {
        response.headers_mut().insert(MISSING_BLOCKS, HeaderValue::from(missing));
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(name) = compression.name() {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Ok(response)
}

fn content_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        other => other.media_type(),
    }
}

/// The state between two chunks of a body.
struct BodyStream {
    rows: BoxStream<'static, Result<RecordBatch, QueryError>>,
    /// Rows that have come and are not encoded yet.
    waiting: Option<RecordBatch>,
    /// `None` after the end.
    encoder: Option<Encoder>,
    format: Format,
    query_id: Uuid,
    ready: Option<Bytes>,
    /// Cuts the answer off after `ready` was sent.
    failure: Option<HttpError>,
    report: Arc<QueryReport>,
    /// Missing blocks of which a header told.
    told: u64,
}

impl BodyStream {
    /// The next chunk.
    async fn next(mut self) -> Option<(Result<Bytes, HttpError>, Self)> {
        loop {
            if let Some(bytes) = self.ready.take().filter(|bytes| !bytes.is_empty()) {
                return Some((Ok(bytes), self));
            }
            if let Some(failure) = self.failure.take() {
                // hyper drops what it has not written yet when a body fails, and has no way to flush before: without the pause
                // the line that says what went wrong would often be lost
                tokio::time::sleep(FLUSH_TIME).await;
                return Some((Err(failure), self));
            }
            let encoder = self.encoder.take()?;
            let next = match self.waiting.take() {
                Some(batch) => Some(Ok(batch)),
                None => self.rows.next().await,
            };
            let written = encoder.written.clone();
            let encoded = match next {
                Some(Ok(batch)) => encoder.rows(batch).await.map(|(encoder, rest, bytes)| {
                    self.waiting = rest;
                    (Some(encoder), bytes)
                }),
                Some(Err(e)) => Err(e),
                None => encoder.end(self.last_line()).await.map(|bytes| (None, bytes)),
            };
            match encoded {
                Ok((encoder, bytes)) => (self.encoder, self.ready) = (encoder, Some(bytes)),
                Err(e) => self.fail(e, written),
            }
        }
    }

    /// What is to be said at the end of the rows, where a format has room for it.
    fn last_line(&self) -> String {
        let missing = self.report.fault_count();
        if self.format != Format::Ndjson || missing <= self.told {
            return String::new();
        }
        let text = format!(
            "{missing} blocks could not be read, and their rows are missing: SELECT * FROM block_faults() has the reasons"
        );
        let warning = serde_json::json!({"kind": "missing_blocks", "blocks": missing, "message": text});
        format!("{}\n", serde_json::json!({"warning": warning}))
    }

    fn fail(&mut self, error: QueryError, mut written: Output) {
        // dropping the rows ends the query now, not when the client is gone
        self.rows = futures::stream::empty().boxed();
        tracing::warn!(query_id = %self.query_id, "a response was aborted: {error}");
        let error = HttpError::of_query(&error, Some(self.query_id));
        if self.format == Format::Ndjson {
            let line = format!("{}\n", error.to_json());
            // the connection is cut off in any case
            self.ready =
                written.write_all(line.as_bytes()).and_then(|()| written.take()).ok().map(Bytes::from);
        }
        self.failure = Some(error);
    }
}

/// Turns rows into bytes, on threads for blocking work: those of the network must not wait for it.
struct Encoder {
    writer: RowWriter<Output>,
    written: Output,
    /// Rows that are encoded before their size as text is looked at.
    rows_at_once: usize,
    is_text: bool,
}

/// Bytes of text that a chunk of a body has, more or less. A batch can become far larger as text than it is as columns:
/// rows share texts, and JSON repeats the names of columns in each row.
const CHUNK: usize = 4 << 20;
/// Rows of the first look: rows as large as they can be take tens of megabytes then.
const FIRST_ROWS: usize = 16;

impl Encoder {
    fn new(format: Format, schema: SchemaRef, compression: Compression) -> Result<Self, QueryError> {
        let written = Output::new(compression)
            .map_err(|e| QueryError::Internal(format!("rows could not be encoded: {e}")))?;
        let is_text = matches!(format, Format::Ndjson | Format::Json | Format::Csv);
        let writer = RowWriter::new(format, written.clone(), schema)?;
        Ok(Self { writer, written, rows_at_once: FIRST_ROWS, is_text })
    }

    /// Encodes rows of a batch until a chunk is full. What is left of the batch comes back.
    async fn rows(mut self, batch: RecordBatch) -> Result<(Self, Option<RecordBatch>, Bytes), QueryError> {
        on_blocking_thread::<_, belvedere_core::Error>(move || {
            let begin = self.written.written();
            let (mut rest, mut written) = (batch, 0);
            loop {
                let rows =
                    if self.is_text { self.rows_at_once.min(rest.num_rows()) } else { rest.num_rows() };
                self.writer.write(&rest.slice(0, rows))?;
                let bytes = self.written.written() - begin - written;
                written += bytes;
                // as many as fit into a chunk if they are like these; rows may grow, so not many more than before
                let fitting = (CHUNK * rows).checked_div(bytes).unwrap_or(rows);
                self.rows_at_once = fitting.clamp(1, self.rows_at_once.saturating_mul(16));
                rest = rest.slice(rows, rest.num_rows() - rows);
                if rest.num_rows() == 0 || written >= CHUNK {
                    let bytes = self.written.take()?.into();
                    return Ok((self, (rest.num_rows() > 0).then_some(rest), bytes));
                }
            }
        })
        .await
    }

    /// What is left, with a last line of text.
    async fn end(mut self, last: String) -> Result<Bytes, QueryError> {
        on_blocking_thread::<_, belvedere_core::Error>(move || {
            self.writer.finish()?;
            self.written.write_all(last.as_bytes())?;
            Ok(self.written.finish()?.into())
        })
        .await
    }
}

async fn on_blocking_thread<T: Send + 'static, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, QueryError>
where
    E: std::fmt::Display + Send + 'static,
{
    let failed = |e: String| QueryError::Internal(format!("rows could not be encoded: {e}"));
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|e| failed(format!("{e}"))),
        Err(e) => Err(failed(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap()
    }

    fn answer(rows: BoxStream<'static, Result<RecordBatch, QueryError>>) -> Answer {
        Answer { query_id: Uuid::nil(), schema: batch().schema(), rows, report: Arc::default() }
    }

    async fn pieces(response: Response) -> Vec<Result<Bytes, axum::Error>> {
        response.into_body().into_data_stream().collect().await
    }

    #[tokio::test]
    async fn what_fails_in_the_middle_cuts_the_answer_off_in_every_format() {
        for format in Format::ALL {
            let rows = [Ok(batch()), Err(QueryError::TooLong("too slow".to_owned())), Ok(batch())];
            let response =
                send(answer(futures::stream::iter(rows).boxed()), format, Compression::None).await.unwrap();
            assert_eq!(response.status(), 200);
            let mut pieces = pieces(response).await;
            assert!(pieces.pop().unwrap().unwrap_err().to_string().contains("too slow"));
            let sent: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
            let text = String::from_utf8_lossy(&sent);
            match format {
                Format::Ndjson => {
                    let lines: Vec<&str> = text.lines().collect();
                    assert_eq!(lines[..2], ["{\"n\":1}", "{\"n\":2}"]);
                    let last: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
                    assert_eq!((&last["error"]["kind"], lines.len()), (&"too_long".into(), 3));
                }
                Format::Json => assert!(serde_json::from_str::<serde_json::Value>(&text).is_err()),
                Format::Csv => assert_eq!(text, "n\n1\n2\n"),
                Format::Arrow => assert!(!sent.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
                Format::Parquet => assert!(!sent.ends_with(b"PAR1") || sent.len() == 4),
            }
        }
    }

    /// All that a client reads from a connection.
    async fn over_a_connection(rows: Vec<Result<RecordBatch, QueryError>>) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let rows = Arc::new(rows);
        let routes = axum::Router::new().route(
            "/",
            axum::routing::get(move || {
                let rows = rows.as_ref().clone();
                async move {
                    send(answer(futures::stream::iter(rows).boxed()), Format::Ndjson, Compression::None).await
                }
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(axum::serve(listener, routes).into_future());
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        // a connection that is cut off may end with an error
        let _ = client.read_to_end(&mut read).await;
        server.abort();
        String::from_utf8(read).unwrap()
    }

    #[tokio::test]
    async fn a_client_reads_why_it_was_cut_off_and_no_proper_end() {
        let whole = over_a_connection(vec![Ok(batch())]).await;
        assert!(whole.ends_with("0\r\n\r\n"), "{whole}");
        let cut = over_a_connection(vec![Ok(batch()), Err(QueryError::TooLong("too slow".to_owned()))]).await;
        assert!(cut.contains("\"kind\":\"too_long\""), "{cut}");
        assert!(!cut.ends_with("0\r\n\r\n"), "{cut}");
    }

    #[tokio::test]
    async fn a_batch_that_is_large_as_text_leaves_in_chunks_and_whole() {
        use arrow::array::{DictionaryArray, Int32Array, StringArray};
        let rows = 300;
        let shared = |text: String| -> ArrayRef {
            let values = Arc::new(StringArray::from(vec![text]));
            Arc::new(DictionaryArray::new(Int32Array::from(vec![0; rows]), values))
        };
        // texts that rows share, and a name that each row repeats
        for (name, column) in
            [("a".to_owned(), shared("x".repeat(50_000))), ("n".repeat(50_000), shared("x".to_owned()))]
        {
            let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
            for format in [Format::Ndjson, Format::Json, Format::Csv] {
                let rows = futures::stream::iter([Ok(batch.clone())]).boxed();
                let answer =
                    Answer { query_id: Uuid::nil(), schema: batch.schema(), rows, report: Arc::default() };
                let chunks = pieces(send(answer, format, Compression::None).await.unwrap()).await;
                let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.as_ref().unwrap().len()).collect();
                assert!(sizes.iter().all(|size| *size <= 2 * CHUNK), "{format:?} {sizes:?}");
                let sent: Vec<u8> = chunks.into_iter().flat_map(Result::unwrap).collect();
                let lines = sent.iter().filter(|byte| **byte == b'\n').count();
                let expected = match format {
                    Format::Ndjson => batch.num_rows(),
                    Format::Csv => batch.num_rows() + 1,
                    _ => 1,
                };
                assert_eq!(lines, expected, "{format:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_fails_at_once_is_an_error_and_no_answer() {
        let rows = futures::stream::iter([Err(QueryError::Resources("too large".to_owned()))]).boxed();
        let error = send(answer(rows), Format::Csv, Compression::None).await.unwrap_err();
        let response = error.into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[QUERY_ID], Uuid::nil().to_string());
    }

    #[tokio::test]
    async fn an_answer_without_rows_is_one_in_every_format() {
        for (format, expected) in [(Format::Ndjson, ""), (Format::Json, "[]\n"), (Format::Csv, "n\n")] {
            let response =
                send(answer(futures::stream::empty().boxed()), format, Compression::None).await.unwrap();
            let sent: Vec<u8> = pieces(response).await.into_iter().flat_map(Result::unwrap).collect();
            assert_eq!(String::from_utf8(sent).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_column_without_a_form_in_the_format_is_told_before_rows_are_made() {
        use arrow::array::{FixedSizeListArray, Int64Builder, IntervalMonthDayNanoArray, MapBuilder};
        use arrow::datatypes::Int64Type;
        let mut map = MapBuilder::new(None, Int64Builder::new(), Int64Builder::new());
        map.keys().append_value(1);
        map.values().append_value(2);
        map.append(true).unwrap();
        let pair = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(3), None])], 2);
        let nested = RecordBatch::try_from_iter([
            ("m", Arc::new(map.finish()) as ArrayRef),
            ("l", Arc::new(pair) as ArrayRef),
        ])
        .unwrap();
        for (format, expected) in [
            (Format::Ndjson, "{\"m\":{\"1\":2},\"l\":[3,null]}\n"),
            (Format::Csv, "m,l\n\"{\"\"1\"\":2}\",\"[3,null]\"\n"),
        ] {
            let rows = futures::stream::iter([Ok(nested.clone())]).boxed();
            let answer = Answer { schema: nested.schema(), ..answer(rows) };
            let sent = pieces(send(answer, format, Compression::None).await.unwrap()).await;
            let sent: Vec<u8> = sent.into_iter().flat_map(Result::unwrap).collect();
            assert_eq!(String::from_utf8(sent).unwrap(), expected);
        }
        let interval = IntervalMonthDayNanoArray::new_null(1);
        let odd = RecordBatch::try_from_iter([("age", Arc::new(interval) as ArrayRef)]).unwrap();
        let rows = futures::stream::pending().boxed();
        let error = send(Answer { schema: odd.schema(), ..answer(rows) }, Format::Parquet, Compression::None)
            .await
            .unwrap_err();
        assert_eq!(error.to_json()["error"]["kind"], "unsupported");
        let text = error.to_string();
        assert!(
            text.contains("the column 'age'") && text.contains("use ndjson or json or csv or arrow"),
            "{text}"
        );
        assert_eq!(error.into_response().status(), 501);
    }

    #[tokio::test]
    async fn rows_are_made_no_faster_than_they_are_read() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = made.clone();
        let rows = futures::stream::iter(0..1000).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(batch())
        });
        let response = send(answer(rows.boxed()), Format::Ndjson, Compression::None).await.unwrap();
        let mut body = response.into_body().into_data_stream();
        for _ in 0..3 {
            body.next().await.unwrap().unwrap();
        }
        assert!(made.load(Ordering::SeqCst) <= 4);
    }
}
