//! Instants, ranges of them, and the clocks of instrumented processes.
//!
//! Every instant in the project is an `i64` of nanoseconds since the Unix epoch in UTC, which covers the years 1677 to 2262.
//! The wire, the catalog and Arrow all use it, so no digit is lost.

use crate::transit::DecodeError;
use crate::{BlockInfo, ProcessInfo};
use chrono::{DateTime, SecondsFormat, Utc};
use thiserror::Error;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// The server's clock, in nanoseconds since the Unix epoch.
pub fn now() -> i64 {
    Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX)
}

/// Why a text is not a valid time.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("'{0}' is not an RFC 3339 time such as 2026-01-31T12:00:00Z")]
    Syntax(String),
    /// Outside of what 64 bits of nanoseconds hold.
    #[error("'{0}' is outside of the years 1678 to 2261")]
    Range(String),
}

/// Parses an RFC 3339 time with any offset to nanoseconds since the Unix epoch.
pub fn parse_rfc3339(text: &str) -> Result<i64, TimeError> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError::Syntax(text.to_owned()))?;
    time.timestamp_nanos_opt().ok_or_else(|| TimeError::Range(text.to_owned()))
}

/// RFC 3339 in UTC with nine fractional digits.
pub fn to_rfc3339(nanoseconds: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(nanoseconds).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// A range of event time. Each bound works alone, both are inclusive, and a missing one is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Earliest instant of interest, nanoseconds since the Unix epoch.
    pub begin: Option<i64>,
    /// Latest instant of interest, nanoseconds since the Unix epoch.
    pub end: Option<i64>,
}

impl TimeRange {
    /// The whole of time.
    pub const ALL: Self = Self { begin: None, end: None };

    /// Parses a bound: RFC 3339, or a day, which stands for its first instant in UTC.
    pub fn parse_bound(text: &str) -> Result<i64, TimeError> {
        parse_rfc3339(text).or_else(|e| parse_rfc3339(&format!("{text}T00:00:00Z")).map_err(|_| e))
    }

    /// Whether neither bound is set.
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// What both ranges contain.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self {
            begin: self.begin.max(other.begin),
            end: match (self.end, other.end) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Whether the range overlaps the one from `begin` to `end`, both inclusive.
    pub fn touches(self, begin: i64, end: i64) -> bool {
        self.begin.is_none_or(|t| end >= t) && self.end.is_none_or(|t| begin <= t)
    }

    /// The range, extended by `margin` nanoseconds on both sides.
    #[must_use]
    pub fn widen(self, margin: i64) -> Self {
        Self {
            begin: self.begin.map(|t| t.saturating_sub(margin)),
            end: self.end.map(|t| t.saturating_add(margin)),
        }
    }
}

/// Converts a producer's ticks to instants.
///
/// `time = start + round((ticks - start_ticks) * (1e9 / frequency))`, halves away from zero.
///
/// Many machines don't report their tick rate (`tsc_frequency` is 0). It is then estimated from the end of
/// the very block being read: from that block alone, so that a row's time does not depend on which other
/// blocks have arrived. What spans several blocks needs a clock that does not jump between them, see
/// [`Clock::continuing`].
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
}

/// How far an estimated tick rate may be adjusted so that the clocks of consecutive blocks meet. More would be visible in
/// durations.
const MAX_ADJUSTMENT: f64 = 1e-3;

impl Clock {
    /// The clock for the events of one block. [`DecodeError::Clock`] if no tick rate is known and none can be estimated.
    pub fn for_block(process: &ProcessInfo, block: &BlockInfo) -> Result<Self, DecodeError> {
        let frequency = if process.tsc_frequency > 0 {
            process.tsc_frequency as f64
        } else {
            let nanoseconds = block.end_time.saturating_sub(process.start_time);
            let estimate = (block.end_ticks as f64 / (nanoseconds as f64 / SECOND as f64)).round();
            if !(estimate.is_finite() && estimate > 0.0) {
                return Err(DecodeError::Clock {
                    process_id: process.process_id,
                    block_id: block.block_id,
                    end_ticks: block.end_ticks,
                    nanoseconds,
                });
            }
            estimate
        };
        Ok(Self {
            time: process.start_time,
            ticks: process.start_ticks,
            start_ticks: process.start_ticks,
            frequency,
            nanoseconds_per_tick: SECOND as f64 / frequency,
            is_estimate: process.tsc_frequency <= 0,
        })
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
        let ticks = ticks.wrapping_sub(self.ticks);
        self.time.saturating_add(round(ticks as f64 * self.nanoseconds_per_tick))
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

/// `f64::round` followed by a saturating cast. On the baseline of x86-64 `f64::round`
/// is a library call, and this runs for each event.
#[inline]
fn round(x: f64) -> i64 {
    let whole = x as i64;
    let rest = x - whole as f64;
    whole.saturating_add(i64::from(rest >= 0.5)).saturating_sub(i64::from(rest <= -0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_is_that_of_the_standard_library(x in proptest::num::f64::ANY) {
            prop_assert_eq!(round(x), x.round() as i64);
        }

        #[test]
        fn rfc3339_round_trips(t in any::<i64>()) {
            prop_assert_eq!(parse_rfc3339(&to_rfc3339(t)), Ok(t));
        }
    }

    #[test]
    fn halves_round_away_from_zero_and_their_lower_neighbors_do_not() {
        assert_eq!([round(0.5), round(-0.5), round(1.5), round(2.5)], [1, -1, 2, 3]);
        assert_eq!(round(0.499_999_999_999_999_94), 0);
    }

    #[test]
    fn a_day_stands_for_its_first_instant() {
        assert_eq!(TimeRange::parse_bound("1970-01-02"), Ok(86_400 * SECOND));
        assert_eq!(TimeRange::parse_bound("1970-01-02T00:00:01+00:00"), Ok(86_401 * SECOND));
        assert_eq!(TimeRange::parse_bound("monday"), Err(TimeError::Syntax("monday".to_owned())));
    }

    #[test]
    fn an_end_bound_works_alone() {
        let a = TimeRange { begin: None, end: Some(5) };
        let b = TimeRange { begin: Some(1), end: None };
        assert_eq!(a.intersect(b), TimeRange { begin: Some(1), end: Some(5) });
        assert_eq!(a.intersect(TimeRange::ALL), a);
    }

    #[test]
    fn a_year_that_nanoseconds_cannot_hold_is_refused() {
        assert!(matches!(parse_rfc3339("1600-01-01T00:00:00Z"), Err(TimeError::Range(_))));
        assert!(matches!(parse_rfc3339("9999-01-01T00:00:00Z"), Err(TimeError::Range(_))));
        assert!(matches!(parse_rfc3339("yesterday"), Err(TimeError::Syntax(_))));
    }
}
