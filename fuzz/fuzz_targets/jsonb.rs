//! Any bytes are JSONB or not, for every function that takes it. The first line is what these take beside it.
#![no_main]

use belvedere_functions::fuzzed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (text, value) = bytes.split_at(end);
    if let (Ok(text), Some(value)) = (std::str::from_utf8(text), value.get(1..)) {
        fuzzed::on_jsonb(value, text);
    }
});
