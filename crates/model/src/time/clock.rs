//! From a producer's ticks to instants.
//!
//! A process says when it started, by its wall clock and in ticks, and each of its blocks says when it began and ended, in
//! both again. If the clocks are healthy, all of these lie on one line, and that line is the clock of the process:
//!
//! `time = start + round((ticks - start_ticks) * (1e9 / frequency))`, halves away from zero.
//!
//! They don't if the machine slept and its ticks stopped or began anew, or if the wall clock was set. Then the line is wrong
//! for the block by seconds or by years, and the block's own clocks are believed instead: a line for each block, which
//! ends at its `end_time`. The rule:
//!
//! 1. **Ticks of a known rate**: the line of the process holds unless the block's begin or end is away from it by more than
//!    a second and a ten-thousandth of the time since the start. That much is drift, which all clocks have.
//! 2. **Ticks of an unknown rate** (`tsc_frequency` is 0): the rate is estimated from the end of the very block being read,
//!    in whole ticks per second, so the line goes through that end or close by it. It holds unless the block's begin is away
//!    from it by more than 50 ms, a thousandth of the block's length, and what rounding the rate explains, up to a second.
//! 3. Else the block's line goes through its end. It goes through its begin too if that agrees with the rate to a
//!    thousandth: so the lines of consecutive blocks meet. If it does not, the clocks jumped within the block, and what
//!    is said of the end is what still holds afterwards. An unknown rate is that between the block's begin and end, or
//!    that between the start of the process and the block's begin if the wall clock jumped forward within the block.
//!
//! If the ticks are fewer at the end of a block than at its begin, they began anew within it. Then many ticks are from before
//! that and go by the block's begin, and few ticks are from after it and go by its end.
//!
//! The clock of a block is a function of that block and its process: a row's time never depends on which other blocks have
//! arrived. Time never goes back along a stream, unless the wall clock of the sender was set back. What spans several
//! blocks needs a clock that does not jump between them by a little, see [`Clock::continuing`].

use super::SECOND;
use crate::{BlockInfo, ProcessInfo};

/// Events may lie a little outside of their block's bounds: a thread takes the time of an event before it gets the lock
/// under which it writes the event.
const SLACK: i64 = SECOND;
/// Known ticks and the wall clock drift apart by at most this share of the time since the start of the process.
const DRIFT: f64 = 1e-4;
/// How far an estimated rate may be away from the block's begin, and by which share of the block's length.
const ESTIMATE: (i64, f64) = (SECOND / 20, 1e-3);
/// The rate between a block's begin and end is that of its ticks if it differs by no more.
const SAME_RATE: f64 = 1e-3;
/// If the rate within a block is so many times that before it, the wall clock jumped within the block.
const JUMP: f64 = 1.2;
/// How far an estimated tick rate may be adjusted so that the clocks of consecutive blocks meet. More would be visible in
/// durations.
const MAX_ADJUSTMENT: f64 = 1e-3;

/// Converts a producer's ticks to instants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// An instant, and what the ticks were then.
    time: i64,
    ticks: i64,
    /// Ticks at the start of the process.
    start_ticks: i64,
    frequency: f64,
    nanoseconds_per_tick: f64,
    is_estimate: bool,
    is_of_block: bool,
    /// More ticks than this are from before the ticks began anew.
    turn: i64,
    /// An instant before that, and what the ticks were then.
    before: Reading,
    /// Bounds of all times that it gives.
    earliest: i64,
    latest: i64,
}

/// A reading of both clocks. Ticks count from the start of the process.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    ticks: i64,
    time: i64,
}

impl Reading {
    /// Nanoseconds per tick between two readings, if both clocks went the same way.
    fn rate(self, later: Self) -> Option<f64> {
        let ticks = i128::from(later.ticks) - i128::from(self.ticks);
        let time = i128::from(later.time) - i128::from(self.time);
        let rate = time as f64 / ticks as f64;
        (rate.is_finite() && rate > 0.0).then_some(rate)
    }
}

impl Clock {
    /// The clock for the events of one block. See the module for the rule.
    pub fn for_block(process: &ProcessInfo, block: &BlockInfo) -> Self {
        let start = Reading { ticks: 0, time: process.start_time };
        let begin = Reading { ticks: block.begin_ticks, time: block.begin_time };
        let end = Reading { ticks: block.end_ticks, time: block.end_time };
        let reported = (process.tsc_frequency > 0).then_some(process.tsc_frequency as f64);
        let estimate = || {
            let nanoseconds = end.time.saturating_sub(start.time);
            let frequency = (end.ticks as f64 / (nanoseconds as f64 / SECOND as f64)).round();
            (frequency.is_finite() && frequency > 0.0).then_some(frequency)
        };
        let clock = reported.or_else(estimate).map(|frequency| Self {
            time: process.start_time,
            ticks: process.start_ticks,
            start_ticks: process.start_ticks,
            frequency,
            nanoseconds_per_tick: SECOND as f64 / frequency,
            is_estimate: reported.is_none(),
            is_of_block: false,
            turn: i64::MAX,
            before: start,
            earliest: i64::MIN,
            latest: i64::MAX,
        });
        // time passed, but no ticks: the sender does not fill them in, and they say nothing
        let is_silent =
            begin.ticks == end.ticks && end.time.saturating_sub(begin.time).saturating_abs() > SLACK;
        match clock {
            Some(clock) if is_silent => clock,
            Some(clock) if clock.agrees(start, begin, end) => clock.within(begin.ticks, end.ticks),
            _ => {
                let rate = match reported {
                    Some(frequency) => SECOND as f64 / frequency,
                    None => unreported_rate(start, begin, end),
                };
                let own = begin.rate(end).filter(|own| (own / rate - 1.0).abs() <= SAME_RATE);
                let clock = Self {
                    time: end.time,
                    ticks: process.start_ticks.wrapping_add(end.ticks),
                    start_ticks: process.start_ticks,
                    frequency: reported.unwrap_or(SECOND as f64 / rate),
                    nanoseconds_per_tick: own.unwrap_or(rate),
                    is_estimate: reported.is_none(),
                    is_of_block: true,
                    turn: i64::MAX,
                    before: begin,
                    earliest: i64::MIN,
                    latest: i64::MAX,
                };
                if is_silent {
                    clock
                } else if end.ticks < begin.ticks {
                    let turn = (i128::from(begin.ticks) - i128::from(end.ticks)) / 2;
                    let turn = i64::try_from(turn).unwrap_or(i64::MAX);
                    Self { turn, ..clock }.between(begin.time, end.time)
                } else {
                    clock.within(begin.ticks, end.ticks)
                }
            }
        }
    }

    /// Whether what a block says of both clocks is on the line.
    fn agrees(&self, start: Reading, begin: Reading, end: Reading) -> bool {
        let is_near = |reading: Reading| {
            let time = self.time_of_relative(reading.ticks);
            let apart = time.saturating_sub(reading.time).saturating_abs();
            let since_start = |time: i64| time.saturating_sub(start.time).saturating_abs();
            let elapsed = since_start(time).min(since_start(reading.time)) as f64;
            let bound = if self.is_estimate {
                let length = end.time.saturating_sub(begin.time).saturating_abs();
                // Half a tick in a second is what rounding the rate costs: a quarter of a second in six days at 1 MHz. With
                // slow ticks it would explain any jump: four minutes at 1 kHz.
                let rounding = (elapsed * 0.5 / self.frequency).min(SECOND as f64);
                ESTIMATE.0.saturating_add((length as f64 * ESTIMATE.1 + rounding) as i64)
            } else {
                SECOND.saturating_add((elapsed * DRIFT) as i64)
            };
            apart <= bound
        };
        is_near(begin) && is_near(end)
    }

    /// The same clock for a block between these ticks. What lies farther outside than happens by chance is moved to the bounds:
    /// the catalog has them, and queries about a range of time find blocks by them.
    fn within(self, begin_ticks: i64, end_ticks: i64) -> Self {
        let (a, b) = (self.time_of_relative(begin_ticks), self.time_of_relative(end_ticks));
        self.between(a, b)
    }

    fn between(self, a: i64, b: i64) -> Self {
        Self { earliest: a.min(b).saturating_sub(SLACK), latest: a.max(b).saturating_add(SLACK), ..self }
    }

    /// Bounds of all times that it gives, both inclusive; `None` if there are none.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        (self.earliest > i64::MIN || self.latest < i64::MAX).then_some((self.earliest, self.latest))
    }

    /// The clock without bounds: for decoders whose rows are found by the stream that they are of, not by their block.
    #[must_use]
    pub fn unbounded(self) -> Self {
        Self { earliest: i64::MIN, latest: i64::MAX, ..self }
    }

    /// Whether it follows the clocks of the block, since those of the process don't agree with them.
    pub fn is_of_block(&self) -> bool {
        self.is_of_block
    }

    /// Ticks per second, as reported or estimated.
    pub fn frequency(&self) -> f64 {
        self.frequency
    }

    /// The clock of a block that follows another one, whose clock said `time` at the absolute tick count `ticks`: this clock
    /// says the same. Where the tick rate is estimated, it is adjusted by at most a thousandth, so that at the end of the
    /// block the clock says what it would have said without the adjustment. So time never jumps, and errors of single
    /// estimates don't add up. Clocks that are more than a second apart are not joined: one of them was set, or a client
    /// reports wrong ticks.
    #[must_use]
    pub fn continuing(self, ticks: i64, time: i64, block: &BlockInfo) -> Self {
        let apart = self.time_of(ticks).saturating_sub(time);
        if !self.is_estimate || apart.saturating_abs() > SECOND {
            return self;
        }
        let end_ticks = self.start_ticks.wrapping_add(block.end_ticks);
        let end_time = self.time_of(end_ticks);
        let rate = self.nanoseconds_per_tick;
        let required = end_time.saturating_sub(time) as f64 / end_ticks.wrapping_sub(ticks) as f64;
        let adjusted = if required.is_finite() && end_ticks > ticks { required } else { rate };
        let nanoseconds_per_tick =
            adjusted.clamp(rate * (1.0 - MAX_ADJUSTMENT), rate * (1.0 + MAX_ADJUSTMENT));
        Self { time, ticks, nanoseconds_per_tick, ..self }
    }

    /// The instant of an event's absolute tick count.
    #[inline]
    pub fn time_of(&self, ticks: i64) -> i64 {
        let since = ticks.wrapping_sub(self.ticks);
        let time = if since > self.turn {
            self.time_before(ticks)
        } else {
            self.time.saturating_add(round(since as f64 * self.nanoseconds_per_tick))
        };
        time.max(self.earliest).min(self.latest)
    }

    /// The instant of a tick count from before the ticks began anew.
    #[cold]
    fn time_before(&self, ticks: i64) -> i64 {
        let since = ticks.wrapping_sub(self.absolute(self.before.ticks));
        self.before.time.saturating_add(round(since as f64 * self.nanoseconds_per_tick))
    }

    /// The instant of a block bound, which counts from the start of the process.
    #[inline]
    pub fn time_of_relative(&self, ticks: i64) -> i64 {
        self.time_of(self.start_ticks.wrapping_add(ticks))
    }

    /// The absolute tick count of a block bound, which counts from the start of the process.
    pub fn absolute(&self, ticks: i64) -> i64 {
        self.start_ticks.wrapping_add(ticks)
    }

    /// A number of ticks as seconds.
    #[inline]
    pub fn seconds(&self, ticks: i64) -> f64 {
        ticks as f64 * (1000.0 / self.frequency) / 1000.0
    }
}

/// Nanoseconds per tick where nobody says it and the readings are on no line. Each of them but the last one may be from
/// before a jump.
fn unreported_rate(start: Reading, begin: Reading, end: Reading) -> f64 {
    match (begin.rate(end), start.rate(begin)) {
        (Some(within), Some(before)) if within > before * JUMP => before,
        (Some(rate), _) | (None, Some(rate)) => rate,
        // only the order of events is known; a nanosecond is what ticks are where nothing else is said
        (None, None) => start.rate(end).unwrap_or(1.0),
    }
}

/// `f64::round` followed by a saturating cast. On the baseline of x86-64 `f64::round`
/// is a library call, and this runs for each event.
#[inline]
fn round(x: f64) -> i64 {
    let whole = x as i64;
    let rest = x - whole as f64;
    whole.saturating_add(i64::from(rest >= 0.5)).saturating_sub(i64::from(rest <= -0.5))
}

#[cfg(test)]
mod tests;
