-- Blocks that retention deleted while a partition may still have their rows: one that is sent again is known by its id.
CREATE TABLE retired_blocks (
    block_id UUID   NOT NULL PRIMARY KEY,
    seq      BIGINT NOT NULL
);
CREATE INDEX retired_seq ON retired_blocks (seq);
