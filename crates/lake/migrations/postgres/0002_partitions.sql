-- Blocks whose stream or process is not known yet. They get their seq, and so become visible, when both are.
CREATE TABLE waiting_blocks (
    block_id       UUID    NOT NULL PRIMARY KEY,
    stream_id      UUID    NOT NULL,
    process_id     UUID    NOT NULL,
    begin_time     BIGINT  NOT NULL,
    begin_ticks    BIGINT  NOT NULL,
    end_time       BIGINT  NOT NULL,
    end_ticks      BIGINT  NOT NULL,
    nb_objects     INTEGER NOT NULL,
    object_offset  BIGINT  NOT NULL,
    payload_size   BIGINT  NOT NULL,
    insert_time    BIGINT  NOT NULL,
    event_begin    BIGINT,
    event_end      BIGINT,
    object_id      BIGINT  NOT NULL,
    payload_offset BIGINT  NOT NULL
);
INSERT INTO waiting_blocks
SELECT block_id, stream_id, process_id, begin_time, begin_ticks, end_time, end_ticks, nb_objects, object_offset,
       payload_size, insert_time, event_begin, event_end, object_id, payload_offset
FROM blocks b
WHERE NOT EXISTS (SELECT 1 FROM streams s WHERE s.stream_id = b.stream_id)
   OR NOT EXISTS (SELECT 1 FROM processes p WHERE p.process_id = b.process_id);
DELETE FROM blocks WHERE block_id IN (SELECT block_id FROM waiting_blocks);

-- Of one stream or one process, in the order of seq.
DROP INDEX blocks_stream;
DROP INDEX blocks_process;
CREATE INDEX blocks_stream ON blocks (stream_id, seq);
CREATE INDEX blocks_process ON blocks (process_id, seq);
CREATE INDEX blocks_object ON blocks (object_id);

-- Files that hold the rows of one view instance for the blocks with seq_begin <= seq <= seq_end, both inclusive.
-- Partitions of one instance and one schema never overlap: whoever publishes one checks that, while nobody else writes.
-- token is what its publisher knows it by. file_key is NULL if there is no row.
CREATE TABLE partitions (
    partition_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token        UUID    NOT NULL,
    view_set     TEXT    NOT NULL,
    instance     TEXT    NOT NULL,
    schema_hash  BYTEA    NOT NULL,
    seq_begin    BIGINT  NOT NULL,
    seq_end      BIGINT  NOT NULL,
    insert_begin BIGINT  NOT NULL,
    insert_end   BIGINT  NOT NULL,
    event_begin  BIGINT,
    event_end    BIGINT,
    block_count  BIGINT  NOT NULL,
    object_count BIGINT  NOT NULL,
    fault_count  BIGINT  NOT NULL,
    row_count    BIGINT  NOT NULL,
    file_key     TEXT,
    file_size    BIGINT  NOT NULL,
    sort_order   TEXT    NOT NULL,
    process_ids  BYTEA,
    updated      BIGINT  NOT NULL
);
CREATE INDEX partitions_range ON partitions (view_set, instance, schema_hash, seq_begin);

CREATE INDEX partitions_end ON partitions (seq_end);
CREATE INDEX partitions_file ON partitions (file_key);

-- Objects that nothing refers to any more; deleted when their time has come, so that who reads them can finish.
CREATE TABLE garbage (
    object_key TEXT   NOT NULL PRIMARY KEY,
    size       BIGINT NOT NULL,
    expires    BIGINT NOT NULL
);

-- Who is at work on what, so that several workers share it. Only a matter of economy: what is published is checked.
CREATE TABLE leases (
    job     TEXT   NOT NULL PRIMARY KEY,
    owner   UUID   NOT NULL,
    expires BIGINT NOT NULL
);
