//! `net_spans`: one row for each part of a connection's traffic.

use crate::decoder::NetDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "net_spans",
        about: "What the network traffic of a process is made of, in bits: connections, objects, properties, remote calls",
        columns: &[
            Column::process_id().as_dictionary(),
            Column::stream_id().as_dictionary(),
            Column::int64("span_id", "number of the event that began the span among those of its stream"),
            Column::int64("parent_span_id", "span_id of the span that it is part of; -1 if there is none"),
            Column::uint32("depth", "0 for what is part of nothing, connections that is"),
            Column::dictionary("kind", "connection, object, property or rpc"),
            Column::dictionary("name", "peer of a connection, name of an object or a property, function of a remote call"),
            Column::dictionary("connection_name", "peer of the connection that it is part of; empty if there is none"),
            Column::boolean("is_outgoing", "true: sent to the peer; false: received from it"),
            Column::int64("begin_bits", "where it begins, in bits from the beginning of what it is part of"),
            Column::int64("end_bits", "where it ends, in bits from the beginning of what it is part of"),
            Column::int64("bit_size", "its size in bits, with all of its parts"),
            Column::time("begin_time", "when it began to be written or read").event_begin(),
            Column::time("end_time", "when that was done").event_end(),
        ],
        instances: Instances::PerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit_chain("net", &NetDecoder)),
        version: 1,
        example: "SELECT name, count(*), sum(bit_size) / 8 AS bytes \
                  FROM view_instance('net_spans', '<process id>') WHERE kind = 'property' GROUP BY name ORDER BY 3 DESC",
    }
}
