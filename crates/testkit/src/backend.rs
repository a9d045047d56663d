//! What tests use beside the repository: databases, object stores, clients. A test that needs one asks for it here.
//!
//! Where something is not there, the test says so and passes. That would hide a machine that lost it, so
//! `BELVEDERE_TEST_REQUIRE=postgres,s3` makes what it names a condition: then its absence fails.

use std::process::Command;

/// Names what must be there, separated by commas.
pub const REQUIRE: &str = "BELVEDERE_TEST_REQUIRE";

/// What there may be, and the variable of the environment that says where.
const BACKENDS: &[(&str, &str)] = &[
    // the URL of a server where databases may be created
    ("postgres", "BELVEDERE_TEST_POSTGRES"),
    // an endpoint that takes any credentials and has a bucket `belvedere`
    ("s3", "BELVEDERE_TEST_S3"),
    // a Python interpreter with the OpenTelemetry SDK
    ("sdk-python", "BELVEDERE_TEST_OTEL_PYTHON"),
    // a `node_modules` with the OpenTelemetry SDK
    ("sdk-js", "BELVEDERE_TEST_OTEL_NODE"),
    // a Python interpreter with the package `perfetto`
    ("perfetto", "BELVEDERE_TEST_PERFETTO"),
    // a Python interpreter with the ADBC driver, `pyarrow` and `micromegas`
    ("adbc", "BELVEDERE_TEST_CLIENTS"),
    // a Chromium, for the tests of the web application, which are no Rust
    ("browser", "BELVEDERE_TEST_BROWSER"),
];

/// Where a backend is, by its name in [`REQUIRE`]: `postgres`, `s3`, `sdk-python`, `sdk-js`, `perfetto`,
/// `adbc` or `browser`.
///
/// # Panics
///
/// If it is required and not there, and if it, or what is required, is none of these: so fails the test that asks.
#[must_use]
#[expect(clippy::panic, reason = "a test that fails says so by a panic")]
pub fn backend(name: &str) -> Option<String> {
    let required = std::env::var(REQUIRE).unwrap_or_default();
    match find(name, &required, |variable| std::env::var(variable).ok()) {
        Ok(found) => found,
        Err(message) => panic!("{message}"),
    }
}

/// The URL of a new database on the backend `postgres`.
///
/// # Panics
///
/// As [`backend`], and if no database can be created.
#[must_use]
#[expect(clippy::panic, reason = "a test that fails says so by a panic")]
pub fn postgres_database() -> Option<String> {
    let url = backend("postgres")?;
    let name = format!("belvedere_{}", uuid::Uuid::new_v4().simple());
    match Command::new("psql").args([&url, "-qc", &format!("CREATE DATABASE {name}")]).status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("psql could not create a database on {url}: {status}"),
        Err(e) => panic!("psql, which creates databases for tests, can't be run: {e}"),
    }
    let server = url.rsplit_once('/').map_or(url.as_str(), |(server, _)| server);
    Some(format!("{server}/{name}"))
}

/// Drops a database of [`postgres_database`], if that can be done: for who makes many.
pub(crate) fn drop_postgres_database(url: &str) {
    let (Some((_, name)), Ok(server)) = (url.rsplit_once('/'), std::env::var("BELVEDERE_TEST_POSTGRES"))
    else {
        return;
    };
    let _ =
        Command::new("psql").args([&server, "-qc", &format!("DROP DATABASE {name} WITH (FORCE)")]).status();
}

/// What [`backend`] answers in an environment.
fn find(name: &str, required: &str, get: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    let known = || BACKENDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let required: Vec<&str> = required.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    for name in required.iter().chain([&name]) {
        if !BACKENDS.iter().any(|(known, _)| known == name) {
            return Err(format!("there is no backend '{name}' for tests: there are {}", known()));
        }
    }
    let variable = BACKENDS.iter().find(|(known, _)| *known == name).map_or("", |(_, variable)| *variable);
    match get(variable).filter(|value| !value.is_empty()) {
        Some(value) => Ok(Some(value)),
        None if required.contains(&name) => {
            Err(format!("{REQUIRE} requires {name}, but {variable}, which says where it is, is not set"))
        }
        None => {
            eprintln!("skipped: {name} ({variable} is not set)");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    fn found(name: &str, required: &str) -> Result<Option<String>, String> {
        find(name, required, |variable| (variable == "BELVEDERE_TEST_S3").then(|| "http://here".to_owned()))
    }

    #[test]
    fn what_is_there_is_found_whether_it_is_required_or_not() {
        assert_eq!(found("s3", ""), Ok(Some("http://here".to_owned())));
        assert_eq!(found("s3", "postgres, s3"), Ok(Some("http://here".to_owned())));
    }

    #[test]
    fn what_is_missing_fails_only_when_it_is_required() {
        assert_eq!(found("postgres", "s3"), Ok(None));
        let message = found("postgres", "s3,postgres").unwrap_err();
        assert!(message.contains("BELVEDERE_TEST_POSTGRES"), "{message}");
        let empty = find("s3", "s3", |_| Some(String::new())).unwrap_err();
        assert!(empty.contains("BELVEDERE_TEST_S3"), "{empty}");
    }

    #[test]
    fn a_name_that_does_not_exist_never_counts_as_there() {
        assert!(found("s3", "s3,postgers").unwrap_err().contains("'postgers'"));
        assert!(found("sdk", "").unwrap_err().contains("sdk-python"));
    }
}
