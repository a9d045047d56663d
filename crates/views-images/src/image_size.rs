//! `image_size(data)`: width and height of a picture.

use belvedere_core::arrow::array::{ArrayRef, AsArray, StringBuilder};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::DataType;
use belvedere_core::assembly::SqlFunction;
use belvedere_core::datafusion::error::Result;
use belvedere_core::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use std::sync::Arc;

belvedere_core::register_functions! {
    SqlFunction::scalar("image_size(data)", |_| {
        let implementation = Arc::new(image_size);
        create_udf("image_size", vec![DataType::Binary], DataType::Utf8, Volatility::Immutable, implementation)
    })
        .about("Width and height of an encoded picture in pixels, as '640x480'; NULL if it is no PNG."),
}

fn image_size(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let pictures = ColumnarValue::values_to_arrays(arguments)?;
    let pictures = cast(&pictures[0], &DataType::Binary)?;
    let mut sizes = StringBuilder::new();
    for picture in pictures.as_binary::<i32>() {
        match picture.and_then(png_size) {
            Some((width, height)) => sizes.append_value(format!("{width}x{height}")),
            None => sizes.append_null(),
        }
    }
    Ok(ColumnarValue::Array(Arc::new(sizes.finish()) as ArrayRef))
}

/// A PNG begins with its signature and the chunk IHDR, which begins with width and height, big-endian:
/// <https://www.w3.org/TR/png-3/#11IHDR>
fn png_size(picture: &[u8]) -> Option<(u32, u32)> {
    let header = picture.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..)?.strip_prefix(b"IHDR")?;
    let (width, rest) = header.split_first_chunk()?;
    let height = rest.first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}
