//! The SQL functions that belong to the lake itself, registered like everybody else's.

pub mod arguments;
mod block_faults;
pub(crate) mod blocks;
mod change_partitions;
pub(crate) mod denials;
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
                about: "Table: blocks that a view set could not read when a query wanted them, and why; their \
                        rows are missing from answers. At most the first 10,000.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "list_columns",
                signature: "list_columns()",
                about: "Table: the columns of all view sets as documented: view_set_name, column_name, data_type, \
                        is_nullable, ordinal (from 0) and description.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "list_partitions",
                signature: "list_partitions()",
                about: "Table: the partitions of the lake: view set, instance, times, rows and bytes, the file, and \
                        which blocks each covers (begin_seq to end_seq, both inclusive; of rows that are made along a \
                        stream, those of stream_id from begin_object to before end_object).",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "list_view_sets",
                signature: "list_view_sets()",
                about: "Table: the view sets of this program, their schema hashes and the crates they come from.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "materialize_partitions",
                signature: "materialize_partitions('view set', begin, end, seconds)",
                about: "Table: makes partitions of the global instance for the blocks received from begin to before end, \
                        in steps of that many seconds, where there are none; a line for each step.",
                needs: Right::Administer,
            },
            FunctionDoc {
                name: "regenerate_partitions",
                signature: "regenerate_partitions('view set', begin, end, seconds)",
                about: "Table: retires the partitions of the global instance in that range of insert time and makes them \
                        again; a line for each step. Fails if blocks that a partition was made of are gone.",
                needs: Right::Administer,
            },
            FunctionDoc {
                name: "retire_partitions",
                signature: "retire_partitions('view set', 'instance', begin, end)",
                about: "Table: takes away the partitions whose blocks were all received in that range, both ends \
                        inclusive; a line for each. Their rows are made of the blocks again when a query wants them.",
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
