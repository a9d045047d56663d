//! Colors as 0xRRGGBBAA: `rgba`, `lerp_color`, `color_scale`.

use crate::color_scales::{SCALES, Stops};
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::{StringViewArray, UInt32Array};
use arrow::datatypes::DataType;
use belvedere_core::assembly::SqlFunction;
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

const RGBA: ScalarFunction = ScalarFunction {
    name: "rgba",
    parameters: &[("r", Kind::Number), ("g", Kind::Number), ("b", Kind::Number), ("a", Kind::Number)],
    result: |_| DataType::UInt32,
    evaluate: |inputs, rows| {
        let (r, g, b, a) =
            (inputs[0].floats()?, inputs[1].floats()?, inputs[2].floats()?, inputs[3].floats()?);
        let colors = (0..rows).map(|row| {
            let channels = [r(row)?, g(row)?, b(row)?, a(row)?];
            Some(u32::from_be_bytes(channels.map(|channel| to_channel(clamped(channel) * 255.0))))
        });
        Ok(Arc::new(colors.collect::<UInt32Array>()))
    },
};

const LERP_COLOR: ScalarFunction = ScalarFunction {
    name: "lerp_color",
    parameters: &[("c1", Kind::Integer), ("c2", Kind::Integer), ("t", Kind::Number)],
    result: |_| DataType::UInt32,
    evaluate: |inputs, rows| {
        let (first, second, t) = (inputs[0].integers()?, inputs[1].integers()?, inputs[2].floats()?);
        let colors = (0..rows).map(|row| {
            let (Some(first), Some(second), Some(t)) = (first(row), second(row), t(row)) else {
                return Ok(None);
            };
            Ok(Some(mix(color(first)?, color(second)?, clamped(t))))
        });
        Ok(Arc::new(colors.collect::<Result<UInt32Array>>()?))
    },
};

const COLOR_SCALE: ScalarFunction = ScalarFunction {
    name: "color_scale",
    parameters: &[("name", Kind::Text), ("t", Kind::Number), ("alpha", Kind::Number)],
    result: |_| DataType::UInt32,
    evaluate: |inputs, rows| {
        let scales = scales(&inputs[0].texts()?)?;
        let (t, alpha) = (inputs[1].floats()?, inputs[2].floats()?);
        let colors = (0..rows).map(|row| {
            let scale = scales[inputs[0].value_index(row)?]?;
            let (t, alpha) = (t(row)?, alpha(row)?);
            Some(color_at(scale, clamped(t)) | u32::from(to_channel(clamped(alpha) * 255.0)))
        });
        Ok(Arc::new(colors.collect::<UInt32Array>()))
    },
};

/// Clamps to 0 … 1. NaN becomes 0.
fn clamped(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// Rounds to a channel of a color, halves up.
fn to_channel(value: f64) -> u8 {
    (value + 0.5).floor() as u8
}

fn color(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| {
        DataFusionError::Execution(format!(
            "lerp_color takes colors 0xRRGGBBAA, from 0 to 4294967295, not {value}"
        ))
    })
}

fn mix(first: u32, second: u32, t: f64) -> u32 {
    let (first, second) = (first.to_be_bytes(), second.to_be_bytes());
    let channel = |i: usize| {
        let (a, b) = (f64::from(first[i]), f64::from(second[i]));
        to_channel(a + (b - a) * t)
    };
    u32::from_be_bytes([channel(0), channel(1), channel(2), channel(3)])
}

/// The color without alpha.
fn color_at(stops: &Stops, t: f64) -> u32 {
    let position = t * (stops.len() - 1) as f64;
    let below = (position as usize).min(stops.len() - 2);
    mix(stops[below] << 8, stops[below + 1] << 8, position - below as f64)
}

/// The scale of each name.
fn scales(names: &StringViewArray) -> Result<Vec<Option<&'static Stops>>> {
    let scale = |name: &str| match SCALES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, stops)) => Ok(stops),
        None => Err(DataFusionError::Execution(format!(
            "unknown color scale '{name}'; available: {}",
            SCALES.map(|(known, _)| known).join(", ")
        ))),
    };
    names.iter().map(|name| name.map(scale).transpose()).collect()
}

belvedere_core::register_functions! {
    SqlFunction::scalar("color_scale(name, t, alpha)", |_| COLOR_SCALE.into_udf())
        .about(
            "The color 0xRRGGBBAA at t from 0 to 1 of viridis, magma, plasma, inferno, cividis or turbo, in any \
             case. Values beyond are taken as 0 or 1.",
        ),
    SqlFunction::scalar("lerp_color(c1, c2, t)", |_| LERP_COLOR.into_udf())
        .about("The color 0xRRGGBBAA between c1 (t = 0) and c2 (t = 1), each channel by itself."),
    SqlFunction::scalar("rgba(r, g, b, a)", |_| RGBA.into_udf())
        .about("The color 0xRRGGBBAA of four channels from 0 to 1. Values beyond are taken as 0 or 1."),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_begin_and_end_with_their_published_colors() {
        let ends = SCALES.map(|(name, stops)| (name, color_at(&stops, 0.0) >> 8, color_at(&stops, 1.0) >> 8));
        assert_eq!(
            ends,
            [
                ("viridis", 0x440154, 0xfde725),
                ("magma", 0x000004, 0xfcfdbf),
                ("plasma", 0x0d0887, 0xf0f921),
                ("inferno", 0x000004, 0xfcffa4),
                ("cividis", 0x00224e, 0xfee838),
                ("turbo", 0x30123b, 0x7a0403),
            ]
        );
    }

    #[test]
    fn halves_are_rounded_up_and_what_is_no_number_is_zero() {
        assert_eq!(mix(0, 0xffff_ffff, 0.5), 0x8080_8080);
        assert_eq!(mix(0xff00_00ff, 0x0000_ffff, 0.25), 0xbf00_40ff);
        assert_eq!(clamped(f64::NAN), 0.0);
        assert_eq!(clamped(f64::INFINITY), 1.0);
    }
}
