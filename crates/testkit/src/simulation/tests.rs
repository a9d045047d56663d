//! A few seeds, and those that found something.

use super::{Backends, Summary, simulate};

fn live(seed: u64, backends: Backends) -> Summary {
    let directory = tempfile::tempdir().unwrap();
    simulate(seed, backends, directory.path()).unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn rows_are_there_once_or_said_to_be_missing_whatever_fails() {
    let mut all = Summary::default();
    for seed in 0..4 {
        all += live(seed, Backends::Directory);
        all += live(seed, Backends::Store);
    }
    // the plans do something
    assert!(all.faults > 50 && all.crashes > 0 && all.answers > 500, "{all:?}");
}

#[test]
fn a_block_that_was_sent_again_is_not_there_twice_after_retention_and_a_crash() {
    live(174, Backends::Directory);
}

#[test]
fn a_partition_that_was_cut_in_a_store_makes_no_query_panic() {
    live(10_056, Backends::Store);
}

#[test]
fn retention_takes_no_block_whose_rows_are_in_a_file_that_was_lost() {
    live(10_065, Backends::Store);
}

#[test]
fn retention_takes_no_block_of_a_damaged_file_where_rows_are_kept_no_longer_than_blocks() {
    live(40, Backends::Store);
}

#[test]
fn rows_that_only_a_file_has_are_there_again_when_the_file_is_and_said_to_be_missing_until_then() {
    live(222, Backends::Directory);
}
