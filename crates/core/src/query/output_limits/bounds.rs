//! How many bytes can come out of a function at most, by what goes in.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

/// The most bytes that can be made of that.
pub(super) type Bound = fn(&Given) -> Result<usize>;

/// Functions of the engine that can make much out of little, by name.
pub(super) const BOUNDS: [(&str, Bound); 17] = [
    ("array_concat", sum),
    ("array_repeat", array_repeat),
    ("array_replace", array_replace),
    ("array_replace_all", array_replace),
    ("array_replace_n", array_replace),
    ("array_resize", array_resize),
    ("array_to_string", array_to_string),
    ("concat", sum),
    ("concat_ws", concat_ws),
    ("generate_series", range),
    ("lpad", pad),
    ("overlay", sum),
    ("range", range),
    ("regexp_replace", regexp_replace),
    ("repeat", repeat),
    ("replace", replace),
    ("rpad", pad),
];

/// The bound of the function of that name, if it needs one.
pub(super) fn bound_of(name: &str) -> Option<Bound> {
    BOUNDS.iter().find(|(bounded, _)| *bounded == name).map(|(_, bound)| *bound)
}

/// Arguments, and for how many rows they are.
pub(super) struct Given<'a> {
    pub(super) args: &'a [ColumnarValue],
    pub(super) rows: usize,
}

impl Given<'_> {
    /// Bytes of an argument in all rows.
    fn total(&self, arg: usize) -> Result<usize> {
        Ok(match self.args.get(arg) {
            Some(arg @ ColumnarValue::Scalar(_)) => bytes_of(arg)?.saturating_mul(self.rows),
            Some(arg) => bytes_of(arg)?,
            None => 0,
        })
    }

    /// Bytes of an argument in the row that has the most of them.
    fn longest(&self, arg: usize) -> Result<usize> {
        Ok(match self.args.get(arg) {
            Some(ColumnarValue::Array(array)) => {
                (0..array.len()).map(|row| bytes(array.slice(row, 1).as_ref())).max().unwrap_or(0)
            }
            Some(arg) => bytes_of(arg)?,
            None => 0,
        })
    }

    /// The greatest number of an argument; 0 if none is greater.
    fn most(&self, arg: usize) -> Result<usize> {
        let Some(arg) = self.args.get(arg) else { return Ok(0) };
        let numbers = cast(&array(arg)?, &DataType::Int64)?;
        Ok(max(numbers.as_primitive::<Int64Type>()).and_then(|n| usize::try_from(n).ok()).unwrap_or(0))
    }

    /// Elements of an argument's lists in all rows.
    fn elements(&self, arg: usize) -> Result<usize> {
        Ok(match self.args.get(arg) {
            Some(ColumnarValue::Array(array)) => elements(array.as_ref()),
            Some(arg) => elements(array(arg)?.as_ref()).saturating_mul(self.rows),
            None => 0,
        })
    }
}

/// Bytes of the values of an argument: of a constant once.
pub(super) fn bytes_of(value: &ColumnarValue) -> Result<usize> {
    Ok(match value {
        ColumnarValue::Array(array) => bytes(array.as_ref()),
        ColumnarValue::Scalar(
            ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text),
        ) => text.as_ref().map_or(0, String::len),
        ColumnarValue::Scalar(_) => bytes(array(value)?.as_ref()),
    })
}

/// One row for a constant.
fn array(value: &ColumnarValue) -> Result<ArrayRef> {
    match value {
        ColumnarValue::Array(array) => Ok(array.clone()),
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
    }
}

/// Bytes of the values of exactly these rows, whatever they share with others.
fn bytes(array: &dyn Array) -> usize {
    fn between<T: Copy + TryInto<usize>>(offsets: &[T]) -> usize {
        let at = |offset: Option<&T>| offset.and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
        at(offsets.last()).saturating_sub(at(offsets.first()))
    }
    match array.data_type() {
        DataType::Utf8 => between(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => between(array.as_string::<i64>().value_offsets()),
        DataType::Binary => between(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => between(array.as_binary::<i64>().value_offsets()),
        // the low half of a view's first word is the length of its value
        DataType::Utf8View => array.as_string_view().views().iter().map(|view| *view as u32 as usize).sum(),
        DataType::BinaryView => array.as_binary_view().views().iter().map(|view| *view as u32 as usize).sum(),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|column| bytes(column)).fold(0, usize::saturating_add)
        }
        DataType::Dictionary(..) => dictionary_bytes(array),
        other => match children(array) {
            Some(children) => bytes(children.as_ref()),
            None => array.len().saturating_mul(other.primitive_width().unwrap_or(1)),
        },
    }
}

fn dictionary_bytes(array: &dyn Array) -> usize {
    let Some(dictionary) = array.as_any_dictionary_opt().filter(|d| !d.values().is_empty()) else { return 0 };
    let values = dictionary.values();
    let sizes: Vec<usize> = (0..values.len()).map(|i| bytes(values.slice(i, 1).as_ref())).collect();
    let used = dictionary.normalized_keys().into_iter().filter_map(|key| sizes.get(key));
    used.copied().fold(0, usize::saturating_add)
}

/// The elements of the lists of exactly these rows; `None` if they are no lists.
fn children(array: &dyn Array) -> Option<ArrayRef> {
    fn slice<T: Copy + TryInto<usize>>(values: &dyn Array, offsets: &[T]) -> Option<ArrayRef> {
        let begin = (*offsets.first()?).try_into().ok()?;
        let end: usize = (*offsets.last()?).try_into().ok()?;
        Some(values.slice(begin, end.saturating_sub(begin)))
    }
    match array.data_type() {
        DataType::List(_) => slice(array.as_list::<i32>().values(), array.as_list::<i32>().value_offsets()),
        DataType::LargeList(_) => {
            slice(array.as_list::<i64>().values(), array.as_list::<i64>().value_offsets())
        }
        DataType::Map(..) => slice(array.as_map().entries(), array.as_map().value_offsets()),
        // those of all rows: a slice of such an array has a slice of the values
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().values().clone()),
        _ => None,
    }
}

fn elements(array: &dyn Array) -> usize {
    match children(array) {
        // of lists in lists too
        Some(children) => elements(children.as_ref()).max(children.len()),
        None => array.len(),
    }
}

fn sum(given: &Given) -> Result<usize> {
    let totals = (0..given.args.len()).map(|arg| given.total(arg)).collect::<Result<Vec<_>>>()?;
    Ok(totals.into_iter().fold(0, usize::saturating_add))
}

fn concat_ws(given: &Given) -> Result<usize> {
    let separators = given.total(0)?.saturating_mul(given.args.len());
    Ok(sum(given)?.saturating_add(separators))
}

fn repeat(given: &Given) -> Result<usize> {
    Ok(given.total(0)?.saturating_mul(given.most(1)?))
}

/// A character has up to four bytes, and no more than what is filled with.
fn pad(given: &Given) -> Result<usize> {
    let character = given.longest(2)?.clamp(1, 4);
    let filled = given.most(1)?.saturating_mul(character).saturating_mul(given.rows);
    Ok(given.total(0)?.saturating_add(filled))
}

fn replace(given: &Given) -> Result<usize> {
    let text = given.total(0)?;
    let shortest = match given.args.get(1) {
        Some(arg @ ColumnarValue::Scalar(_)) => bytes_of(arg)?.max(1),
        _ => 1,
    };
    let places = (text / shortest).saturating_add(given.rows);
    Ok(text.saturating_add(places.saturating_mul(given.longest(2)?)))
}

fn regexp_replace(given: &Given) -> Result<usize> {
    let text = given.total(0)?;
    // flags may say that all are replaced: at most one before each byte and one at the end
    let places = if given.args.len() > 3 { text.saturating_add(given.rows) } else { given.rows };
    // each may put what was found there again
    let groups = match given.args.get(2) {
        Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(with)) | ScalarValue::Utf8View(Some(with)))) => {
            with.matches(['\\', '$']).count()
        }
        _ => given.longest(2)?,
    };
    let found = text.saturating_mul(groups.saturating_add(1));
    Ok(found.saturating_add(places.saturating_mul(given.longest(2)?)))
}

fn array_repeat(given: &Given) -> Result<usize> {
    Ok(given.total(0)?.max(given.rows).saturating_mul(given.most(1)?))
}

fn array_resize(given: &Given) -> Result<usize> {
    // what has no value takes the room of a value
    let element = given.longest(2)?.max(size_of::<u128>());
    let added = given.most(1)?.saturating_mul(element).saturating_mul(given.rows);
    Ok(given.total(0)?.saturating_add(added))
}

fn array_replace(given: &Given) -> Result<usize> {
    Ok(given.total(0)?.saturating_add(given.elements(0)?.saturating_mul(given.longest(2)?)))
}

/// Digits of a number, about.
const DIGITS: usize = 20;

fn array_to_string(given: &Given) -> Result<usize> {
    let between = given.longest(1)?.saturating_add(given.longest(2)?).saturating_add(DIGITS);
    Ok(given.total(0)?.saturating_add(given.elements(0)?.saturating_mul(between)))
}

/// `range(stop)`, `range(start, stop)`, `range(start, stop, step)` of numbers or times.
fn range(given: &Given) -> Result<usize> {
    let extremes = |arg: &ColumnarValue| -> Result<Option<(f64, f64)>> { extremes(&array(arg)?) };
    let (start, stop, step) = match given.args {
        [stop] => (Some((0.0, 0.0)), extremes(stop)?, Some(1.0)),
        [start, stop] => (extremes(start)?, extremes(stop)?, Some(1.0)),
        [start, stop, step] => (extremes(start)?, extremes(stop)?, least_step(&array(step)?)?),
        _ => return Ok(0),
    };
    // nothing comes of NULL
    let (Some(start), Some(stop), Some(step)) = (start, stop, step) else { return Ok(0) };
    let span = (stop.1 - start.0).max(start.1 - stop.0).max(0.0);
    // a conversion to whole numbers ends at the greatest one
    let count = (span / step) as usize;
    Ok(count.saturating_add(1).saturating_mul(size_of::<i64>()).saturating_mul(given.rows))
}

/// The least and the greatest of numbers, or of times in milliseconds; `None` if there are none.
fn extremes(array: &ArrayRef) -> Result<Option<(f64, f64)>> {
    let array = match array.data_type() {
        DataType::Date32 => cast(array, &DataType::Date64)?,
        DataType::Timestamp(_, zone) => {
            cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))?
        }
        _ => array.clone(),
    };
    let numbers = cast(&array, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    Ok(min(numbers).zip(max(numbers)).map(|(least, greatest)| (least as f64, greatest as f64)))
}

/// The least step forwards or backwards, of times in milliseconds; `None` if there is none.
fn least_step(array: &ArrayRef) -> Result<Option<f64>> {
    const DAY: f64 = 86_400_000.0;
    let steps: Vec<f64> = match array.data_type() {
        DataType::Null => Vec::new(),
        DataType::Interval(_) => {
            let steps = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let steps = steps.as_primitive::<IntervalMonthDayNanoType>().iter().flatten();
            let long = |months: i32, days: i32| (f64::from(months) * 28.0 + f64::from(days)) * DAY;
            steps.map(|step| (long(step.months, step.days) + step.nanoseconds as f64 / 1e6).abs()).collect()
        }
        _ => {
            let steps = cast(array, &DataType::Int64)?;
            // of no step at all the function itself says that it is a mistake
            steps
                .as_primitive::<Int64Type>()
                .iter()
                .flatten()
                .map(|step| (step as f64).abs().max(1.0))
                .collect()
        }
    };
    Ok(steps.into_iter().reduce(f64::min))
}
