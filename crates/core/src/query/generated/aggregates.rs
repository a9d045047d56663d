//! Every aggregate and window function, for every type, with everything that can stand around it.

use super::{Places, compare};

const NUMBERS: &[&str] = &["f", "g", "i", "n", "u"];
const ORDERED: &[&str] = &["f", "g", "i", "n", "u", "s", "t", "k"];
const ALL: &[&str] = &["f", "g", "i", "n", "u", "s", "t", "k", "b"];
const INTEGERS: &[&str] = &["i", "n", "u"];
const PAIRS: &[&str] = &["f, g", "i, n", "n, u", "g, i"];

/// Aggregates that PostgreSQL has, and what it takes them of.
const AGGREGATES: &[(&str, &[&str])] = &[
    ("count", ALL),
    ("min", ORDERED),
    ("max", ORDERED),
    ("sum", NUMBERS),
    ("avg", NUMBERS),
    ("bool_and", &["b"]),
    ("bool_or", &["b"]),
    ("bit_and", INTEGERS),
    ("bit_or", INTEGERS),
    ("bit_xor", INTEGERS),
    ("stddev", NUMBERS),
    ("stddev_pop", NUMBERS),
    ("stddev_samp", NUMBERS),
    ("var_pop", NUMBERS),
    ("var_samp", NUMBERS),
    ("corr", PAIRS),
    ("covar_pop", PAIRS),
    ("covar_samp", PAIRS),
    ("regr_avgx", PAIRS),
    ("regr_avgy", PAIRS),
    ("regr_count", PAIRS),
    ("regr_intercept", PAIRS),
    ("regr_r2", PAIRS),
    ("regr_slope", PAIRS),
    ("regr_sxx", PAIRS),
    ("regr_sxy", PAIRS),
    ("regr_syy", PAIRS),
];

/// Aggregates that PostgreSQL has not, or not so.
const OTHERS: &[(&str, &[&str])] =
    &[("median", NUMBERS), ("approx_distinct", ALL), ("approx_median", &["i", "n"])];

/// What stands around an aggregate: `{}` is its call up to the closing parenthesis.
const PLAIN: &[&str] = &[
    "SELECT {}) FROM samples",
    "SELECT {}) FROM samples WHERE id < 0",
    "SELECT {}) FROM samples WHERE id = 7",
    "SELECT {}) FROM samples WHERE f IS NULL",
    "SELECT {}) FROM samples WHERE k = 'odd'",
    "SELECT {}) FILTER (WHERE n > 0) FROM samples",
    "SELECT {}) FILTER (WHERE n > 100) FROM samples",
    "SELECT k, {}) FROM samples GROUP BY k ORDER BY k",
    "SELECT k, {}) FROM samples WHERE id < 0 GROUP BY k",
    "SELECT k, b, {}) FROM samples GROUP BY k, b HAVING count(*) > 1 ORDER BY k, b LIMIT 7",
    "SELECT k, {}) FILTER (WHERE n > 0) FROM samples GROUP BY k ORDER BY k",
    "SELECT k, {}) FROM samples GROUP BY GROUPING SETS ((k), ()) ORDER BY k",
    "SELECT f, {}) FROM samples GROUP BY f ORDER BY f",
    "SELECT n, {}) FROM samples GROUP BY n ORDER BY n LIMIT 2 OFFSET 1",
];
const DISTINCT: &[&str] = &[
    "SELECT {}) FROM samples",
    "SELECT {}) FROM samples WHERE id < 0",
    "SELECT {}) FROM samples WHERE k = 'odd'",
    "SELECT k, {}) FROM samples GROUP BY k ORDER BY k",
    "SELECT k, {}) FILTER (WHERE n > 0) FROM samples GROUP BY k ORDER BY k",
    "SELECT k, count(*), {}) FROM samples GROUP BY GROUPING SETS ((k), ()) ORDER BY k",
];
const WINDOWS: &[&str] = &[
    "()",
    "(PARTITION BY k)",
    "(PARTITION BY f)",
    "(PARTITION BY k ORDER BY id)",
    "(ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING)",
    "(ORDER BY id ROWS BETWEEN 5 PRECEDING AND 2 PRECEDING)",
    "(ORDER BY id ROWS BETWEEN 23 PRECEDING AND 3 PRECEDING)",
    "(PARTITION BY k ORDER BY id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)",
    "(ORDER BY n RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)",
    "(PARTITION BY k ORDER BY n DESC RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
    "(ORDER BY f)",
    "(PARTITION BY b ORDER BY f DESC)",
    "(ORDER BY g GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
    "(ORDER BY f RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING)",
];

/// One statement with the function of each of its arguments.
fn of_all(template: &str, function: &str, distinct: &str, arguments: &[&str]) -> String {
    let (head, rest) = template.split_once("{})").unwrap();
    let (filter, tail) = rest.split_once("FROM ").unwrap();
    let calls: Vec<String> =
        arguments.iter().map(|arguments| format!("{function}({distinct}{arguments}){filter}")).collect();
    format!("{head}{}FROM {tail}", calls.join(", "))
}

fn both(sql: String) -> (String, String) {
    (sql.clone(), sql)
}

#[tokio::test]
async fn aggregates_are_the_same_as_in_postgresql_and_in_every_place() {
    let mut statements = Vec::new();
    for (function, arguments) in AGGREGATES {
        for template in PLAIN {
            statements.push(both(of_all(template, function, "", arguments)));
        }
        // with two arguments, DISTINCT is about both together, which the engine refuses
        if arguments.iter().all(|arguments| !arguments.contains(',')) {
            for template in DISTINCT {
                for argument in *arguments {
                    statements.push(both(of_all(template, function, "DISTINCT ", &[argument])));
                }
            }
        }
    }
    for column in ALL {
        statements.push(both(format!("SELECT array_agg({column} ORDER BY id) FROM samples")));
        statements.push(both(format!("SELECT array_agg({column} ORDER BY {column}, id) FROM samples")));
        statements.push(both(format!(
            "SELECT array_agg({column} ORDER BY {column} DESC, id) FILTER (WHERE n > 0) FROM samples"
        )));
        statements.push(both(format!("SELECT array_agg(DISTINCT {column} ORDER BY {column}) FROM samples")));
    }
    statements.push(both("SELECT string_agg(s, ',' ORDER BY id) FROM samples".to_owned()));
    statements.push(both("SELECT string_agg(DISTINCT s, ',' ORDER BY s) FROM samples".to_owned()));
    for column in ["f", "g"] {
        for fraction in ["0", "0.3", "0.5", "0.999", "1"] {
            for tail in ["", " WHERE id < 0", " WHERE k = 'odd'", " WHERE id = 7"] {
                statements.push(both(format!(
                    "SELECT percentile_cont({fraction}) WITHIN GROUP (ORDER BY {column}) FROM samples{tail}"
                )));
            }
            statements.push(both(format!(
                "SELECT k, percentile_cont({fraction}) WITHIN GROUP (ORDER BY {column} DESC) FROM samples GROUP BY k ORDER BY k"
            )));
            statements.push(both(format!(
                "SELECT k, percentile_cont({fraction}) WITHIN GROUP (ORDER BY {column}) FILTER (WHERE n > 0) FROM samples GROUP BY k ORDER BY k"
            )));
        }
    }
    compare(&statements, Places::Turns).await;
}

#[tokio::test]
async fn aggregates_that_only_we_have_are_the_same_in_every_place() {
    let mut statements = Vec::new();
    for (function, arguments) in OTHERS {
        for template in PLAIN {
            statements.push((of_all(template, function, "", arguments), String::new()));
        }
    }
    compare(&statements, Places::Turns).await;
}

#[tokio::test]
async fn window_functions_are_the_same_as_in_postgresql_and_in_every_place() {
    let mut statements = Vec::new();
    for window in WINDOWS {
        let mut add = |call: String| {
            // peers in no order would be numbered by chance
            statements.push(both(format!(
                "SELECT id, {call} OVER w FROM samples WINDOW w AS {window} ORDER BY id"
            )));
        };
        for (function, arguments) in AGGREGATES {
            let calls: Vec<String> =
                arguments.iter().map(|arguments| format!("{function}({arguments})")).collect();
            add(calls.join(" OVER w, "));
        }
        add("rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, cume_dist()".to_owned());
        if window.contains("ORDER BY id") {
            add("row_number() OVER w, ntile(4) OVER w, ntile(100)".to_owned());
            for column in ALL {
                add(format!(
                    "lag({column}) OVER w, lead({column}, 2) OVER w, first_value({column}) OVER w, \
                     last_value({column}) OVER w, nth_value({column}, 2)"
                ));
            }
        }
    }
    compare(&statements, Places::Turns).await;
}
