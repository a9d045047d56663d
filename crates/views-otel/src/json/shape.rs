//! Objects that are no OTLP although they are JSON: names of other signals, of old versions and of other spellings,
//! records where nothing looks for them.

use crate::proto::{Field, KEY_VALUE, Message};
use crate::signal::Signal;
use std::borrow::Cow;

/// What was seen of an object's members.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// By their positions in the definition.
    known: u32,
    /// The first one that OTLP does not have.
    unknown: Option<String>,
}

/// Names of versions before 1.0, and what is called so now.
const RENAMED: &[(&str, &str)] = &[
    ("instrumentationLibrary", "scope"),
    ("instrumentation_library", "scope"),
    ("labels", "attributes"),
    ("filteredLabels", "filteredAttributes"),
    ("filtered_labels", "filteredAttributes"),
];

impl Members {
    /// The field of that name. A name that OTLP does not have is kept for later; one that can only be meant for another
    /// is an error.
    pub(super) fn find(
        &mut self,
        message: &'static Message,
        key: Cow<'_, str>,
    ) -> Result<Option<&'static Field>, String> {
        let known = message.fields.iter().position(|f| f.name == key || is_snake_case_of(f.name, &key));
        if let Some(position) = known {
            self.known |= 1 << position;
            return Ok(message.fields.get(position));
        }
        if let Some(field) = message.fields.iter().find(|field| is_respelled(field.name, &key)) {
            return Err(format!("'{}' is spelled {} in OTLP", short(&key), field.name));
        }
        let is_here = |name: &str| message.fields.iter().any(|field| field.name == name);
        if let Some((old, new)) = RENAMED.iter().find(|(old, new)| *old == key && is_here(new)) {
            return Err(format!("OTLP calls '{old}' {new} since 2022"));
        }
        if self.unknown.is_none() {
            self.unknown = Some(short(&key).to_owned());
        }
        Ok(None)
    }

    /// Whether an object that was read is what it should be: one that has members, but none that OTLP knows, or not
    /// the one that all of it is for, is something else.
    pub(super) fn check(&self, message: &'static Message) -> Result<(), String> {
        let Some(unknown) = &self.unknown else { return Ok(()) };
        let missing = content(message).filter(|(position, _)| self.known & 1 << position == 0);
        if let Some((_, name)) = missing {
            return Err(format!("'{unknown}' is no member of OTLP here, and {name} is missing"));
        }
        match self.known {
            0 => {
                let names: Vec<&str> = message.fields.iter().map(|field| field.name).collect();
                Err(format!("'{unknown}' is no member of OTLP here, which are {}", names.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// The same of a request.
    pub(super) fn check_request(&self, signal: Signal) -> Result<(), String> {
        let Some(unknown) = self.unknown.as_ref().filter(|_| self.known == 0) else { return Ok(()) };
        let name = |signal: Signal| signal.request().fields[0].name;
        let other = Signal::ALL.into_iter().find(|other| name(*other) == unknown);
        Err(match other {
            Some(other) => {
                format!("the body has {unknown} and no {}: send it to /v1/{}", name(signal), other.name())
            }
            None => format!("'{unknown}' is no member of OTLP here, and {} is missing", name(signal)),
        })
    }
}

/// The member that an object is for, and its position, if it has one.
fn content(message: &'static Message) -> Option<(usize, &'static str)> {
    if std::ptr::eq(message, &raw const KEY_VALUE) {
        return Some((1, "value"));
    }
    let names = ["scopeSpans", "scopeLogs", "scopeMetrics", "spans", "logRecords", "metrics", "dataPoints"];
    let is_content = |field: &Field| field.is_repeated && names.contains(&field.name);
    message.fields.iter().position(is_content).map(|position| (position, message.fields[position].name))
}

/// What to say of an object where an array should be.
pub(super) fn not_an_array(field: &Field, message: &'static Message) -> String {
    let of = match std::ptr::eq(message, &raw const KEY_VALUE) {
        true => " of {\"key\": \"…\", \"value\": {\"stringValue\": \"…\"}}",
        false => "",
    };
    format!("{} is an object; OTLP has an array{of} there", field.name)
}

/// As much of a name as stands in a message.
fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(100)]
}

/// Whether a text is the name in other capitals, or with other signs between its words.
fn is_respelled(name: &str, other: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| !['_', '-'].contains(c)).map(|c| c.to_ascii_lowercase()).collect()
    };
    letters(name) == letters(other)
}

/// Whether `snake` is the definition's spelling of the lower camel case `name`.
fn is_snake_case_of(name: &str, snake: &str) -> bool {
    let mut rest = snake.bytes();
    name.bytes().all(|byte| {
        let is_word = !byte.is_ascii_uppercase() || rest.next() == Some(b'_');
        is_word && rest.next() == Some(byte.to_ascii_lowercase())
    }) && rest.next().is_none()
}
