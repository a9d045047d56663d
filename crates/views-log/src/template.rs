//! Messages that are sent as a template and its properties.
//!
//! `{{` and `}}` give one brace; `{name}`, `{name:}` and `{name:?}` are replaced by the property of that
//! name; a placeholder without a property, and any lone brace, stays as it is.

use belvedere_view::prelude::DecodeError;

/// Appends the rendered message to `message`, which may grow to `limit` bytes.
pub(crate) fn render<'a>(
    template: &str,
    property: impl Fn(&str) -> Option<&'a str>,
    message: &mut String,
    limit: usize,
) -> Result<(), DecodeError> {
    let mut rest = template;
    while let Some(brace) = rest.find(['{', '}']) {
        push(message, &rest[..brace], limit)?;
        rest = &rest[brace..];
        let (text, taken) = if rest.starts_with("{{") || rest.starts_with("}}") {
            (&rest[..1], 2)
        } else {
            match placeholder(rest) {
                Some((name, length)) => (property(name).unwrap_or(&rest[..length]), length),
                None => (&rest[..1], 1),
            }
        };
        push(message, text, limit)?;
        rest = &rest[taken..];
    }
    push(message, rest, limit)
}

/// Name and length of the placeholder at the start of `text`, if there is one.
fn placeholder(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix('{')?;
    let end = inside.find(['{', '}'])?;
    if !inside[end..].starts_with('}') {
        return None;
    }
    let name = inside[..end].strip_suffix(":?").or(inside[..end].strip_suffix(':')).unwrap_or(&inside[..end]);
    Some((name, end + 2))
}

fn push(message: &mut String, text: &str, limit: usize) -> Result<(), DecodeError> {
    if message.len() + text.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    message.push_str(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> String {
        let mut message = String::new();
        let property = |name: &str| match name {
            "a" => Some("1"),
            "long name" => Some("{a}"),
            _ => None,
        };
        render(template, property, &mut message, 1000).unwrap();
        message
    }

    #[test]
    fn placeholders_take_properties_and_everything_else_stays() {
        for (template, message) in [
            ("plain", "plain"),
            ("a={a}", "a=1"),
            ("{a:}{a:?}!", "11!"),
            ("{{a}} }} {{", "{a} } {"),
            ("{unknown} {unknown:?}", "{unknown} {unknown:?}"),
            ("{long name} is not rendered again", "{a} is not rendered again"),
            ("lone { and } and {a", "lone { and } and {a"),
            ("{ {a}", "{ 1"),
            ("é{a}漢", "é1漢"),
            ("", ""),
        ] {
            assert_eq!(rendered(template), message);
        }
    }

    #[test]
    fn a_message_that_grows_over_the_limit_is_refused() {
        let value = "x".repeat(100);
        let mut message = String::new();
        let outcome = render("{a}{a}{a}", |_| Some(&value), &mut message, 250);
        assert_eq!(outcome, Err(DecodeError::TooLarge { limit: 250 }));
    }
}
