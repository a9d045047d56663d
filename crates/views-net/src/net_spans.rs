//! `net_spans`: one row for each part of a connection's traffic.

use crate::decoder::NetDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id().as_dictionary(),
    STREAM_ID = Column::stream_id().as_dictionary(),
    SPAN_ID = Column::int64("span_id", "number of the event that began the span among those of its stream"),
    PARENT_SPAN_ID = Column::int64("parent_span_id", "span_id of the span that it is part of; -1 if there is none"),
    DEPTH = Column::uint32("depth", "0 for what is part of nothing, connections that is"),
    KIND = Column::dictionary("kind", "connection, object, property or rpc"),
    NAME = Column::dictionary("name", "peer of a connection, name of an object or a property, function of a remote call"),
    CONNECTION_NAME = Column::dictionary("connection_name", "peer of the connection that it is part of; empty if there is none"),
    IS_OUTGOING = Column::boolean("is_outgoing", "true: sent to the peer; false: received from it"),
    BEGIN_BITS = Column::int64("begin_bits", "where it begins, in bits from the beginning of what it is part of"),
    END_BITS = Column::int64("end_bits", "where it ends, in bits from the beginning of what it is part of"),
    BIT_SIZE = Column::int64("bit_size", "its size in bits, with all of its parts"),
    BEGIN_TIME = Column::time("begin_time", "when it began to be written or read").event_begin(),
    END_TIME = Column::time("end_time", "when that was done").event_end(),
}

register_view_set! {
    ViewSet::new("net_spans")
        .about("What the network traffic of a process is made of, in bits: connections, objects, properties, remote calls")
        .columns(COLUMNS)
        .instances(Instances::PerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit_stateful("net", &NetDecoder))
        .version(1)
        .example("SELECT name, count(*), sum(bit_size) / 8 AS bytes \
                  FROM view_instance('net_spans', '<process id>') WHERE kind = 'property' GROUP BY name ORDER BY 3 DESC")
}
