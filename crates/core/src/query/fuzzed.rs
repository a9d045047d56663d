//! What is decided about statements that anybody can send, for fuzz targets.

use super::statement_limits;

/// Whether the engine gets to see a statement.
pub fn is_let_through(sql: &str) -> bool {
    statement_limits::check(sql).is_ok()
}
