//! What a query's WHERE says about ids and times, as far as it helps to read less.
//!
//! Conditions are only ever used to leave out what can't match; the engine filters what is left.

use belvedere_model::time::TimeRange;
use belvedere_view::ViewSet;
use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Bounds that all rows of the answer meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    ids: BTreeMap<String, Uuid>,
    times: BTreeMap<String, TimeRange>,
}

impl Conditions {
    /// Takes what is of use from filters that must all hold.
    pub fn new(filters: &[Expr]) -> Self {
        let mut conditions = Self::default();
        for filter in filters {
            for part in split_conjunction(filter) {
                conditions.add(part);
            }
        }
        conditions
    }

    /// The id that the column must have.
    pub fn uuid(&self, column: &str) -> Option<Uuid> {
        self.ids.get(column).copied()
    }

    /// The range that the column must be in.
    pub fn times(&self, column: &str) -> TimeRange {
        self.times.get(column).copied().unwrap_or_default()
    }

    /// The range that a span from `begin` to `end` must touch. A span may end before it begins: nothing is
    /// concluded from one column about the other.
    pub fn times_of(&self, begin: &str, end: &str) -> TimeRange {
        TimeRange { begin: self.times(end).begin, end: self.times(begin).end }
    }

    fn add(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left), column(right)) {
                (Some(name), None) => self.compare(name, *op, right),
                (None, Some(name)) => {
                    if let Some(op) = op.swap() {
                        self.compare(name, op, left);
                    }
                }
                _ => {}
            },
            Expr::Between(Between { expr, negated: false, low, high }) => {
                if let Some(name) = column(expr) {
                    self.compare(name, Operator::GtEq, low);
                    self.compare(name, Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, column: &str, op: Operator, value: &Expr) {
        let Expr::Literal(value, _) = value else { return };
        if let Some(time) = nanoseconds(value) {
            let range = match op {
                Operator::Eq => TimeRange { begin: Some(time), end: Some(time) },
                Operator::Gt | Operator::GtEq => TimeRange { begin: Some(time), end: None },
                Operator::Lt | Operator::LtEq => TimeRange { begin: None, end: Some(time) },
                _ => return,
            };
            let known = self.times.entry(column.to_owned()).or_default();
            *known = known.intersect(range);
        } else if op == Operator::Eq
            && let Some(id) = text(value).and_then(|t| Uuid::try_parse(t).ok())
        {
            // two different ids can't both match: either one leaves out enough
            self.ids.entry(column.to_owned()).or_insert(id);
        }
    }
}

/// The same filter for a reader of files: ids of a fixed length are compared with literals as they are. The engine
/// compares both as binary of any length, and files can't tell what a filter says of a converted column.
pub(crate) fn with_plain_ids(filter: Expr, schema: &Schema) -> Result<Expr> {
    let transformed = filter.transform_up(|expr| {
        Ok(match plain_comparison(&expr, schema) {
            Some(plain) => Transformed::yes(plain),
            None => Transformed::no(expr),
        })
    })?;
    Ok(transformed.data)
}

fn plain_comparison(expr: &Expr, schema: &Schema) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (id, length, value) = match plain_id(left, schema) {
                Some((id, length)) => (id, length, right),
                None => {
                    let (id, length) = plain_id(right, schema)?;
                    (id, length, left)
                }
            };
            Some(id.eq(fixed(value, length)?))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let (id, length) = plain_id(expr, schema)?;
            let values = list.iter().map(|v| fixed(v, length)).collect::<Option<Vec<_>>>()?;
            Some(id.in_list(values, false))
        }
        _ => None,
    }
}

/// A column of fixed length that was converted to binary of any length, and that length.
fn plain_id(expr: &Expr, schema: &Schema) -> Option<(Expr, i32)> {
    let Expr::Cast(cast) = expr else { return None };
    let Expr::Column(column) = cast.expr.as_ref() else { return None };
    let DataType::FixedSizeBinary(length) = schema.field_with_name(&column.name).ok()?.data_type() else {
        return None;
    };
    matches!(cast.field.data_type(), DataType::Binary | DataType::BinaryView)
        .then(|| (cast.expr.as_ref().clone(), *length))
}

/// A literal of exactly that length.
fn fixed(expr: &Expr, length: i32) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Binary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)), _) = expr
    else {
        return None;
    };
    (bytes.len() == usize::try_from(length).ok()?)
        .then(|| Expr::Literal(ScalarValue::FixedSizeBinary(length, Some(bytes.clone())), None))
}

/// The name of a column, looking through casts that keep ids and instants what they are.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) if keeps_value(cast.field.data_type()) => column(&cast.expr),
        _ => None,
    }
}

fn keeps_value(to: &DataType) -> bool {
    match to {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => true,
        DataType::Dictionary(_, value) => keeps_value(value),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            matches!(zone.as_deref(), None | Some("+00:00" | "UTC"))
        }
        _ => false,
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.as_deref()
        }
        ScalarValue::Dictionary(_, value) => text(value),
        _ => None,
    }
}

fn nanoseconds(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampNanosecond(t, zone)
            if matches!(zone.as_deref(), None | Some("+00:00" | "UTC" | "Z")) =>
        {
            *t
        }
        _ => None,
    }
}

/// A time range as a condition on the rows of a view set.
pub(crate) fn range_predicate(view_set: &ViewSet, range: TimeRange) -> Option<Expr> {
    let (begin, end) = view_set.event_time_columns()?;
    let TimeRange { begin: from, end: to } = range;
    let time = |t| lit(ScalarValue::TimestampNanosecond(Some(t), Some("+00:00".into())));
    let ident = |name: &str| col(datafusion::common::Column::new_unqualified(name));
    let lower = from.map(|t| ident(end).gt_eq(time(t)));
    let upper = to.map(|t| ident(begin).lt_eq(time(t)));
    match (lower, upper) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (a, b) => a.or(b),
    }
}
