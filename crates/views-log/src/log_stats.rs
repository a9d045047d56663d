//! `log_stats`: how many messages there are, by minute, process, level and target.

use belvedere_view::prelude::*;

register_view_set! {
    ViewSet::new("log_stats")
        .about("Number of log messages per minute, process, level and target")
        .columns(&[
            Column::time("time_bin", "minute in which the messages were logged (its beginning, in UTC)").event_time(),
            Column::label("process_id", "process that the messages come from").role(Role::Process),
            Column::int32("level", "1 fatal, 2 error, 3 warning, 4 info, 5 debug, 6 trace").role(Role::Severity(&["fatal", "error", "warning", "info", "debug", "trace"])),
            Column::label("target", "part of the program that logged the messages: a module path or a category").role(Role::Group),
            Column::int64("count", "number of messages").unit(Unit::Count),
        ])
        .instances(Instances::Global)
        .depends_on(&["log_entries"])
        .sql(
            SqlSource::new(
                "SELECT date_trunc('minute', time) AS time_bin, process_id, level, target, count(*) AS count \
                 FROM log_entries GROUP BY 1, 2, 3, 4",
            )
            .merge(
                "SELECT time_bin, process_id, level, target, sum(count) AS count \
                 FROM partials GROUP BY time_bin, process_id, level, target",
            )
            .sort(&["time_bin", "process_id", "level", "target"]),
        )
        .version(1)
        .example("SELECT time_bin, sum(count) AS errors FROM log_stats WHERE level <= 2 GROUP BY time_bin ORDER BY time_bin")
}
