//! Spans on tracks on which they nest: a track shows what lies above what, so spans that overlap without nesting need
//! tracks of their own.

/// A span that has begun and not ended yet.
#[derive(Debug, Clone, Copy)]
struct Begun {
    id: i64,
    end: i64,
}

/// Where spans go that come in the order of their begin.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Vec<Begun>>,
}

/// What there is to be written before a span begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) lane: usize,
    /// Ends of spans on that lane, in order.
    pub(super) ended: Vec<i64>,
}

impl Lanes {
    /// Places a span: on its parent's lane if it lies within it there, else on the first lane where it lies within what
    /// is open, if anything is.
    pub(super) fn place(&mut self, id: i64, parent: i64, begin: i64, end: i64) -> Placed {
        let fits = |lane: &Vec<Begun>| {
            lane.iter().rev().find(|open| open.end > begin || (open.end == begin && end == begin)).copied()
        };
        let of_parent = self
            .lanes
            .iter()
            .position(|lane| fits(lane).is_some_and(|open| open.id == parent && end <= open.end));
        let free = || self.lanes.iter().position(|lane| fits(lane).is_none());
        let lane = of_parent.or_else(free).unwrap_or(self.lanes.len());
        if lane == self.lanes.len() {
            self.lanes.push(Vec::new());
        }
        let open = &mut self.lanes[lane];
        let mut ended = Vec::new();
        while let Some(last) = open.last().filter(|o| o.end < begin || (o.end == begin && end != begin)) {
            ended.push(last.end);
            open.pop();
        }
        open.push(Begun { id, end });
        Placed { lane, ended }
    }

    /// The ends of what is still open, by lane, in order.
    pub(super) fn rest(self) -> impl Iterator<Item = (usize, i64)> {
        self.lanes
            .into_iter()
            .enumerate()
            .flat_map(|(lane, open)| open.into_iter().rev().map(move |begun| (lane, begun.end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn children_are_on_their_parents_lane_and_what_overlaps_is_not() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.place(1, 0, 0, 100), Placed { lane: 0, ended: vec![] });
        assert_eq!(lanes.place(2, 1, 10, 50), Placed { lane: 0, ended: vec![] });
        assert_eq!(lanes.place(3, 1, 20, 60).lane, 1);
        assert_eq!(lanes.place(4, 0, 30, 200).lane, 2);
        assert_eq!(lanes.place(5, 1, 60, 70), Placed { lane: 0, ended: vec![50] });
        assert_eq!(lanes.place(6, 0, 100, 110), Placed { lane: 0, ended: vec![70, 100] });
        assert_eq!(lanes.rest().collect::<Vec<_>>(), [(0, 110), (1, 60), (2, 200)]);
    }

    proptest! {
        #[test]
        fn spans_of_a_lane_nest(spans in prop::collection::vec((0_i64..100, 0_i64..40, 0_i64..12), 0..60)) {
            let mut spans = spans;
            spans.sort();
            let mut lanes = Lanes::default();
            let mut on: Vec<Vec<(i64, i64)>> = Vec::new();
            for (id, (begin, length, parent)) in spans.iter().enumerate() {
                let placed = lanes.place(id as i64 + 1, *parent, *begin, begin + length);
                on.resize_with(on.len().max(placed.lane + 1), Vec::new);
                on[placed.lane].push((*begin, begin + length));
            }
            for lane in on {
                for (i, a) in lane.iter().enumerate() {
                    for b in &lane[i + 1..] {
                        prop_assert!(b.0 >= a.1 || b.1 <= a.1, "{a:?} {b:?}");
                    }
                }
            }
        }
    }
}
