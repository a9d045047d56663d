//! Content negotiation: the `Accept` header.

use axum::http::{HeaderMap, header};
use belvedere_core::query::formats::Format;
use std::cmp::Reverse;

/// The format that the client prefers, the default if it has no preference; `None` if it accepts none of ours.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Format> {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let ranges: Vec<MediaRange> =
        lines.flat_map(|line| line.split(',')).filter_map(MediaRange::parse).collect();
    if ranges.is_empty() {
        return Some(Format::ALL[0]);
    }
    let rated = Format::ALL.into_iter().enumerate().filter_map(|(order, format)| {
        // the most specific range that matches a format counts
        let fits = ranges
            .iter()
            .enumerate()
            .filter_map(|(place, range)| Some((range.specificity(format)?, place, range)));
        let (fit, place, range) = fits.max_by_key(|(fit, place, _)| (*fit, Reverse(*place)))?;
        // of two formats with the same quality, the one with the more specific range
        (range.quality > 0).then_some(((range.quality, fit, Reverse(place), Reverse(order)), format))
    });
    rated.max_by_key(|(rating, _)| *rating).map(|(_, format)| format)
}

/// One media range, in lower case.
struct MediaRange {
    kind: String,
    subtype: String,
    /// In thousandths.
    quality: u16,
}

impl MediaRange {
    /// `None` for what is not a media range: it is ignored.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut quality = 1000;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("q")
            {
                let value: f32 = value.trim().parse().ok()?;
                if !(0.0..=1.0).contains(&value) {
                    return None;
                }
                quality = (value * 1000.0).round() as u16;
            }
        }
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), quality })
    }

    /// How specific it is for this format; `None` if it does not match.
    fn specificity(&self, format: Format) -> Option<u8> {
        let (kind, subtype) = format.media_type().split_once('/')?;
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => Some(0),
            (k, "*") if k == kind => Some(1),
            (k, s) if k == kind && s == subtype => Some(2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn of(accept: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for line in accept {
            headers.append(header::ACCEPT, HeaderValue::from_str(line).unwrap());
        }
        negotiate(&headers).map(Format::name)
    }

    #[test]
    fn who_does_not_care_gets_one_object_a_line() {
        for accept in [&[][..], &[""], &["*/*"], &["application/*"], &["*/*;q=0.1"], &["nonsense"]] {
            assert_eq!(of(accept), Some("ndjson"), "{accept:?}");
        }
    }

    #[test]
    fn each_format_can_be_asked_for_by_its_media_type() {
        for format in Format::ALL {
            assert_eq!(of(&[format.media_type()]), Some(format.name()));
            assert_eq!(of(&[&format.media_type().to_ascii_uppercase()]), Some(format.name()));
        }
        assert_eq!(of(&["text/*"]), Some("csv"));
    }

    #[test]
    fn the_greatest_quality_wins_and_then_the_one_that_was_named_first() {
        assert_eq!(of(&["text/csv;q=0.5, application/json; q=0.7"]), Some("json"));
        assert_eq!(of(&["text/csv;q=0.5", "application/json;q=0.4"]), Some("csv"));
        assert_eq!(of(&["text/csv, application/json"]), Some("csv"));
        assert_eq!(of(&["application/json, text/plain, */*"]), Some("json"));
        assert_eq!(of(&["text/html, */*;q=0.8"]), Some("ndjson"));
    }

    #[test]
    fn a_quality_of_nothing_is_a_refusal() {
        assert_eq!(of(&["application/x-ndjson;q=0, */*"]), Some("json"));
        assert_eq!(of(&["*/*;q=0"]), None);
        assert_eq!(of(&["text/csv;q=0"]), None);
        assert_eq!(of(&["text/html", "image/png;q=1"]), None);
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(accept in "[ -~]{0,40}") {
            of(&[&accept]);
        }
    }
}
