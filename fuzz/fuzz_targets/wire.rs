//! Any body is a process, a stream, a block, or an error.
#![no_main]

use belvedere_fuzz::ASSEMBLY;
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_model::{ProcessInfo, StreamInfo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(process) = ProcessInfo::decode(body) {
        let again = ProcessInfo::decode(&process.encode()).expect("what we write we can read");
        assert_eq!(again, process);
    }
    if let Ok(stream) = StreamInfo::decode(body) {
        let again = stream.encode().expect("what we read we can write");
        assert_eq!(StreamInfo::decode(&again).expect("and read again").tags, stream.tags);
        let _ = stream.layout(&ASSEMBLY.layouts());
    }
    if let Ok(block) = BlockRequest::decode(bytes::Bytes::copy_from_slice(body)) {
        PayloadParts::split(&block.payload()).expect("a payload that was accepted comes apart");
    }
});
