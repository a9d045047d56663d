//! What is compared: conditions, keys of joins and groups, orders.

/// Operands of comparisons: columns, and what processors and people write.
const OPERANDS: &[&str] = &[
    "a.f",
    "b.g",
    "a.g * 0",
    "a.f - b.g",
    "CAST('NaN' AS double precision)",
    "CAST('-0' AS double precision)",
    "CAST(b.i AS double precision)",
];

#[tokio::test]
async fn numbers_are_compared_as_postgresql_compares_them_wherever_they_are_compared() {
    let mut statements = Vec::new();
    let both = "FROM samples a JOIN samples b ON a.id <= 20 AND b.id BETWEEN 25 AND 45";
    for (i, left) in OPERANDS.iter().enumerate() {
        for right in &OPERANDS[i..] {
            let conditions = [
                format!("{left} = {right}"),
                format!("{left} <> {right}"),
                format!("{left} < {right}"),
                format!("{left} <= {right}"),
                format!("{left} > {right}"),
                format!("{left} >= {right}"),
                format!("{left} IS DISTINCT FROM {right}"),
                format!("{left} IN ({right}, 58)"),
                format!("{left} NOT IN (0, {right})"),
                format!("{left} BETWEEN {right} AND a.g"),
                format!("CASE {left} WHEN {right} THEN true WHEN 0 THEN a.id > 9 ELSE false END"),
                format!("nullif({left}, {right}) IS NULL"),
                format!("greatest({left}, {right}, 0) = {left}"),
                format!("least({left}, {right}, 0) >= {right}"),
            ];
            let counts: Vec<String> = conditions
                .iter()
                .map(|c| format!("sum(CASE WHEN {c} THEN a.id * b.id ELSE 0 END)"))
                .collect();
            statements.push(format!("SELECT {} {both}", counts.join(", ")));
        }
    }
    // one column against a constant: what could be pruned, and what joins and sorts find out
    for value in ["'NaN'", "'-0'", "0", "'Infinity'", "'-Infinity'", "58", "1e9"] {
        let value = format!("CAST({value} AS double precision)");
        for column in ["f", "g"] {
            for op in ["=", "<>", "<", "<=", ">", ">="] {
                statements.push(format!("SELECT count(*), sum(id) FROM samples WHERE {column} {op} {value}"));
            }
            statements.push(format!("SELECT count(*), sum(id) FROM samples WHERE {column} IN ({value}, 30)"));
            statements.push(format!(
                "SELECT count(*), sum(id) FROM samples WHERE NOT {column} BETWEEN 0 AND {value}"
            ));
        }
    }
    statements.extend(
        [
            "SELECT id, f FROM samples ORDER BY f, id",
            "SELECT id, f FROM samples ORDER BY f DESC, id LIMIT 13",
            "SELECT id, f FROM samples ORDER BY f NULLS FIRST, g DESC, id DESC OFFSET 3 LIMIT 30",
            "SELECT f FROM samples ORDER BY f DESC LIMIT 25 OFFSET 13",
            "SELECT g FROM samples WHERE g > 0 ORDER BY g DESC LIMIT 5",
            "SELECT DISTINCT f FROM samples ORDER BY f",
            "SELECT DISTINCT f FROM samples ORDER BY f DESC LIMIT 5",
            "SELECT DISTINCT f, g FROM samples ORDER BY f DESC, g LIMIT 25 OFFSET 13",
            "SELECT count(*) FROM (SELECT DISTINCT f FROM samples) x",
            "SELECT count(*) FROM (SELECT DISTINCT -f FROM samples) x",
            "SELECT count(*) FROM (SELECT DISTINCT k, f - g FROM samples) x",
            "SELECT count(*) FROM (SELECT DISTINCT l FROM samples) x",
            "SELECT DISTINCT ON (f) f, id FROM samples ORDER BY f, id",
            "SELECT f, count(*), min(id) FROM samples GROUP BY f ORDER BY f",
            "SELECT f AS x, count(*) FROM samples GROUP BY x HAVING count(*) > 1 ORDER BY x DESC LIMIT 3",
            "SELECT k, f, count(*) FROM samples GROUP BY GROUPING SETS ((k), (f), (k, f), ()) ORDER BY k, f, 3",
            "SELECT k, f, count(*) FROM samples GROUP BY ROLLUP (k, f) ORDER BY k, f, 3",
            "SELECT k, f, count(*) FROM samples GROUP BY CUBE (k, f) ORDER BY k, f, 3",
            "SELECT f * 0 AS z, count(*) FROM samples GROUP BY f * 0 ORDER BY z",
            "SELECT l, count(*) FROM samples GROUP BY l ORDER BY 2 DESC, min(id) LIMIT 1",
            "SELECT f FROM samples WHERE id < 30 UNION SELECT g FROM samples ORDER BY 1",
            "SELECT f FROM samples INTERSECT SELECT g FROM samples ORDER BY 1",
            "SELECT f FROM samples WHERE id < 30 EXCEPT SELECT g FROM samples WHERE id > 40 ORDER BY 1",
            "SELECT count(*), sum(a.id), sum(b.id) FROM samples a JOIN samples b ON a.f = b.g",
            "SELECT count(*), sum(a.id), sum(b.id) FROM samples a LEFT JOIN samples b ON a.f = -b.g AND b.id > 20",
            "SELECT count(*), sum(a.id), sum(b.id) FROM samples a FULL JOIN samples b ON a.f = b.f AND a.k = b.k",
            "SELECT count(*), sum(a.id), sum(b.id) FROM samples a JOIN samples b ON a.f < b.g",
            "SELECT count(*) FROM samples a JOIN samples b USING (f)",
            "SELECT count(*) FROM samples a NATURAL JOIN (SELECT f, g FROM samples) b",
            "SELECT count(*), sum(id) FROM samples WHERE f IN (SELECT g FROM samples WHERE id > 40)",
            "SELECT count(*), sum(id) FROM samples WHERE f NOT IN (SELECT g FROM samples WHERE id > 50)",
            "SELECT count(*), sum(id) FROM samples WHERE f = ANY (SELECT g FROM samples WHERE id > 50)",
            "SELECT count(*), sum(id) FROM samples WHERE f > ALL (SELECT g FROM samples WHERE id > 50)",
            "SELECT count(*), sum(id) FROM samples a WHERE EXISTS (SELECT 1 FROM samples b WHERE b.g = a.f AND b.id > 50)",
            "SELECT count(*), sum(id) FROM samples a WHERE NOT EXISTS (SELECT 1 FROM samples b WHERE b.g = a.f)",
            "SELECT id, (SELECT count(*) FROM samples b WHERE b.g = a.f) FROM samples a ORDER BY id",
            "SELECT id, (SELECT max(g) FROM samples b WHERE b.k = a.k) FROM samples a ORDER BY id",
            "SELECT upper(s) AS x, id FROM samples WHERE upper(s) = 'B' AND k = 'a' ORDER BY x, id LIMIT 3",
            "SELECT DISTINCT upper(s) AS x, k FROM samples WHERE upper(s) = 'B' AND n <= 1 ORDER BY x, k",
            "SELECT s, upper(s) AS x, id FROM samples WHERE upper(s) = 'B' ORDER BY x DESC, s, id",
            "SELECT f + 1 AS x, id FROM samples WHERE f + 1 = 61 ORDER BY x, id",
            "SELECT upper(s) AS x, rank() OVER (PARTITION BY upper(s) ORDER BY id) AS r FROM samples WHERE upper(s) = 'B' ORDER BY x, r",
            "SELECT count(*) FROM samples WHERE l = (SELECT l FROM samples WHERE id = 3)",
            "WITH RECURSIVE r AS (SELECT CAST(0 AS double precision) AS x UNION SELECT -x FROM r) SELECT count(*) FROM r",
        ]
        .map(str::to_owned),
    );
    let statements: Vec<_> = statements.into_iter().map(|sql| (sql.clone(), sql)).collect();
    super::compare(&statements, super::Places::Every).await;
}
