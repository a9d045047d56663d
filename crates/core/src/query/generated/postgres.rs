//! What PostgreSQL answers, where it is there.

use super::Answer;
use std::io::Write;
use std::process::{Command, Stdio};

const FIELD: &str = "\u{1f}";
const END: &str = "\u{1e}end of statement";

/// Makes a table with the first text, and runs statements on it: each one's answer, or why it was refused. `None` where there
/// is no PostgreSQL.
pub(super) fn answers(table: &str, statements: &[String]) -> Option<Vec<Result<Answer, String>>> {
    let url = belvedere_testkit::postgres_database()?;
    let mut script =
        format!("\\set VERBOSITY terse\nSET timezone = 'UTC';\n{table}\n\\echo {END}\n\\warn {END}\n");
    for statement in statements {
        script.push_str(&format!("{statement};\n\\echo {END}\n\\warn {END}\n"));
    }
    let mut psql = Command::new("psql")
        .args([&url, "-XqtA", "-F", FIELD, "-P", "null=NULL"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()).unwrap());
    let output = psql.wait_with_output().unwrap();
    writer.join().unwrap();
    let (rows, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let end = format!("{END}\n");
    let (mut rows, mut errors) = (rows.split(&end), errors.split(&end));
    let made = errors.next().unwrap();
    assert!(rows.next() == Some("") && made.is_empty(), "{made}");
    let answers = statements.iter().map(|_| {
        let (rows, error) = (rows.next().unwrap(), errors.next().unwrap());
        let fields = |line: &str| line.split(FIELD).map(str::to_owned).collect();
        if error.is_empty() { Ok(rows.lines().map(fields).collect()) } else { Err(error.trim().to_owned()) }
    });
    Some(answers.collect())
}
