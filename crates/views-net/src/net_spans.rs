//! `net_spans`: one row for each part of a connection's traffic.

use crate::decoder::NetDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id().as_dictionary(),
    STREAM_ID = Column::stream_id().as_dictionary(),
    SPAN_ID = Column::int64("span_id", "number, in the stream, of the event that began the span").role(Role::SpanId),
    PARENT_SPAN_ID = Column::int64("parent_span_id", "span_id of the enclosing span; -1 if there is none").role(Role::ParentSpanId),
    DEPTH = Column::uint32("depth", "number of enclosing spans; 0 for connections").role(Role::Depth),
    KIND = Column::dictionary("kind", "connection, object, property or rpc"),
    NAME = Column::dictionary("name", "peer of a connection, name of an object or property, or function of a remote procedure call").role(Role::Name),
    CONNECTION_NAME = Column::dictionary("connection_name", "peer of the connection that the span belongs to; empty if there is none").role(Role::Group),
    IS_OUTGOING = Column::boolean("is_outgoing", "true: sent to the peer; false: received from it"),
    BEGIN_BITS = Column::int64("begin_bits", "beginning, in bits from the beginning of the enclosing span").unit(Unit::Bits),
    END_BITS = Column::int64("end_bits", "end, in bits from the beginning of the enclosing span").unit(Unit::Bits),
    BIT_SIZE = Column::int64("bit_size", "size in bits, including all of its parts").unit(Unit::Bits),
    BEGIN_TIME = Column::time("begin_time", "when the program began to write or read it").event_begin(),
    END_TIME = Column::time("end_time", "when the program finished writing or reading it").event_end(),
}

register_view_set! {
    ViewSet::new("net_spans")
        .about("Network traffic of a process as a tree, in bits: connections, objects, properties, remote procedure calls")
        .columns(COLUMNS)
        .instances(Instances::PerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit_stateful("net", &NetDecoder))
        .version(2)
        .example("SELECT name, count(*), sum(bit_size) / 8 AS bytes \
                  FROM view_instance('net_spans', '<process id>') WHERE kind = 'property' GROUP BY name ORDER BY 3 DESC")
}
