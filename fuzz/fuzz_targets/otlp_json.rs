//! Any body is a request of OTLP in JSON or an error, and what is stored of it gives rows.
#![no_main]

use belvedere_fuzz::otlp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| otlp(true, body));
