use super::*;
use proptest::prelude::*;

const F: i64 = 3_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;
const HOUR: i64 = 3600 * SECOND;

fn process(frequency: i64, start_time: i64, start_ticks: i64) -> ProcessInfo {
    ProcessInfo { tsc_frequency: frequency, start_time, start_ticks, ..ProcessInfo::default() }
}

/// Both bounds as `(wall clock, ticks since the start)`.
fn block((begin_time, begin_ticks): (i64, i64), (end_time, end_ticks): (i64, i64)) -> BlockInfo {
    BlockInfo { begin_time, begin_ticks, end_time, end_ticks, ..BlockInfo::default() }
}

/// The line of the process, as the format of native clients documents it.
fn documented(process: &ProcessInfo, block: &BlockInfo, ticks: i64) -> i64 {
    let frequency = match process.tsc_frequency {
        0 => {
            let seconds = (block.end_time - process.start_time) as f64 / 1e9;
            (block.end_ticks as f64 / seconds).round()
        }
        known => known as f64,
    };
    process.start_time + ((ticks - process.start_ticks) as f64 * (1e9 / frequency)).round() as i64
}

proptest! {
    #[test]
    fn rounding_is_that_of_the_standard_library(x in proptest::num::f64::ANY) {
        prop_assert_eq!(round(x), x.round() as i64);
    }

    /// Real rates drift by up to 50 millionths, NTP slews by 500, and a begin and an end are read with some delay.
    #[test]
    fn healthy_clocks_give_the_documented_times_whatever_the_drift(
        is_known in any::<bool>(),
        // slower ticks of an unknown rate are off by more than a second after a month, and then the block's readings are right
        frequency in 2_000_000..6_000_000_000_i64,
        start_ticks in 0..i64::MAX / 4,
        age in 0..30 * 24 * 3600_i64,
        seconds in 1..60_i64,
        drift in -5e-5..5e-5_f64,
        delay in 0..1_000_000_i64,
        at in 0.0..1.0_f64,
    ) {
        let process = process(if is_known { frequency } else { 0 }, START, start_ticks);
        let ticks = |seconds: i64| (frequency as f64 * (seconds as f64) * (1.0 + drift)) as i64;
        let block = block(
            (START + age * SECOND + delay, ticks(age)),
            (START + (age + seconds) * SECOND, ticks(age + seconds)),
        );
        let clock = Clock::for_block(&process, &block);
        prop_assert!(!clock.is_of_block());
        let event = start_ticks + block.begin_ticks + ((block.end_ticks - block.begin_ticks) as f64 * at) as i64;
        prop_assert_eq!(clock.time_of(event), documented(&process, &block, event));
    }

    /// Ticks as slow as milliseconds: what rounding their rate explains must not hide a sleep.
    #[test]
    fn a_sleep_is_seen_however_slow_the_ticks_are_and_however_old_the_process_is(
        frequency in prop_oneof![Just(100), Just(1_000), Just(64_000), Just(1_000_000), Just(10_000_000)],
        age in 60..30 * 24 * 3600_i64,
        sleep in 10..100_000_i64,
    ) {
        let process = process(0, START, 0);
        let block = block(
            (START + age * SECOND, age * frequency),
            (START + (age + 60 + sleep) * SECOND, (age + 60) * frequency),
        );
        let clock = Clock::for_block(&process, &block);
        prop_assert!(clock.is_of_block());
        prop_assert_eq!(clock.time_of(block.end_ticks), block.end_time);
    }

    /// Whatever a sender says, and whatever its events say: the bounds hold, and nothing panics.
    #[test]
    fn every_time_lies_within_the_bounds(
        frequency in prop_oneof![Just(0), any::<i64>()],
        (start_time, start_ticks) in any::<(i64, i64)>(),
        begin in any::<(i64, i64)>(),
        end in any::<(i64, i64)>(),
        ticks in proptest::collection::vec(any::<i64>(), 1..8),
    ) {
        let clock = Clock::for_block(&process(frequency, start_time, start_ticks), &block(begin, end));
        for ticks in ticks {
            let time = clock.time_of(ticks);
            if let Some((earliest, latest)) = clock.bounds() {
                prop_assert!(earliest <= time && time <= latest);
            }
        }
    }

    /// Sleeps of any length at any moment of any block, with ticks that stop or begin anew, or a wall clock that is set forward.
    #[test]
    fn after_a_jump_times_are_right_durations_are_right_and_time_never_goes_back(
        is_known in any::<bool>(),
        is_reset in any::<bool>(),
        blocks in 2..6_usize,
        jump_in in 1..5_usize,
        jump in prop_oneof![60..36_000_i64, Just(50 * 365 * 86_400)],
        ticks_at_start in 0..1_000_i64,
    ) {
        let jump_in = jump_in.min(blocks - 1);
        let start_ticks = ticks_at_start * F;
        let process = process(if is_known { F } else { 0 }, START, start_ticks);
        // the machine sleeps 20 seconds after the begin of that block, and each block takes a minute
        let moment = jump_in as i64 * 60 + 20;
        let wall = |second: i64| START + (second + if second >= moment { jump } else { 0 }) * SECOND;
        let ticks = |second: i64| match is_reset && second >= moment {
            true => (second - moment) * F - start_ticks,
            false => second * F,
        };
        let mut last = i64::MIN;
        for i in 0..blocks as i64 {
            let of = |second: i64| (wall(second), ticks(second));
            let clock = Clock::for_block(&process, &block(of(i * 60), of((i + 1) * 60)));
            for second in [i * 60, i * 60 + 10, i * 60 + 30, i * 60 + 59] {
                let event = start_ticks + ticks(second);
                let (begin, end) = (clock.time_of(event), clock.time_of(event + F / 1000));
                prop_assert_eq!((end - begin + 500) / 1000, 1_000, "a span of 1 ms at {}", second);
                prop_assert!(begin >= last, "{} after {}", begin, last);
                prop_assert!(begin >= wall(i * 60) - 1000 && begin <= wall((i + 1) * 60));
                // where within a block the machine slept is not known from ticks that stopped
                let is_certain = i != jump_in as i64 || second >= moment || is_reset;
                if is_certain {
                    prop_assert!((begin - wall(second)).abs() < 1000, "{} is not {}", begin, wall(second));
                }
                last = begin;
            }
        }
    }
}

#[test]
fn halves_round_away_from_zero_and_their_lower_neighbors_do_not() {
    assert_eq!([round(0.5), round(-0.5), round(1.5), round(2.5)], [1, -1, 2, 3]);
    assert_eq!(round(0.499_999_999_999_999_94), 0);
}

#[test]
fn a_wall_clock_that_was_set_back_is_believed_from_the_end_of_that_block_on() {
    for frequency in [0, F] {
        let process = process(frequency, START, 7 * F);
        let of = |second: i64, back: i64| (START + second * SECOND - back, second * F);
        let cases = [
            (block(of(0, 0), of(60, 0)), 10, 0),
            (block(of(60, 0), of(120, HOUR)), 110, HOUR),
            (block(of(120, HOUR), of(180, HOUR)), 150, HOUR),
        ];
        for (block, second, back) in cases {
            let clock = Clock::for_block(&process, &block);
            let event = (7 + second) * F;
            assert_eq!(clock.time_of(event), of(second, back).0, "{frequency} {second}");
            assert_eq!(clock.time_of(event + F / 1000) - clock.time_of(event), SECOND / 1000);
        }
    }
}

#[test]
fn lines_of_consecutive_blocks_meet_although_the_rate_is_not_exact() {
    // ten hours asleep at first; then the ticks go a millionth faster than reported
    let process = process(F, START, 0);
    let of = |minute: i64| (START + 10 * HOUR + minute * 60 * SECOND, minute * 60 * (F + F / 1_000_000));
    for minute in 1..100 {
        let (a, b) = (block(of(minute), of(minute + 1)), block(of(minute + 1), of(minute + 2)));
        let ends = Clock::for_block(&process, &a).time_of_relative(a.end_ticks);
        let begins = Clock::for_block(&process, &b).time_of_relative(b.begin_ticks);
        assert!((ends - begins).abs() <= 1, "{ends} {begins}");
    }
}

#[test]
fn a_block_that_took_no_time_is_at_its_time() {
    for frequency in [0, F] {
        let process = process(frequency, START, 7 * F);
        let clock = Clock::for_block(&process, &block((START, 0), (START, 0)));
        assert_eq!(clock.time_of(7 * F), START);
    }
}

#[test]
fn ticks_that_a_sender_does_not_fill_in_say_nothing() {
    let process = process(F, START, 7 * F);
    let clock = Clock::for_block(&process, &block((START + 90 * SECOND, 0), (START + 120 * SECOND, 0)));
    assert_eq!(clock.time_of((7 + 100) * F), START + 100 * SECOND);
    assert_eq!(clock.bounds(), None);
}
