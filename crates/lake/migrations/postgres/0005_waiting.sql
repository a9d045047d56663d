-- Blocks that wait are looked for by what they wait for, by their object, and the oldest first.
CREATE INDEX waiting_stream ON waiting_blocks (stream_id);
CREATE INDEX waiting_process ON waiting_blocks (process_id);
CREATE INDEX waiting_object ON waiting_blocks (object_id);
CREATE INDEX waiting_age ON waiting_blocks (insert_time);

-- All records of an object before this position are in the catalog.
ALTER TABLE objects ADD COLUMN recovered BIGINT NOT NULL DEFAULT 0;
