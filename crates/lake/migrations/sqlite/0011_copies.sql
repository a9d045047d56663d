-- 1 if the store has a copy of the row: see the module copies. The copies outlive the catalog.
ALTER TABLE processes ADD COLUMN saved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN saved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN saved BIGINT NOT NULL DEFAULT 0;
CREATE INDEX processes_unsaved ON processes (process_id) WHERE saved = 0;
CREATE INDEX streams_unsaved ON streams (stream_id) WHERE saved = 0;
CREATE INDEX partitions_unsaved ON partitions (partition_id) WHERE saved = 0;
-- The store has a copy of the numbers of all blocks up to this one: one row.
CREATE TABLE saved_numbers (
    place INTEGER NOT NULL PRIMARY KEY,
    seq   BIGINT  NOT NULL
);
