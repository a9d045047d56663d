//! The table in the page. The figures are stored nowhere else.

/// Marks the begin of the table.
pub(super) const BEGIN: &str = "<!-- sizes -->";
/// Marks its end.
pub(super) const END: &str = "<!-- /sizes -->";

const HEADER: &str = "\
| binary | bytes | MB | compared to `log`, MB | dependencies | start-up, ms | idle memory, MiB | build, s (crates) |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

/// A row: one binary. Figures that are only copied are texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) dependencies: String,
    pub(super) start: String,
    pub(super) memory: String,
    pub(super) build: String,
}

/// The rows of the page's table.
pub(super) fn rows_of(page: &str) -> Result<Vec<Row>, String> {
    let (_, table, _) = parts(page)?;
    // the header and the line below
    table.lines().filter(|line| line.starts_with('|')).skip(2).map(row).collect()
}

/// The page with these rows as its table.
pub(super) fn with_rows(page: &str, rows: &[Row]) -> Result<String, String> {
    let (before, _, behind) = parts(page)?;
    Ok(format!("{before}{BEGIN}\n{}{END}{behind}", to_text(rows)))
}

/// Replaces or adds a row, in the order of these names, with `full` last.
pub(super) fn with(mut rows: Vec<Row>, new: Row, order: &[String]) -> Vec<Row> {
    match rows.iter_mut().find(|row| row.name == new.name) {
        Some(old) => *old = new,
        None => rows.push(new),
    }
    let place = |row: &Row| order.iter().position(|name| *name == row.name).unwrap_or(order.len());
    rows.sort_by_key(|row| (row.name == "full", place(row)));
    rows
}

fn parts(page: &str) -> Result<(&str, &str, &str), String> {
    let found = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (table, behind) = rest.split_once(END)?;
        Some((before, table, behind))
    });
    found.ok_or_else(|| format!("the page has no place for the table: '{BEGIN}', and '{END}' behind it"))
}

fn row(line: &str) -> Result<Row, String> {
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let parsed = match cells.as_slice() {
        [name, bytes, _, _, dependencies, start, memory, build] => {
            let digits: String = bytes.chars().filter(|c| *c != ',').collect();
            digits.parse().ok().map(|bytes| Row {
                name: (*name).to_owned(),
                bytes,
                dependencies: (*dependencies).to_owned(),
                start: (*start).to_owned(),
                memory: (*memory).to_owned(),
                build: (*build).to_owned(),
            })
        }
        _ => None,
    };
    parsed.ok_or_else(|| format!("this is no row of the table of sizes: {line}"))
}

fn to_text(rows: &[Row]) -> String {
    let base = rows.iter().find(|row| row.name == "log").map(|row| row.bytes);
    let megabytes = |bytes: f64| bytes / 1e6;
    let mut text = HEADER.to_owned();
    for Row { name, bytes, dependencies, start, memory, build } in rows {
        let difference = match base {
            Some(_) if name == "log" => String::new(),
            Some(base) => format!("{:+.2}", megabytes(*bytes as f64 - base as f64)),
            None => "-".to_owned(),
        };
        let cells = [
            name,
            &with_separators(*bytes),
            &format!("{:.1}", megabytes(*bytes as f64)),
            &difference,
            dependencies,
            start,
            memory,
            build,
        ];
        text.push_str(&format!("| {} |\n", cells.map(String::as_str).join(" | ")));
    }
    text
}

/// 12,345,678
fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(name: &str, bytes: u64) -> Row {
        let [dependencies, start, memory, build] = ["274", "18", "22.5", "431 (301)"].map(str::to_owned);
        Row { name: name.to_owned(), bytes, dependencies, start, memory, build }
    }

    #[test]
    fn what_was_written_is_read_again_and_the_rest_of_the_page_stays() {
        let page = format!("# Slim\n\nbefore\n\n{BEGIN}\n{END}\n\nbehind\n");
        assert_eq!(rows_of(&page), Ok(vec![]));
        let rows = [row_of("none", 41_000_000), row_of("log", 41_250_001), row_of("full", 62_345_678)];
        let written = with_rows(&page, &rows).unwrap();
        assert!(written.starts_with("# Slim\n\nbefore\n\n<!-- sizes -->\n| binary |"), "{written}");
        assert!(written.ends_with(" |\n<!-- /sizes -->\n\nbehind\n"), "{written}");
        assert_eq!(rows_of(&written).unwrap(), rows);
        assert_eq!(with_rows(&written, &rows).unwrap(), written);
    }

    #[test]
    fn differences_are_to_log_and_follow_it() {
        let rows = [row_of("log", 41_250_001), row_of("log + net", 41_310_001), row_of("none", 41_000_000)];
        let text = to_text(&rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| log | 41,250,001 | 41.3 |  | 274 | 18 | 22.5 | 431 (301) |",
                "| log + net | 41,310,001 | 41.3 | +0.06 | 274 | 18 | 22.5 | 431 (301) |",
                "| none | 41,000,000 | 41.0 | -0.25 | 274 | 18 | 22.5 | 431 (301) |",
            ]
        );
        assert!(to_text(&rows[1..]).contains("| 41.3 | - | 274 |"));
    }

    #[test]
    fn a_row_replaces_its_own_and_has_its_place() {
        let order = ["none", "log", "log + net", "log + sql"].map(str::to_owned);
        let rows = vec![row_of("none", 1), row_of("log", 2), row_of("full", 9)];
        let rows = with(rows, row_of("log + pulse", 3), &order);
        let rows = with(rows, row_of("log + net", 4), &order);
        let rows = with(rows, row_of("log", 5), &order);
        let shown: Vec<(&str, u64)> = rows.iter().map(|row| (row.name.as_str(), row.bytes)).collect();
        assert_eq!(shown, [("none", 1), ("log", 5), ("log + net", 4), ("log + pulse", 3), ("full", 9)]);
    }

    #[test]
    fn a_page_without_a_place_and_a_row_by_hand_are_said_to_be_wrong() {
        assert!(rows_of("# Slim\n").unwrap_err().contains(BEGIN));
        let page = format!("{BEGIN}\n| a |\n| - |\n| none | many |\n{END}");
        assert!(rows_of(&page).unwrap_err().contains("many"));
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(with_separators), ["0", "999", "1,000", "1,234,567"]);
    }
}
