//! Whether bytes are a message of a given definition, all the way down.

use super::{Fields, Kind, MAX_NESTING, Message, ProtoError, Value};

/// Checks a message with all that is in it: kinds of fields, texts, depth. Fields that the definition does not have
/// may be anything.
pub(crate) fn check(message: &'static Message, bytes: &[u8]) -> Result<(), ProtoError> {
    // a value in a value is two or three messages deeper
    check_at(message, bytes, 2 * MAX_NESTING)
}

fn check_at(message: &'static Message, bytes: &[u8], depth: usize) -> Result<(), ProtoError> {
    for field in Fields::new(bytes) {
        let (number, value) = field?;
        let Some(field) = message.field(number) else { continue };
        let is_sound = match (field.kind, value) {
            (Kind::Message(inner), Value::Bytes(bytes)) => {
                let Some(depth) = depth.checked_sub(1) else { return Err(ProtoError::TooDeep) };
                check_at(inner, bytes, depth)?;
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
