//! Compressed bodies.

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use std::io::Read;
use thiserror::Error;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
    /// With a zlib header, as HTTP has it.
    Deflate,
}

/// What we understand, for `Accept-Encoding`.
pub(crate) const ACCEPTED: &str = "gzip, zstd, deflate";

/// Why a body can't be expanded.
#[derive(Debug, Error)]
pub(crate) enum ExpandError {
    #[error("the body expands to more than {0} bytes")]
    TooLarge(usize),
    #[error("the body is not {coding}: {error}")]
    Damaged { coding: &'static str, error: std::io::Error },
}

impl Coding {
    /// The codings that a `Content-Encoding` names, in the order in which they were applied; `None` if there is one
    /// that we don't know.
    pub(crate) fn parse(header: &str) -> Option<Vec<Self>> {
        let names = header.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut codings = Vec::new();
        for name in names {
            match name.to_ascii_lowercase().as_str() {
                "identity" => {}
                "gzip" | "x-gzip" => codings.push(Self::Gzip),
                "zstd" => codings.push(Self::Zstd),
                "deflate" => codings.push(Self::Deflate),
                _ => return None,
            }
        }
        // nobody compresses what is compressed more often than by mistake
        (codings.len() <= 2).then_some(codings)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }
}

/// Expands a body that was compressed by these codings one after the other. No more than `limit` bytes are ever
/// made of it.
pub(crate) fn expand(codings: &[Coding], body: &Bytes, limit: usize) -> Result<Bytes, ExpandError> {
    let mut body = body.clone();
    for coding in codings.iter().rev() {
        body = expand_once(*coding, &body, limit)?.into();
    }
    Ok(body)
}

fn expand_once(coding: Coding, body: &[u8], limit: usize) -> Result<Vec<u8>, ExpandError> {
    let damaged = |error| ExpandError::Damaged { coding: coding.name(), error };
    let mut expanded = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    let one_more = limit as u64 + 1;
    match coding {
        Coding::Gzip => MultiGzDecoder::new(body).take(one_more).read_to_end(&mut expanded),
        Coding::Deflate => ZlibDecoder::new(body).take(one_more).read_to_end(&mut expanded),
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(damaged)?;
            decoder.take(one_more).read_to_end(&mut expanded)
        }
    }
    .map_err(damaged)?;
    if expanded.len() > limit {
        return Err(ExpandError::TooLarge(limit));
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_comes_back_within_the_limit_and_not_beyond() {
        let text = b"the same again, ".repeat(1000);
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(&text).unwrap();
        let deflated = deflate.finish().unwrap();
        let halves = [gzip(&text[..7]), gzip(&text[7..])].concat();
        for (header, body) in [
            ("GZIP", gzip(&text)),
            ("gzip", halves),
            ("zstd", zstd::encode_all(&text[..], 1).unwrap()),
            ("gzip, deflate", {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&gzip(&text)).unwrap();
                encoder.finish().unwrap()
            }),
            ("deflate", deflated),
            ("identity", text.clone()),
        ] {
            let (codings, body) = (Coding::parse(header).unwrap(), Bytes::from(body));
            assert_eq!(expand(&codings, &body, text.len()).unwrap(), text, "{header}");
            if !codings.is_empty() {
                let error = expand(&codings, &body, text.len() - 1).unwrap_err();
                assert!(matches!(error, ExpandError::TooLarge(_)), "{header}: {error}");
                let error = expand(&codings, &body.slice(..body.len() / 2), text.len()).unwrap_err();
                assert!(matches!(error, ExpandError::Damaged { .. }), "{header}: {error}");
            }
        }
        assert_eq!(Coding::parse("br"), None);
        assert_eq!(Coding::parse("gzip,gzip,gzip"), None);
    }
}
