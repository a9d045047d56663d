//! Where panics come from. The engine panics at some statements where it should fail, and so do the crates that it computes
//! with. Those are statements that it can't run; all other panics are failures of the lake. Only the place tells them apart,
//! and only a panic hook sees it.

use std::collections::VecDeque;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, Once, PoisonError};

/// What happened last, with whether it was in the engine. Between a panic and whoever asks for it there are few others.
static RECENT: Mutex<VecDeque<(String, bool)>> = Mutex::new(VecDeque::new());
const KEPT: usize = 64;

/// Beginnings of the names of crates that compute what a statement asks for.
const ENGINE: [&str; 5] = ["datafusion", "arrow", "sqlparser", "chrono", "regex"];
/// What is in the names of those among them that read bytes from disks and networks: a panic there is damage, not a statement.
const READERS: [&str; 3] = ["parquet", "ipc", "flight"];

/// Begins to note places. The hook that was there still has its turn.
pub(crate) fn watch() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let Some(text) = info.payload_as_str().filter(|text| !text.is_empty()) else { return };
    let is_of_the_engine = info.location().is_some_and(|place| is_of_the_engine(place.file()));
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if recent.len() == KEPT {
        recent.pop_front();
    }
    recent.push_back((text.to_owned(), is_of_the_engine));
}

/// Paths of crates of others have the name and the version of the crate in them: `…/arrow-data-59.1.0/src/transform/mod.rs`.
fn is_of_the_engine(file: &str) -> bool {
    let of_the_engine = |part: &str| {
        let name = ENGINE.iter().find_map(|name| part.strip_prefix(name));
        name.is_some_and(|rest| {
            let is_reader = READERS.iter().any(|reader| rest.contains(reader));
            rest.starts_with('-') && rest.contains(char::is_numeric) && !is_reader
        })
    };
    file.split(['/', '\\']).any(of_the_engine)
}

/// Whether the last panic with these words, which may stand among others, was in the engine.
pub(super) fn was_in_the_engine(text: &str) -> bool {
    let recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let last = recent.iter().rev().find(|(words, _)| text.contains(words.as_str()));
    last.is_some_and(|(_, is_of_the_engine)| *is_of_the_engine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{QueryError, panic_error};
    use arrow::array::Int32Array;
    use std::panic::catch_unwind;

    #[test]
    fn a_panic_of_the_engine_is_a_statement_that_it_cannot_run_and_one_of_ours_is_a_failure_of_the_lake() {
        watch();
        let engines = catch_unwind(|| Int32Array::from(vec![1]).value(71)).unwrap_err();
        let words = engines.downcast_ref::<String>().unwrap().clone();
        let error = panic_error(engines.as_ref());
        assert!(matches!(error, QueryError::Unsupported(_)), "{error:?}");
        // words of a panic may name files and addresses of the host
        assert!(!error.to_string().contains(&words), "{error}");
        let ours = catch_unwind(|| panic!("no such thing as this")).unwrap_err();
        assert!(matches!(panic_error(ours.as_ref()), QueryError::Internal(_)));
        // the same words from both: the last one counts
        let ours = catch_unwind(|| panic!("{words}")).unwrap_err();
        assert!(matches!(panic_error(ours.as_ref()), QueryError::Internal(_)));
    }

    #[test]
    fn what_reads_files_and_networks_is_not_what_computes() {
        for (crate_of_others, computes) in [
            ("arrow-data-59.1.0", true),
            ("datafusion-functions-nested-55.2.0", true),
            ("chrono-0.4.45", true),
            ("regex-syntax-0.8.5", true),
            ("parquet-59.1.0", false),
            ("datafusion-datasource-parquet-55.2.0", false),
            ("arrow-ipc-59.1.0", false),
            ("arrow-flight-59.1.0", false),
            ("sqlx-core-0.9.0", false),
            ("arrow", false),
        ] {
            let file = format!("/home/me/.cargo/registry/src/index/{crate_of_others}/src/lib.rs");
            assert_eq!(is_of_the_engine(&file), computes, "{file}");
            assert_eq!(is_of_the_engine(&file.replace('/', "\\")), computes, "{file}");
        }
        assert!(!is_of_the_engine("crates/core/src/query/engine.rs"));
    }

    #[tokio::test]
    async fn a_task_that_panics_in_the_engine_is_told_like_a_panic_that_was_caught() {
        watch();
        let lost = tokio::spawn(async { Int32Array::from(vec![1]).value(72) }).await.unwrap_err();
        let error = QueryError::from(datafusion::error::DataFusionError::ExecutionJoin(Box::new(lost)));
        assert!(matches!(error, QueryError::Unsupported(_)), "{error:?}");
    }
}
