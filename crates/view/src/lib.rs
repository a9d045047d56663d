//! The extension surface: what a view crate is made of, and how it is registered.
//!
//! A *view set* is a named table definition. Its rows come from blocks by a *decoder*, or from the rows of other view
//! sets by SQL. A crate registers what it has with the `register_…!` macros and is linked in by `use the_crate as _;`.
//! `belvedere-core` makes tables of all that is linked.
//!
//! A crate starts with `use belvedere_view::prelude::*;`. It builds without an SQL engine, a database or a runtime.
//!
//! | registration | carries |
//! | --- | --- |
//! | [`ViewSet`] | name, description, documented columns, instances, dependencies, source, version, example |
//! | [`BlockSourceRegistration`] | one more format and tag of blocks for a view set, which may be another crate's |
//! | [`EventLayout`] | the fields of a native event type of variable size |
//! | [`BlockParserRegistration`] | for one more format: a block's objects as JSONB |
//! | [`Page`] | a page of the web application: title, subject, one ES module |
//! | [`Extension`] | what another crate defines: SQL functions, routes, makers |

mod block_parser;
mod block_source;
mod column;
pub mod decoder;
mod meaning;
mod page;
pub mod properties;
mod registration;
mod text;
mod view_set;

pub use block_parser::{BlockParserRegistration, ParseBlock};
pub use block_source::{BlockSource, BlockSourceRegistration};
pub use column::{Column, ColumnType, EventTime, Origin};
pub use meaning::{Role, Unit};
pub use page::{Page, PageSubject};
pub use registration::{API_VERSION, Extension, Item, Registration};
// the engine's own
pub use text::{PropertyDictionary, TextColumn, TextDictionary};
pub use view_set::{Instances, Source, SqlSource, ViewSet};
#[doc(hidden)]
pub use {
    block_source::Decoder,
    column::{DOCUMENTED_TYPE, JSONB, ROLE, UNIT},
    registration::{Submitted, linked_unsorted},
};

pub use belvedere_model as model;
#[doc(no_inline)]
pub use belvedere_model::transit::{EventField, EventLayout};
// the macros' own
#[doc(hidden)]
pub use inventory;

/// The very versions of Arrow's crates that columns are made with, where the crate `arrow` has their contents.
pub mod arrow {
    pub use arrow_buffer as buffer;

    /// Arrays and their builders.
    pub mod array {
        pub use arrow_array::builder::*;
        pub use arrow_array::cast::AsArray;
        pub use arrow_array::*;
    }

    /// Types.
    pub mod datatypes {
        pub use arrow_array::types::*;
        pub use arrow_schema::*;
    }
}

/// What a view crate needs: `use belvedere_view::prelude::*;`.
pub mod prelude {
    pub use crate::arrow::array::ArrayRef;
    pub use crate::decoder::{
        BlockDecoder, BlockReader, DecodeError, Events, ParsedObjects, Rows, StatefulDecoder, Values,
    };
    pub use crate::{
        BlockParserRegistration, BlockSource, BlockSourceRegistration, Column, ColumnType, EventField,
        EventLayout, Instances, Page, PageSubject, PropertyDictionary, Registration, Role, SqlSource,
        TextColumn, TextDictionary, Unit, ViewSet,
    };
    pub use crate::{
        columns, register_block_parser, register_block_source, register_event_layouts, register_page,
        register_view_set,
    };
    pub use belvedere_model::transit::{
        BytesField, Dependencies, Dependency, Event, EventType, F64Field, I64Field, ReferenceField, Text,
        TextField, TransitBlock, U32Field,
    };
}
