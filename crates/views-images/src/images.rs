//! `images`: one row for each image.

use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id(),
    STREAM_ID = Column::stream_id(),
    BLOCK_ID = Column::block_id(),
    TIME = Column::time("time", "when it was taken").event_time(),
    NAME = Column::utf8("name", "name given by the sender").role(Role::Name),
    FORMAT = Column::utf8("format", "how the picture is encoded: png, jpg").role(Role::MediaType),
    SIZE = Column::int64("size", "bytes of the encoded picture").unit(Unit::Bytes),
    DATA = Column::binary("data", "the encoded picture").role(Role::Content),
}

register_view_set! {
    ViewSet::new("images")
        .about("Pictures that a process sent, screenshots mostly")
        .columns(COLUMNS)
        .instances(Instances::PerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("image", &ImageDecoder))
        .version(2)
        .example("SELECT time, name, image_size(data) AS size FROM view_instance('images', '<process id>') ORDER BY time")
}

#[derive(Debug)]
struct ImageDecoder;

impl BlockDecoder for ImageDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let images = block.events("ImageEvent")?;
        rows.put(&TIME, images.times("time")?)?;
        rows.put(&NAME, images.texts("name")?)?;
        rows.put(&FORMAT, images.texts("format")?)?;
        rows.put(&SIZE, images.map(|t| t.bytes("data"), |data, image| Ok(data.get(image)?.len() as i64))?)?;
        rows.put_with(&DATA, || images.blobs("data"))?;
        Ok(images.len())
    }
}
