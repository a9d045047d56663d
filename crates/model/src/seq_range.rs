//! Ranges of block numbers.

/// A range of [`seq`](crate::BlockRecord::seq), the number that a block gets when it becomes visible. The first is 1. Both
/// ends are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SeqRange {
    /// First number.
    pub begin: i64,
    /// Last number.
    pub end: i64,
}

impl SeqRange {
    /// Every block.
    pub const ALL: Self = Self { begin: 1, end: i64::MAX };

    /// From `begin` to `end`, both inclusive.
    pub const fn new(begin: i64, end: i64) -> Self {
        Self { begin, end }
    }

    /// Whether it contains no number.
    pub fn is_empty(self) -> bool {
        self.begin > self.end
    }

    /// Whether it contains all of `other`.
    pub fn contains(self, other: Self) -> bool {
        self.begin <= other.begin && other.end <= self.end
    }

    /// The intersection; may be empty.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self { begin: self.begin.max(other.begin), end: self.end.min(other.end) }
    }

    /// The parts of it that are not in `covered`, which must be sorted and without overlaps.
    pub fn without(self, covered: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut gaps = Vec::new();
        let mut next = self.begin;
        for range in covered {
            if range.end < next {
                continue;
            }
            if range.begin > self.end {
                break;
            }
            if range.begin > next {
                gaps.push(Self::new(next, range.begin - 1));
            }
            // nothing follows the greatest number
            match range.end.checked_add(1) {
                Some(after) => next = after,
                None => return gaps,
            }
        }
        if next <= self.end {
            gaps.push(Self::new(next, self.end));
        }
        gaps
    }
}

impl Default for SeqRange {
    fn default() -> Self {
        Self::ALL
    }
}

impl std::fmt::Display for SeqRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}–{}", self.begin, self.end)
    }
}
