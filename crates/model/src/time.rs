//! Instants, ranges of them, and the clocks of instrumented processes.
//!
//! Every instant in the project is an `i64` of nanoseconds since the Unix epoch in UTC, which covers the years 1677 to 2262.
//! The wire, the catalog and Arrow all use it, so no digit is lost.

mod clock;

pub use clock::Clock;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rfc3339_round_trips(t in any::<i64>()) {
            prop_assert_eq!(parse_rfc3339(&to_rfc3339(t)), Ok(t));
        }
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
