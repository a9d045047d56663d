//! Whether bytes are a message of a given definition, all the way down.

use super::schema::{ARRAY_VALUE, KEY_VALUE, KEY_VALUE_LIST};
use super::{Fields, Kind, MAX_NESTING, Message, ProtoError, Value};

/// What is in a message that is sound.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Arrays and lists that are nested too deep. Nobody looks into them, here or later.
    pub(crate) too_deep: u64,
    /// Name of the first attribute that has one; empty if it is in a body.
    pub(crate) first: String,
}

/// Checks a message with all that is in it: kinds of fields and texts. Fields that the definition does not have may be
/// anything.
pub(crate) fn check(message: &'static Message, bytes: &[u8]) -> Result<Checked, ProtoError> {
    let mut checked = Checked::default();
    check_at(message, bytes, MAX_NESTING, &mut checked)?;
    Ok(checked)
}

/// Whether values of that message can be in one another without end.
pub(crate) fn is_nesting(message: &'static Message) -> bool {
    std::ptr::eq(message, &raw const ARRAY_VALUE) || std::ptr::eq(message, &raw const KEY_VALUE_LIST)
}

fn check_at(
    message: &'static Message,
    bytes: &[u8],
    levels: usize,
    checked: &mut Checked,
) -> Result<(), ProtoError> {
    for field in Fields::new(bytes) {
        let (number, value) = field?;
        let Some(field) = message.field(number) else { continue };
        let is_sound = match (field.kind, value) {
            (Kind::Message(inner), Value::Bytes(bytes)) => {
                let Some(inner_levels) = levels.checked_sub(is_nesting(inner).into()) else {
                    checked.too_deep += 1;
                    continue;
                };
                let before = checked.too_deep;
                check_at(inner, bytes, inner_levels, checked)?;
                // the attribute itself, and not a member of its value
                if before == 0
                    && checked.too_deep > 0
                    && levels == MAX_NESTING
                    && std::ptr::eq(inner, &raw const KEY_VALUE)
                {
                    checked.first = crate::values::key_value(bytes).0.to_owned();
                }
                true
            }
            (Kind::Text, Value::Bytes(bytes)) => {
                if std::str::from_utf8(bytes).is_err() {
                    return Err(ProtoError::NotUtf8(number));
                }
                true
            }
            (Kind::Bytes | Kind::Id, Value::Bytes(_)) => true,
            (Kind::Fixed64 | Kind::SignedFixed64 | Kind::Double, Value::Fixed64(_)) => true,
            (Kind::Fixed32, Value::Fixed32(_)) => true,
            (Kind::Bool | Kind::Unsigned | Kind::Signed | Kind::ZigZag | Kind::Enum(_), Value::Varint(_)) => {
                true
            }
            // numbers may be packed into one field
            (Kind::Fixed64 | Kind::Double, Value::Bytes(packed)) => {
                field.is_repeated && packed.len() % 8 == 0
            }
            (Kind::Unsigned, Value::Bytes(packed)) => {
                let mut numbers = Fields::new(packed);
                while !numbers.rest().is_empty() {
                    numbers.varint()?;
                }
                field.is_repeated
            }
            _ => false,
        };
        if !is_sound {
            return Err(ProtoError::WrongKind(number));
        }
    }
    Ok(())
}
