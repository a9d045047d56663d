-- Instants are nanoseconds since the Unix epoch, lists and maps are JSON texts.

CREATE TABLE processes (
    process_id        UUID    NOT NULL PRIMARY KEY,
    exe               TEXT    NOT NULL,
    username          TEXT    NOT NULL,
    realname          TEXT    NOT NULL,
    computer          TEXT    NOT NULL,
    distro            TEXT    NOT NULL,
    cpu_brand         TEXT    NOT NULL,
    tsc_frequency     BIGINT  NOT NULL,
    start_time        BIGINT  NOT NULL,
    start_ticks       BIGINT  NOT NULL,
    parent_process_id UUID,
    properties        TEXT    NOT NULL,
    insert_time       BIGINT  NOT NULL
);

CREATE TABLE streams (
    stream_id             UUID   NOT NULL PRIMARY KEY,
    process_id            UUID   NOT NULL,
    dependencies_metadata BYTEA  NOT NULL,
    objects_metadata      BYTEA  NOT NULL,
    tags                  TEXT   NOT NULL,
    properties            TEXT   NOT NULL,
    format                TEXT   NOT NULL,
    insert_time           BIGINT NOT NULL
);
CREATE INDEX streams_process ON streams (process_id);

CREATE TABLE stream_tags (
    tag       TEXT NOT NULL,
    stream_id UUID NOT NULL,
    PRIMARY KEY (stream_id, tag)
);

-- Objects hold the payloads of many blocks each. An object that is not sealed may hold records that this
-- catalogue has lost in a power cut: they are read back when the lake is opened.
CREATE TABLE objects (
    object_id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    object_key  TEXT    NOT NULL UNIQUE,
    sealed      INTEGER NOT NULL,
    insert_time BIGINT  NOT NULL
);

-- seq grows in the order in which blocks become visible. event_begin and event_end bound the times of the
-- block's events by its ticks; NULL if the process was not known yet when the block came.
CREATE TABLE blocks (
    seq            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    block_id       UUID    NOT NULL UNIQUE,
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
CREATE INDEX blocks_stream ON blocks (stream_id);
CREATE INDEX blocks_process ON blocks (process_id);

-- Blocks that a view set could not read.
CREATE TABLE block_faults (
    block_id   UUID   NOT NULL,
    view_set   TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    seen_at    BIGINT NOT NULL,
    PRIMARY KEY (block_id, view_set)
);
