//! Primary and foreign keys: none, as empty batches of the protocol's schemas. Tools that explore a database ask for them,
//! and give up on an error.

use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

/// No primary keys.
pub(super) fn no_primary_keys() -> RecordBatch {
    empty(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ])
}

/// No foreign keys: neither exported, imported nor between two tables.
pub(super) fn no_foreign_keys() -> RecordBatch {
    empty(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ])
}

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}

fn empty(fields: Vec<Field>) -> RecordBatch {
    RecordBatch::new_empty(Arc::new(Schema::new(fields)))
}
