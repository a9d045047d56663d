//! Ranges of the numbers that blocks get as they become visible.

/// A range of [`seq`](crate::BlockRecord::seq)s, the numbers that blocks get in the order in which they
/// become visible, the first of them 1. Both ends are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqRange {
    /// The least.
    pub begin: i64,
    /// The greatest.
    pub end: i64,
}

impl SeqRange {
    /// Every block.
    pub const ALL: Self = Self { begin: 1, end: i64::MAX };

    /// From `begin` to `end`, both inclusive.
    pub const fn new(begin: i64, end: i64) -> Self {
        Self { begin, end }
    }

    /// Whether no number is in it.
    pub fn is_empty(self) -> bool {
        self.begin > self.end
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        self.begin <= other.begin && other.end <= self.end
    }

    /// What both contain; may be empty.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self { begin: self.begin.max(other.begin), end: self.end.min(other.end) }
    }

    /// What is left of it without `covered`, which is in order and without overlaps.
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
