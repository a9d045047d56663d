//! The credential of a request.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Padding is optional: the Go driver of ADBC does not pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Longer credentials are ignored.
const LONGEST: usize = 16 << 10;

/// The key or token of a request: `Bearer KEY`, or `Basic` with the key as password and any user name, for clients that
/// support nothing else. `None` if there is none, or more than one.
pub(super) fn credential(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() || value.len() > LONGEST {
        return None;
    }
    let (scheme, rest) = value.to_str().ok()?.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(rest.to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        let (_, password) = decoded.split_once(':')?;
        Some(password.to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn shown(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        credential(&headers)
    }

    #[test]
    fn a_key_is_shown_as_bearer_or_as_password() {
        assert_eq!(shown(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(shown(&["bearer  abc "]).as_deref(), Some("abc"));
        let basic = format!("Basic {}", BASE64.encode("somebody:a:b"));
        assert_eq!(shown(&[&basic]).as_deref(), Some("a:b"));
        for user in ["x", "xy", "xyz"] {
            let padded = BASE64.encode(format!("{user}:key"));
            for basic in [&*padded, padded.trim_end_matches('=')] {
                assert_eq!(shown(&[&format!("Basic {basic}")]).as_deref(), Some("key"), "{basic}");
            }
        }
    }

    #[test]
    fn anything_else_shows_nothing() {
        let no_password = format!("Basic {}", BASE64.encode("abc"));
        let long = format!("Bearer {}", "a".repeat(LONGEST));
        for values in [
            &[][..],
            &[""],
            &["abc"],
            &["Digest abc"],
            &["Basic %%%"],
            &[&no_password],
            &[&long],
            &["Bearer abc", "Bearer def"],
        ] {
            assert_eq!(shown(values), None, "{values:.1?}");
        }
    }
}
