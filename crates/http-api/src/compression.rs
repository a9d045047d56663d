//! Answers that are compressed on their way: `Accept-Encoding` says how.
//!
//! Every chunk is flushed, so that rows that are there can be read. What is cut off in the middle has no end of its own, so
//! no reader takes it for the whole.

use axum::http::{HeaderMap, header};
use belvedere_core::query::formats::Format;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How quick it is to be rather than how small: telemetry repeats itself so much that this is most of what can be had.
const ZSTD_LEVEL: i32 = 1;

/// How the bytes of an answer are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// What the client takes, the quicker one first. Parquet is compressed already.
    pub(super) fn negotiate(headers: &HeaderMap, format: Format) -> Self {
        if format == Format::Parquet {
            return Self::None;
        }
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        let (mut takes_gzip, mut takes_zstd) = (false, false);
        for coding in lines.flat_map(|line| line.split(',')) {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map(str::parse::<f32>);
            // what can't be read is no wish
            let is_wanted = !matches!(quality, Some(Ok(0.0) | Err(_)));
            takes_gzip |= is_wanted && name.eq_ignore_ascii_case("gzip");
            takes_zstd |= is_wanted && name.eq_ignore_ascii_case("zstd");
        }
        match (takes_zstd, takes_gzip) {
            (true, _) => Self::Zstd,
            (false, true) => Self::Gzip,
            (false, false) => Self::None,
        }
    }

    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Where a writer of rows writes, and from where their bytes are taken.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<State>>);

struct State {
    writer: Writer,
    /// Bytes that were written, before they were compressed.
    written: usize,
}

enum Writer {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Output {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        let writer = match compression {
            Compression::None => Writer::Plain(Vec::new()),
            Compression::Gzip => Writer::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
            Compression::Zstd => Writer::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        };
        Ok(Self(Arc::new(Mutex::new(State { writer, written: 0 }))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that were written, before they were compressed.
    pub(super) fn written(&self) -> usize {
        self.state().written
    }

    /// What was written since the last time. Formats that hold rows back, as Parquet does until a row group is complete,
    /// write nothing until then.
    pub(super) fn take(&self) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        Ok(match &mut state.writer {
            Writer::Plain(bytes) => std::mem::take(bytes),
            Writer::Gzip(encoder) => {
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
            Writer::Zstd(encoder) => {
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
        })
    }

    /// Ends what is compressed, and gives what is left.
    pub(super) fn finish(&self) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        match std::mem::replace(&mut state.writer, Writer::Plain(Vec::new())) {
            Writer::Plain(bytes) => Ok(bytes),
            Writer::Gzip(encoder) => encoder.finish(),
            Writer::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        match &mut state.writer {
            Writer::Plain(buffer) => buffer.extend_from_slice(bytes),
            Writer::Gzip(encoder) => encoder.write_all(bytes)?,
            Writer::Zstd(encoder) => encoder.write_all(bytes)?,
        }
        state.written += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // a chunk is flushed when it is taken
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::io::Read;

    fn of(accepted: &str, format: Format) -> Compression {
        let value = HeaderValue::from_str(accepted).unwrap();
        Compression::negotiate(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]), format)
    }

    #[test]
    fn who_takes_nothing_or_refuses_gets_what_is_not_compressed() {
        assert_eq!(Compression::negotiate(&HeaderMap::new(), Format::Json), Compression::None);
        for accepted in ["identity", "br", "gzip;q=0", "gzip;q=none", "gzipped", ""] {
            assert_eq!(of(accepted, Format::Json), Compression::None, "{accepted}");
        }
        assert_eq!(of("deflate, GZIP;q=0.5", Format::Json), Compression::Gzip);
        assert_eq!(of("gzip, deflate, br, zstd", Format::Arrow), Compression::Zstd);
        assert_eq!(of("gzip, zstd;q=0", Format::Csv), Compression::Gzip);
        assert_eq!(of("gzip, zstd", Format::Parquet), Compression::None);
    }

    #[test]
    fn what_was_taken_so_far_can_be_read_and_only_the_end_is_an_end() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut output = Output::new(compression).unwrap();
            output.write_all(b"one ").unwrap();
            let mut bytes = output.take().unwrap();
            let read = |bytes: &[u8]| {
                let mut text = String::new();
                let result = match compression {
                    Compression::None => bytes.to_vec().as_slice().read_to_string(&mut text),
                    Compression::Gzip => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text),
                    Compression::Zstd => {
                        zstd::stream::read::Decoder::new(bytes).unwrap().read_to_string(&mut text)
                    }
                };
                (text, result.is_ok())
            };
            assert_eq!(read(&bytes), ("one ".to_owned(), compression == Compression::None));
            output.write_all(b"two").unwrap();
            assert_eq!(output.written(), 7);
            bytes.extend(output.finish().unwrap());
            assert_eq!(read(&bytes), ("one two".to_owned(), true));
        }
    }
}
