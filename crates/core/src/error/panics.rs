//! Where panics come from. The engine panics at some statements where it should fail, and so do the crates that it computes
//! with. Those are statements that it can't run; all other panics are mistakes of ours. Only the place tells them apart, and
//! only a panic hook sees it.

use std::collections::VecDeque;
use std::panic::{Location, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};

/// What happened last, with whether it was in the engine. Between a panic and whoever asks for it there are few others.
static RECENT: Mutex<VecDeque<(String, bool)>> = Mutex::new(VecDeque::new());
const KEPT: usize = 64;

/// Beginnings of the names of crates that work on statements and have no state of the lake.
const ENGINE: [&str; 6] = ["datafusion", "arrow", "parquet", "sqlparser", "chrono", "regex"];

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
    let text = info.payload_as_str().unwrap_or_default().to_owned();
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if recent.len() == KEPT {
        recent.pop_front();
    }
    recent.push_back((text, info.location().is_some_and(is_of_the_engine)));
}

/// Paths of crates of others have the name and the version of the crate in them: `…/arrow-data-59.1.0/src/transform/mod.rs`.
fn is_of_the_engine(place: &Location<'_>) -> bool {
    let of_the_engine = |part: &str| {
        ENGINE.iter().any(|name| {
            part.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('-') && rest.contains(char::is_numeric))
        })
    };
    place.file().split(['/', '\\']).any(of_the_engine)
}

/// Whether the last panic with these words, which may stand among others, was in the engine.
pub(super) fn was_in_the_engine(text: &str) -> bool {
    let recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let last = recent.iter().rev().find(|(words, _)| !words.is_empty() && text.contains(words.as_str()));
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
        let error = panic_error(engines.as_ref());
        assert!(matches!(&error, QueryError::Unsupported(text) if text.contains("71")), "{error:?}");
        let ours = catch_unwind(|| panic!("no such thing as this")).unwrap_err();
        assert!(matches!(panic_error(ours.as_ref()), QueryError::Internal(_)));
        // the same words from both: the last one counts
        let ours = catch_unwind(|| panic!("{error}")).unwrap_err();
        assert!(matches!(panic_error(ours.as_ref()), QueryError::Internal(_)));
    }

    #[tokio::test]
    async fn a_task_that_panics_in_the_engine_is_told_like_a_panic_that_was_caught() {
        watch();
        let lost = tokio::spawn(async { Int32Array::from(vec![1]).value(72) }).await.unwrap_err();
        let error = QueryError::from(datafusion::error::DataFusionError::ExecutionJoin(Box::new(lost)));
        assert!(matches!(&error, QueryError::Unsupported(text) if text.contains("72")), "{error:?}");
    }
}
