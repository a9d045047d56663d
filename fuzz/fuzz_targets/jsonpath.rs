//! Any text is a JSONPath or an error, and is followed to an end in any JSON. The first line is the path.
#![no_main]

use belvedere_functions::fuzzed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some((path, json)) = text.split_once('\n') {
        fuzzed::find(path, json);
    }
});
