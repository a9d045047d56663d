//! Layouts of native events of variable size, which streams announce by name only.
//!
//! Client libraries serialize such events field by field, without padding. The stream does not say what the fields are, so
//! they are registered by the type's name, beside the decoder that reads them.

use std::sync::Arc;

/// The fields of a native event type of variable size, in the order in which its records have them.
///
/// Fields of fixed size come first, then any number of texts, then at most one bare text or blob.
///
/// ```
/// use belvedere_model::transit::{EventField, EventLayout};
/// const PICTURE: EventLayout = EventLayout::new(
///     "ImageEvent",
///     &[EventField::i64("time"), EventField::text("name"), EventField::blob("data")],
/// );
/// assert_eq!(PICTURE.name(), "ImageEvent");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLayout {
    name: &'static str,
    fields: &'static [EventField],
}

/// One field of an [`EventLayout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventField {
    pub(super) name: &'static str,
    pub(super) kind: FieldKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    U8,
    U32,
    I64,
    F64,
    Reference,
    EmbeddedReference(&'static str),
    Text,
    BareText,
    Blob,
}

impl FieldKind {
    pub(super) const fn is_fixed(self) -> bool {
        !matches!(self, Self::Text | Self::BareText | Self::Blob)
    }
}

impl EventLayout {
    /// The layout of the type that streams announce by that name.
    ///
    /// # Panics
    /// At compile time, if fields are in an order that records can't have: see [`EventLayout`].
    pub const fn new(name: &'static str, fields: &'static [EventField]) -> Self {
        let mut i = 1;
        while i < fields.len() {
            let (before, this) = (fields[i - 1].kind, fields[i].kind);
            assert!(before.is_fixed() || !this.is_fixed(), "fields of fixed size come before all others");
            assert!(
                !matches!(before, FieldKind::BareText | FieldKind::Blob),
                "a bare text or a blob is the last field"
            );
            i += 1;
        }
        assert!(fields.len() < 128, "a type has fewer than 128 fields");
        Self { name, fields }
    }

    /// Name of the type on the wire.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn fields(&self) -> &'static [EventField] {
        self.fields
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        pub const fn $name(name: &'static str) -> Self {
            Self { name, kind: FieldKind::$kind }
        }
    )*};
}

impl EventField {
    constructors! {
        /// An unsigned integer of one byte.
        u8 => U8;
        /// An unsigned integer of 4 bytes, little-endian.
        u32 => U32;
        /// A 64-bit integer, little-endian; an unsigned one is reinterpreted.
        i64 => I64;
        /// A double, little-endian.
        f64 => F64;
        /// The id of a dependency, 8 bytes: a text, a property set, a call site.
        reference => Reference;
        /// A text: codec (1 byte), length in bytes (4 bytes), the text.
        text => Text;
        /// A text without a length: the rest of the record.
        bare_text => BareText;
        /// Bytes: their number (4 bytes), the bytes.
        blob => Blob;
    }

    /// An instance of a reference type of the stream, for example `StaticStringRef`. Its size and the offset of its id are
    /// what the stream announced.
    pub const fn embedded_reference(name: &'static str, type_name: &'static str) -> Self {
        Self { name, kind: FieldKind::EmbeddedReference(type_name) }
    }

    /// Name that decoders ask for.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// All registered layouts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct EventLayouts(Arc<[&'static EventLayout]>);

impl EventLayouts {
    /// The layout of the type of that name.
    pub fn get(&self, name: &str) -> Option<&'static EventLayout> {
        // a stream has few types and asks for each once: a map would not pay off
        self.0.iter().find(|layout| layout.name == name).copied()
    }
}

impl FromIterator<&'static EventLayout> for EventLayouts {
    fn from_iter<T: IntoIterator<Item = &'static EventLayout>>(layouts: T) -> Self {
        Self(layouts.into_iter().collect())
    }
}
