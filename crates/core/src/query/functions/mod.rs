//! The SQL functions that belong to the lake itself, registered like everybody else's.

mod block_faults;
mod list_view_sets;
mod property_get;
mod view_instance;

use crate::registry::{FunctionDoc, FunctionSet, Functions};
use std::sync::Arc;

crate::register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "block_faults",
                signature: "block_faults()",
                about: "Table: blocks that a view set could not read when a query wanted them, and why; their \
                        rows are missing from answers. At most the first 10,000.",
            },
            FunctionDoc {
                name: "list_view_sets",
                signature: "list_view_sets()",
                about: "Table: the view sets of this program, their schema hashes and the crates they come from.",
            },
            FunctionDoc {
                name: "property_get",
                signature: "property_get(properties, name)",
                about: "The value of a property as text; NULL if there is none. Names are compared without \
                        regard to ASCII case. Takes properties in every shape that the lake has them in.",
            },
            FunctionDoc {
                name: "view_instance",
                signature: "view_instance('view set', 'instance')",
                about: "Table: one instance of a view set; the instance is 'global', a process id or a stream id.",
            },
        ],
        make: |context| FunctionSet {
            scalars: vec![property_get::property_get()],
            aggregates: Vec::new(),
            tables: vec![
                ("block_faults", Arc::new(block_faults::BlockFaults::new(context.clone()))),
                ("list_view_sets", Arc::new(list_view_sets::ListViewSets::new(context.clone()))),
                ("view_instance", Arc::new(view_instance::ViewInstance::new(context.clone()))),
            ],
        },
    }
}
