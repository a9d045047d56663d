//! The SQL functions that belong to the lake itself, registered like everybody else's.

pub mod arguments;
mod block_faults;
pub(crate) mod blocks;
mod change_partitions;
pub(crate) mod deny_rules;
mod list_columns;
mod list_partitions;
mod list_view_sets;
mod progress_table;
pub(crate) mod queries;
pub(crate) mod retire;
pub mod scalar_argument;
#[cfg(test)]
mod tests;
mod view_instance;

use crate::query::{FunctionDoc, FunctionSet, Functions};
use belvedere_lake::access::Right;
use change_partitions::{Change, ChangePartitions};
use std::sync::Arc;

crate::register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "block_faults",
                signature: "block_faults()",
                about: "Table: blocks that view sets could not read for a query, with the reason. Their rows are \
                        missing from results. Lists at most the first 10,000.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "list_columns",
                signature: "list_columns()",
                about: "Table: the documented columns of all view sets: view_set_name, column_name, data_type, \
                        is_nullable, ordinal (from 0) and description.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "list_partitions",
                signature: "list_partitions()",
                about: "Table: the partitions of the lake with view set, instance, times, rows, bytes, file and \
                        covered blocks (begin_seq to end_seq, both inclusive; for rows from a stateful decoder, the \
                        blocks of stream_id from begin_object to before end_object).",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "list_view_sets",
                signature: "list_view_sets()",
                about: "Table: the view sets of this program with their schema hashes and crates.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "materialize_partitions",
                signature: "materialize_partitions('view set', begin, end, seconds)",
                about: "Table: materializes missing partitions of the global instance for the blocks received from \
                        begin to before end, in steps of that many seconds. One row per step.",
                needs: Right::Administer,
            },
            FunctionDoc {
                name: "regenerate_partitions",
                signature: "regenerate_partitions('view set', begin, end, seconds)",
                about: "Table: retires the partitions of the global instance in that range of insert time and \
                        materializes them again. One row per step. Fails if blocks of a partition were deleted.",
                needs: Right::Administer,
            },
            FunctionDoc {
                name: "retire_partitions",
                signature: "retire_partitions('view set', 'instance', begin, end)",
                about: "Table: removes the partitions whose blocks were all received in that range, both ends \
                        inclusive. One row per partition. Queries then decode their rows from the blocks.",
                needs: Right::Administer,
            },
            FunctionDoc {
                name: "view_instance",
                signature: "view_instance('view set', 'instance')",
                about: "Table: one instance of a view set; the instance is 'global', a process id or a stream id.",
                needs: Right::Read,
            },
        ],
        make: |context| FunctionSet {
            tables: vec![
                ("block_faults", Arc::new(block_faults::BlockFaults::new(context.clone()))),
                ("list_columns", Arc::new(list_columns::ListColumns::new(context.clone()))),
                ("list_partitions", Arc::new(list_partitions::ListPartitions::new(context.clone()))),
                ("materialize_partitions", Arc::new(ChangePartitions::new(Change::Materialize, context.clone()))),
                ("regenerate_partitions", Arc::new(ChangePartitions::new(Change::Regenerate, context.clone()))),
                ("retire_partitions", Arc::new(ChangePartitions::new(Change::Retire, context.clone()))),
                ("list_view_sets", Arc::new(list_view_sets::ListViewSets::new(context.clone()))),
                ("view_instance", Arc::new(view_instance::ViewInstance::new(context.clone()))),
            ],
            ..FunctionSet::default()
        },
    }
}
