//! The SQL functions that belong to the lake itself, registered like everybody else's.

mod block_faults;
pub(crate) mod blocks;
mod change_partitions;
pub(crate) mod deny_rules;
mod list_columns;
mod list_functions;
mod list_partitions;
mod list_view_sets;
mod process_clock;
mod progress_table;
pub(crate) mod queries;
pub(crate) mod retire;
#[cfg(test)]
mod tests;
mod view_instance;

use crate::query::SqlFunction;
use belvedere_lake::access::Right;
use change_partitions::{Change, ChangePartitions};
use std::sync::Arc;

crate::register_functions! {
    SqlFunction::table("block_faults()", |context| Arc::new(block_faults::BlockFaults::new(context.clone())))
        .about(
            "Table: blocks that view sets could not read, with the reason, the process that sent them, and \
             whether they may be readable later. Their rows are missing from results. Lists at most the \
             first 10,000.",
        ),
    SqlFunction::table("list_columns()", |context| Arc::new(list_columns::ListColumns::new(context.clone())))
        .about(
            "Table: the documented columns of all view sets: view_set_name, column_name, data_type, \
             is_nullable, ordinal (from 0), description, event_time (instant, begin, end), unit (ns, bytes, …) \
             and role (name, message, severity(…), …); the last three are NULL where there is none.",
        ),
    SqlFunction::table("list_functions()", |context| Arc::new(list_functions::ListFunctions::new(context.clone())))
        .about(
            "Table: the SQL functions that crates of this program add to those of the engine: function_name, \
             kind (scalar, aggregate, table), signature, description, needs (a right) and crate_name. \
             information_schema.routines lists those of the engine too.",
        ),
    SqlFunction::table("list_partitions()", |context| Arc::new(list_partitions::ListPartitions::new(context.clone())))
        .about(
            "Table: the partitions of the lake with view set, instance, times, rows, bytes, file and \
             covered blocks (begin_seq to end_seq, both inclusive; for rows from a stateful decoder, the \
             blocks of stream_id from begin_object to before end_object).",
        ),
    SqlFunction::table("list_view_sets()", |context| Arc::new(list_view_sets::ListViewSets::new(context.clone())))
        .about(
            "Table: the view sets of this program with their schema hashes, crates and descriptions, what they are \
             made from (blocks, sql, query, catalog), the view sets that they read, an example, and the tags of \
             the streams whose blocks they are decoded from.",
        ),
    SqlFunction::table("materialize_partitions('view set', begin, end, seconds)", |context| Arc::new(ChangePartitions::new(Change::Materialize, context.clone())))
        .about(
            "Table: materializes missing partitions of the global instance for the blocks received from \
             begin to before end, in steps of that many seconds. One row per step.",
        )
        .needs(Right::Administer),
    SqlFunction::table("process_clock('process id')", |context| Arc::new(process_clock::ProcessClock::new(context.clone())))
        .about(
            "Table: where the clocks of a process disagree, from its blocks in the order in which they came. One              row for the blocks behind each other whose wall clock is equally far from the clock of the process:              offset and jump (since the row before) in nanoseconds. Times of events follow the clocks of the              block where is_of_block is true, and the clock of the process elsewhere.",
        ),
    SqlFunction::table("regenerate_partitions('view set', begin, end, seconds)", |context| Arc::new(ChangePartitions::new(Change::Regenerate, context.clone())))
        .about(
            "Table: retires the partitions of the global instance in that range of insert time and \
             materializes them again. One row per step. Fails if blocks of a partition were deleted.",
        )
        .needs(Right::Administer),
    SqlFunction::table("retire_partitions('view set', 'instance', begin, end)", |context| Arc::new(ChangePartitions::new(Change::Retire, context.clone())))
        .about(
            "Table: removes the partitions whose blocks were all received in that range, both ends \
             inclusive. One row per partition. Queries then decode their rows from the blocks.",
        )
        .needs(Right::Administer),
    SqlFunction::table("view_instance('view set', 'instance')", |context| Arc::new(view_instance::ViewInstance::new(context.clone())))
        .about("Table: one instance of a view set; the instance is 'global', a process id or a stream id."),
}
