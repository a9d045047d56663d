//! What the limits on statements let through can be parsed and planned.
//!
//! A line of the input is a piece of the statement; `5000*` before it repeats it.
#![no_main]

use belvedere_core::query::fuzzed::is_let_through;
use belvedere_core::{Lake, LakeConfig};
use belvedere_fuzz::ASSEMBLY;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tokio::runtime::Runtime;

/// Bytes of a statement: more than are let through.
const MOST_BYTES: usize = 2 << 20;

static LAKE: LazyLock<(Runtime, Lake)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("threads can be started");
    let options = belvedere_lake::LakeOptions::in_memory();
    let lake = Lake::assemble(&options, ASSEMBLY.clone(), LakeConfig::default());
    let lake = runtime.block_on(lake).expect("a lake can be made");
    (runtime, lake)
});

fn statement(input: &str) -> Option<String> {
    let mut statement = String::new();
    for line in input.lines() {
        let repeated =
            line.split_once('*').and_then(|(times, piece)| Some((times.parse::<usize>().ok()?, piece)));
        let (times, piece) = repeated.unwrap_or((1, line));
        if piece.len().checked_mul(times)? > MOST_BYTES - statement.len().min(MOST_BYTES) {
            return None;
        }
        statement.push_str(&piece.repeat(times));
    }
    Some(statement)
}

fuzz_target!(|input: &str| {
    let Some(sql) = statement(input) else { return };
    // EXPLAIN plans, and only EXPLAIN ANALYZE runs the statement
    if is_let_through(&sql) && !sql.to_ascii_lowercase().contains("analyze") {
        let (runtime, lake) = &*LAKE;
        let _ = runtime.block_on(lake.sql(&format!("EXPLAIN {sql}")));
    }
});
