//! `images`: one row for each picture.

use crate::decoder::ImageDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "images",
        about: "Pictures that a process sent, screenshots mostly",
        columns: &[
            Column::process_id(),
            Column::stream_id(),
            Column::block_id(),
            Column::time("time", "when it was taken").event_time(),
            Column::utf8("name", "name given by the sender"),
            Column::utf8("format", "how the picture is encoded: png, jpg"),
            Column::int64("size", "bytes of the encoded picture"),
            Column::binary("data", "the encoded picture"),
        ],
        instances: Instances::PerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("image", &ImageDecoder)),
        version: 1,
        example: "SELECT time, name, image_size(data) AS size FROM view_instance('images', '<process id>') ORDER BY time",
    }
}
