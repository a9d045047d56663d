//! Any body is a process, a stream, a block, or an error.
#![no_main]

use belvedere_fuzz::ASSEMBLY;
use belvedere_model::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(process) = wire::decode_process(body) {
        let again = wire::decode_process(&wire::encode_process(&process)).expect("what we write we can read");
        assert_eq!(again, process);
    }
    if let Ok(stream) = wire::decode_stream(body) {
        let again = wire::encode_stream(&stream).expect("what we read we can write");
        assert_eq!(wire::decode_stream(&again).expect("and read again").tags, stream.tags);
        let _ = stream.layout(&ASSEMBLY.layouts());
    }
    if let Ok(block) = wire::decode_block(bytes::Bytes::copy_from_slice(body)) {
        wire::split_payload(&block.payload()).expect("a payload that was accepted comes apart");
    }
});
