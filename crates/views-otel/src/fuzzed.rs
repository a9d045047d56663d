//! What routes do with bodies that anybody can send, for fuzz targets: nothing of it may stop the process.

use crate::request::{Form, parts};
use crate::signal::Signal;
use bytes::Bytes;

/// A part of a request, as it is stored in a block.
#[derive(Debug)]
pub struct Stored {
    /// Tag of its stream.
    pub tag: &'static str,
    /// Format of its stream.
    pub format: &'static str,
    /// Number of events that the block says it has.
    pub records: u64,
    /// The block's objects.
    pub objects: Bytes,
}

/// Takes a request apart, as one about traces, logs and metrics, in protobuf or in JSON.
pub fn request(is_json: bool, body: &Bytes) -> Vec<Stored> {
    let form = if is_json { Form::Json } else { Form::Protobuf };
    let all =
        Signal::ALL.into_iter().filter_map(|signal| Some((signal, parts(signal, form, body).ok()?.parts)));
    all.flat_map(|(signal, parts)| {
        parts.into_iter().flat_map(move |part| {
            let stored = move |objects| Stored {
                tag: signal.tag(),
                format: signal.format(),
                records: part.summary.records,
                objects,
            };
            [Some(part.message), part.as_sent].into_iter().flatten().map(stored)
        })
    })
    .collect()
}
