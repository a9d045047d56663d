//! Any bytes are a ticket, the handle of a prepared statement, or an error, and so are any parameters in one.
#![no_main]

use belvedere_flight_sql::server::fuzzing;
use libfuzzer_sys::fuzz_target;

/// What handles begin with that are not just SQL.
const MAGIC: &[u8] = b"\0belvedere\x01";

fuzz_target!(|bytes: &[u8]| {
    fuzzing::ticket(bytes);
    fuzzing::ticket(&[MAGIC, bytes].concat());
    // a statement with these as parameters: field 1 is the text, field 8 their bytes
    let mut handle = [MAGIC, b"\x0a\x09SELECT $1\x42"].concat();
    let mut length = bytes.len();
    while length >= 0x80 {
        handle.push(length as u8 | 0x80);
        length >>= 7;
    }
    handle.push(length as u8);
    handle.extend_from_slice(bytes);
    fuzzing::ticket(&handle);
});
