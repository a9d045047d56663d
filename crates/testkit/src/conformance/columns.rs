//! What a query asks for is what it gets: columns, conditions, ranges of time.

use super::{SOME, Subject, Table, ensure_same, quoted, texts};
use crate::failure::{Context, Result, ensure};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use belvedere_core::Lake;
use belvedere_model::time::TimeRange;
use belvedere_view::{Column, ColumnType, Origin};
use std::collections::BTreeSet;

/// A query for one column gives the values that the column has in all columns, and a query for none the number of rows.
pub async fn a_column_alone_has_the_values_that_it_has_beside_others(subject: &Subject) -> Result<()> {
    let program = (subject.sample)(SOME);
    let lake = subject.fed_with(&program).await?;
    for table in subject.tables(&lake, &program)? {
        let all = table.rows(&lake).await?;
        for column in &all.columns {
            let alone = texts(&table.batch(&lake, &quoted(column), TimeRange::ALL).await?)?;
            let (alone, beside) = (alone.column(column)?, all.column(column)?);
            ensure!(alone == beside, "{table}: {column} alone is {alone:?}, beside others {beside:?}");
        }
        let count = table.count(&lake, "true", TimeRange::ALL).await?;
        ensure!(count == all.rows.len(), "{table}: {count} rows counted, {} seen", all.rows.len());
    }
    lake.close().await;
    Ok(())
}

/// A condition on a column, and a range of time, select just the rows that they are true for: decoded as the query goes,
/// and read from partitions, whatever is left out by their statistics.
pub async fn conditions_lose_no_row_and_add_none(subject: &Subject) -> Result<()> {
    let program = (subject.sample)(SOME);
    let lake = subject.fed_with(&program).await?;
    // rows of another program, for which conditions do not hold
    program.renamed("another").send_to(lake.connection()).await?;
    for table in subject.tables(&lake, &program)? {
        check_conditions(&lake, &table).await.context("without partitions")?;
        if table.is_kept(&lake)? {
            table.keep(&lake).await?;
            check_conditions(&lake, &table).await.context("from partitions")?;
        }
    }
    lake.close().await;
    Ok(())
}

async fn check_conditions(lake: &Lake, table: &Table) -> Result<()> {
    let all = table.batch(lake, "*", TimeRange::ALL).await?;
    let places: BTreeSet<usize> = [0, all.num_rows() / 2, all.num_rows().saturating_sub(1)].into();
    for (field, values) in all.schema().fields().iter().zip(all.columns()) {
        for place in places.iter().filter(|p| **p < all.num_rows()) {
            let Some(literal) = literal(values, *place)? else { continue };
            let expected = equal_to(values, *place)?;
            let condition = format!("{} = {literal}", quoted(field.name()));
            let found = table.count(lake, &condition, TimeRange::ALL).await?;
            ensure!(found == expected, "{table} WHERE {condition}: {found} rows instead of {expected}");
        }
    }
    let Some((begin, end)) = table.view_set.event_time_columns() else { return Ok(()) };
    let (begins, ends) = (times(&all, begin)?, times(&all, end)?);
    for place in places.iter().filter(|p| **p < all.num_rows()) {
        let (Some(begin), Some(end)) = (begins[*place], ends[*place]) else { continue };
        for range in [
            TimeRange { begin: Some(begin), end: Some(begin) },
            TimeRange { begin: Some(end), end: None },
            TimeRange { begin: None, end: Some(begin) },
        ] {
            let is_inside = |(b, e): (&Option<i64>, &Option<i64>)| {
                range.begin.is_none_or(|t| e.is_some_and(|e| e >= t))
                    && range.end.is_none_or(|t| b.is_some_and(|b| b <= t))
            };
            let expected = begins.iter().zip(&ends).filter(|times| is_inside(*times)).count();
            let found = table.count(lake, "true", range).await?;
            ensure!(found == expected, "{table} in {range:?}: {found} rows instead of {expected}");
        }
    }
    Ok(())
}

/// A value as SQL; `None` if it is NULL or of a type that nobody writes down.
fn literal(values: &ArrayRef, place: usize) -> Result<Option<String>> {
    if values.is_null(place) {
        return Ok(None);
    }
    let formatter = ArrayFormatter::try_new(values, &FormatOptions::default())?;
    let text = || formatter.value(place).to_string();
    Ok(match values.data_type() {
        DataType::Utf8 => Some(format!("'{}'", text().replace('\'', "''"))),
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => {
            Some(format!("'{}'", text().replace('\'', "''")))
        }
        DataType::Int32 | DataType::Int64 | DataType::UInt32 | DataType::Boolean => Some(text()),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(format!("TIMESTAMP '{}'", text())),
        DataType::FixedSizeBinary(_) => Some(format!("X'{}'", text())),
        _ => None,
    })
}

/// How many values are the same as that one.
fn equal_to(values: &ArrayRef, place: usize) -> Result<usize> {
    let formatter = ArrayFormatter::try_new(values, &FormatOptions::default())?;
    let value = formatter.value(place).to_string();
    Ok((0..values.len()).filter(|i| values.is_valid(*i) && formatter.value(*i).to_string() == value).count())
}

fn times(rows: &RecordBatch, column: &str) -> Result<Vec<Option<i64>>> {
    let values = rows.column_by_name(column).with_context(|| format!("no column {column}"))?;
    let values = cast(values, &DataType::Timestamp(TimeUnit::Nanosecond, None))?;
    Ok(values.as_primitive::<TimestampNanosecondType>().iter().collect())
}

/// More than 65,536 distinct texts in a column are all there, in partitions too.
pub async fn more_distinct_texts_than_16_bits_can_count(subject: &Subject) -> Result<()> {
    if !subject.is_of_payloads()? {
        return Ok(());
    }
    let program = (subject.sample)(66_000);
    let lake = subject.fed_with(&program).await?;
    for table in subject.tables(&lake, &program)?.into_iter().take(1) {
        let live = table.rows(&lake).await?;
        let of_texts = |c: &&Column| is_text(c.column_type);
        // of what SQL makes of rows, and of numbers, there may be few texts
        let is_asked_for = subject.is_decoded()?
            && table.view_set.columns.iter().any(|c| c.origin == Origin::Decoder && is_text(c.column_type));
        let columns: Vec<&str> = table.view_set.columns.iter().filter(of_texts).map(|c| c.name).collect();
        let counts: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, c)| format!("count(DISTINCT {}) AS c{i}", quoted(c)))
            .collect();
        if counts.is_empty() {
            continue;
        }
        let found = texts(&table.batch(&lake, &counts.join(", "), TimeRange::ALL).await?)?;
        let mut largest = (0, "nothing");
        for (i, column) in columns.into_iter().enumerate() {
            let mut values = live.column(column)?;
            values.dedup();
            let distinct = values.len() - usize::from(values.binary_search(&"NULL").is_ok());
            let found = found.column(&format!("c{i}"))?.join("");
            ensure!(
                found == distinct.to_string(),
                "{table}: {found} distinct values of {column} instead of {distinct}"
            );
            largest = largest.max((distinct, column));
        }
        ensure!(
            !is_asked_for || largest.0 > 1 << 16,
            "no column of text has more than 65,536 distinct values (the most are {} of {}): the sample should give \
             each event a text of its own",
            largest.0,
            largest.1
        );
        if table.is_kept(&lake)? {
            table.keep(&lake).await?;
            ensure_same(&table.rows(&lake).await?, &live, &format!("{table}, in partitions"))?;
        }
    }
    lake.close().await;
    Ok(())
}

fn is_text(column_type: ColumnType) -> bool {
    matches!(column_type, ColumnType::Utf8 | ColumnType::Label | ColumnType::Dictionary | ColumnType::Jsonb)
}
