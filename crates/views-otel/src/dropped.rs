//! What of a request gives no row, or less than was sent: what a partial success counts and names.

/// Why something was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A span without ids.
    Ids,
    /// A span without times.
    Times,
    /// A data point without a time.
    PointTime,
    /// A metric without data of a known kind.
    Data,
    /// A trace or span id of another shape, where none is needed.
    OtherId,
    /// An attribute or a body with values that are nested too deep.
    TooDeep,
}

/// How often it happened, and the name of the first that it happened to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Count {
    count: u64,
    first: String,
}

/// What was dropped, by reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Dropped {
    counts: [Count; 6],
}

/// Bytes of a name in a message.
const MAX_NAME: usize = 100;

impl Dropped {
    pub(crate) fn add(&mut self, why: Why, name: &str) {
        self.add_many(why, 1, name);
    }

    pub(crate) fn add_many(&mut self, why: Why, count: u64, name: &str) {
        let known = &mut self.counts[why as usize];
        if known.count == 0 {
            name[..name.floor_char_boundary(MAX_NAME)].clone_into(&mut known.first);
        }
        known.count += count;
    }

    /// Adds what was dropped of another part of the request.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            if own.count == 0 {
                own.first.clone_from(&other.first);
            }
            own.count += other.count;
        }
    }

    /// Records that give no row.
    pub(crate) fn records(&self) -> u64 {
        [Why::Ids, Why::Times, Why::PointTime].iter().map(|why| self.counts[*why as usize].count).sum()
    }

    /// What the sender is told; `None` if all is as it was sent.
    pub(crate) fn message(&self) -> Option<String> {
        let told = |(why, one, many): (Why, &str, &str)| {
            let Count { count, first } = &self.counts[why as usize];
            let first = if first.is_empty() { "without a name" } else { first.as_str() };
            match count {
                0 => None,
                1 => Some(format!("1 {one} ({first})")),
                count => Some(format!("{count} {many} (the first: {first})")),
            }
        };
        let all: Vec<String> = [
            (
                Why::Ids,
                "span has no trace id of 16 bytes or no span id of 8 bytes, or zeros only, and gives no row",
                "spans have no trace id of 16 bytes or no span id of 8 bytes, or zeros only, and give no rows",
            ),
            (
                Why::Times,
                "span has no start or no end, and gives no row",
                "spans have no start or no end, and give no rows",
            ),
            (
                Why::PointTime,
                "data point has no time, and gives no row",
                "data points have no time, and give no rows",
            ),
            (
                Why::Data,
                "metric has no data of a known kind, and gives no row",
                "metrics have no data of a known kind, and give no rows",
            ),
            (
                Why::OtherId,
                "trace or span id has another shape, and is left out",
                "trace or span ids have another shape, and are left out",
            ),
            (
                Why::TooDeep,
                "value is nested deeper than 60 levels: what is deeper is null",
                "values are nested deeper than 60 levels: what is deeper is null",
            ),
        ]
        .into_iter()
        .filter_map(told)
        .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::MAX_NESTING;

    #[test]
    fn what_was_dropped_is_counted_by_reason_and_the_first_one_named() {
        let (mut dropped, mut more) = (Dropped::default(), Dropped::default());
        assert_eq!((dropped.records(), dropped.message()), (0, None));
        more.add(Why::Ids, "checkout");
        more.add(Why::Ids, "pay");
        more.add(Why::TooDeep, "");
        dropped.merge(&more);
        assert_eq!(dropped.records(), 2);
        let message = dropped.message().unwrap();
        assert!(message.starts_with("2 spans have no trace id"), "{message}");
        assert!(message.contains("(the first: checkout); 1 value is nested"), "{message}");
        assert!(message.contains(&format!("deeper than {MAX_NESTING} levels")), "{message}");
    }
}
