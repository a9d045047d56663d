//! Heads of HTTP/1 requests whose lines do not end in CR LF are refused.
//!
//! hyper takes a bare LF for an end of a line, and has no option against it. A proxy before us may not: then the two see
//! different headers in the same bytes, and so different requests. Where a head has a bare LF, hyper gets to see a NUL
//! and the end of the head instead, which it answers with 400 before it closes the connection. What the client sent
//! after it is not read.
//!
//! To know what is a head, bodies are followed: by their length, or by their chunks. Their bytes are never touched. What
//! is no HTTP/1, and what hyper refuses anyway, is passed on as it is.

use super::first_byte_timeout::PREFACE;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Beginning of a line that is kept: the headers that matter are short.
const LINE_BYTES: usize = 64;

/// A connection whose heads are checked.
pub(super) struct StrictLines<I> {
    inner: I,
    lines: Lines,
    /// What hyper gets to see after a bare LF, before the end.
    refusal: &'static [u8],
}

impl<I> StrictLines<I> {
    pub(super) fn new(inner: I) -> Self {
        Self { inner, lines: Lines::default(), refusal: b"\0\r\n\r\n" }
    }
}

impl<I> StrictLines<I> {
    fn refuse(&mut self, buffer: &mut ReadBuf<'_>) {
        let (now, later) = self.refusal.split_at(self.refusal.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.refusal = later;
    }
}

/// Where in a connection the next byte is.
#[derive(Debug, Default)]
struct Lines {
    state: State,
    /// The beginning of the line, in lower case, without its end.
    line: Vec<u8>,
    /// All bytes of the line.
    length: usize,
    was_cr: bool,
    framing: Framing,
    is_first_line: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Begin,
    Head,
    Body(u64),
    ChunkSize,
    /// The data of a chunk and the end of its line.
    Chunk(u64),
    Trailer,
    /// There was a bare LF in a head.
    Refused,
    /// Not followed any more.
    Off,
}

/// What a head says about the body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
    Unknown,
}

impl Lines {
    /// Follows bytes that were received. Returns how many may be passed on: those before a bare LF in a head.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.state {
                State::Off => return bytes.len(),
                State::Refused => return at,
                State::Body(left) => self.skip(rest.len(), left, State::Body, State::Begin),
                State::Chunk(left) => self.skip(rest.len(), left, State::Chunk, State::ChunkSize),
                State::Begin | State::Head | State::ChunkSize | State::Trailer => {
                    match rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()) {
                        0 => {
                            self.line_feed();
                            usize::from(self.state != State::Refused)
                        }
                        before => {
                            self.text(&rest[..before]);
                            before
                        }
                    }
                }
            };
        }
        at
    }

    /// How many of these bytes belong to what has so many left.
    fn skip(&mut self, given: usize, left: u64, same: fn(u64) -> State, next: State) -> usize {
        let taken = left.min(given as u64);
        self.state = if taken == left { next } else { same(left - taken) };
        usize::try_from(taken).unwrap_or(given)
    }

    /// Bytes of a line before its LF.
    fn text(&mut self, text: &[u8]) {
        self.begin();
        self.was_cr = text.last() == Some(&b'\r');
        let own = || text.iter().filter(|byte| **byte != b'\r');
        self.length = self.length.saturating_add(own().count());
        let room = LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend(own().take(room).map(u8::to_ascii_lowercase));
    }

    fn line_feed(&mut self) {
        self.begin();
        match std::mem::take(&mut self.was_cr) {
            true => self.line_end(),
            false if self.state == State::Head => self.state = State::Refused,
            // hyper refuses it by itself
            false => self.state = State::Off,
        }
    }

    fn begin(&mut self) {
        if self.state == State::Begin {
            (self.state, self.framing, self.is_first_line) = (State::Head, Framing::None, true);
        }
    }

    fn line_end(&mut self) {
        let (mut line, length) = (std::mem::take(&mut self.line), std::mem::replace(&mut self.length, 0));
        match self.state {
            State::Head if length > 0 => {
                if self.is_first_line && PREFACE.to_ascii_lowercase().starts_with(&line) {
                    self.state = State::Off;
                } else if !self.is_first_line {
                    self.framing = framing(&line, length).map_or(self.framing, |said| match self.framing {
                        // the other header counts for nothing then
                        Framing::Chunked => Framing::Chunked,
                        Framing::Length(before)
                            if said != Framing::Chunked && said != Framing::Length(before) =>
                        {
                            Framing::Unknown
                        }
                        _ => said,
                    });
                }
                self.is_first_line = false;
            }
            // empty lines before a request are skipped
            State::Head if self.is_first_line => {}
            State::Head => {
                self.state = match self.framing {
                    Framing::None | Framing::Length(0) => State::Begin,
                    Framing::Length(bytes) => State::Body(bytes),
                    Framing::Chunked => State::ChunkSize,
                    Framing::Unknown => State::Off,
                };
            }
            State::ChunkSize => {
                self.state = match chunk_size(&line) {
                    Some(0) => State::Trailer,
                    Some(bytes) => bytes.checked_add(2).map_or(State::Off, State::Chunk),
                    None => State::Off,
                };
            }
            State::Trailer if length == 0 => self.state = State::Begin,
            State::Trailer
            | State::Begin
            | State::Body(_)
            | State::Chunk(_)
            | State::Refused
            | State::Off => {}
        }
        line.clear();
        self.line = line;
    }
}

/// What a line of a head says about the body, if it does.
fn framing(line: &[u8], length: usize) -> Option<Framing> {
    let line = std::str::from_utf8(line).ok()?;
    let (name, value) = line.split_once(':')?;
    match name {
        // one that is not chunked at last is refused
        "transfer-encoding" => Some(Framing::Chunked),
        "content-length" => {
            let value = value.trim_matches([' ', '\t']);
            let is_whole = length <= LINE_BYTES && value.bytes().all(|b| b.is_ascii_digit());
            Some(value.parse().ok().filter(|_| is_whole).map_or(Framing::Unknown, Framing::Length))
        }
        _ => None,
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| !byte.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl<I: AsyncRead + Unpin> AsyncRead for StrictLines<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lines.state == State::Refused {
            this.refuse(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        if polled.is_ready() {
            let passed = this.lines.follow(buffer.filled().get(before..).unwrap_or_default());
            buffer.set_filled(before.saturating_add(passed));
            // nothing would be taken for the end
            if this.lines.state == State::Refused && passed == 0 {
                this.refuse(buffer);
            }
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for StrictLines<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is passed on, if the bytes arrive in pieces of this size.
    fn followed(text: &[u8], piece: usize) -> Vec<u8> {
        let mut lines = Lines::default();
        let pieces = text.chunks(piece.max(1));
        pieces.flat_map(|piece| piece.get(..lines.follow(piece)).unwrap().to_vec()).collect()
    }

    #[test]
    fn nothing_is_passed_on_from_a_bare_line_feed_in_any_head_of_a_connection() {
        let good = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\n\r\n\nPOST /b HTTP/1.1\r\n\
                    Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n\n\n\n\r\n0\r\nt: u\r\n\r\n";
        for bad in [
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\nz: w\r\n\r\n",
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            for piece in 1..100 {
                let text = [good, bad].concat();
                let followed = String::from_utf8(followed(text.as_bytes(), piece)).unwrap();
                let bare = bad.replace("\r\n", "--").find('\n').unwrap();
                assert_eq!(followed, [good, &bad[..bare]].concat());
            }
        }
    }

    #[test]
    fn http2_is_passed_on() {
        let text = [PREFACE, b"\0\0\0\x04\0\0\0\0\0\n\n\n"].concat();
        assert_eq!(followed(&text, 5), text);
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let body =
            proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'0'), any::<u8>()], 0..40);
        (body, 0..4_usize, 1..9_usize, "[a-z]{0,9}").prop_map(|(body, form, size, value)| {
            let head = format!("\r\nPUT /{value} HTTP/1.1\r\nhost: {value}\r\n").into_bytes();
            match form {
                0 => [head, b"\r\n".to_vec()].concat(),
                1 => [head, format!("Content-Length:\t{} \r\n\r\n", body.len()).into_bytes(), body].concat(),
                2 => {
                    let chunks = body
                        .chunks(size)
                        .map(|chunk| [format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
                    let chunks: Vec<u8> = chunks.flatten().collect();
                    [head, b"transfer-encoding: chunked\r\n\r\n".to_vec(), chunks, b"0\r\n\r\n".to_vec()]
                        .concat()
                }
                _ => {
                    let chunk =
                        [format!("{:x};e=\"f\"\r\n", body.len() + 1).as_bytes(), b"\n", &body, b"\r\n"]
                            .concat();
                    let said = b"Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_vec();
                    [head, said, chunk, b"0\r\ntrailer: t\r\n\r\n".to_vec()].concat()
                }
            }
        })
    }

    proptest! {
        #[test]
        fn proper_requests_and_their_bodies_pass_unchanged_however_they_arrive(
            requests in proptest::collection::vec(request(), 1..5),
            piece in 1..60_usize,
        ) {
            let text = requests.concat();
            prop_assert_eq!(followed(&text, piece), text);
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..60_usize) {
            prop_assert!(bytes.starts_with(&followed(&bytes, piece)));
        }
    }
}
