//! `frame_times`: how long a thread's frames took.
//!
//! SQL over `thread_spans`: the frames of a thread are its outermost spans, since depth 0 is the thread itself.

use belvedere_view::prelude::*;

register_view_set! {
    ViewSet::new("frame_times")
        .about("Frames of a thread: the spans that are part of no other")
        .columns(&[
            Column::utf8("name", "name of the span").role(Role::Name),
            Column::time("begin", "when the frame began").event_begin(),
            Column::time("end", "when the span ended").event_end(),
            Column::float64("milliseconds", "how long it took").unit(Unit::Milliseconds),
            Column::float64("gap", "milliseconds from the end of the frame before; NULL for the first").unit(Unit::Milliseconds).nullable(),
        ])
        .instances(Instances::PerStream)
        .depends_on(&["thread_spans"])
        .query(
            "SELECT name, \"begin\", \"end\", duration / 1e6 AS milliseconds, \
             (CAST(\"begin\" AS BIGINT) - lag(CAST(\"end\" AS BIGINT)) OVER (ORDER BY \"begin\")) / 1e6 AS gap \
             FROM thread_spans WHERE depth = 1",
        )
        .version(1)
        .example("SELECT approx_percentile_cont(milliseconds, 0.99) FROM view_instance('frame_times', '<stream id>')")
}

#[cfg(test)]
mod tests;
