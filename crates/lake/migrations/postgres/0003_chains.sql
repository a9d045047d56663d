-- Rows of some views are made along the chain of a stream's blocks, in the order of their events. A partition of such
-- rows covers the blocks of one stream with chain_begin <= object_offset < chain_end, of those with seq <= seq_end:
-- one that came later makes it stale. chain_entry is a digest of the decoder's state before it, chain_exit the state
-- behind it.
ALTER TABLE partitions ADD COLUMN chain_stream UUID;
ALTER TABLE partitions ADD COLUMN chain_begin BIGINT;
ALTER TABLE partitions ADD COLUMN chain_end BIGINT;
ALTER TABLE partitions ADD COLUMN chain_entry BYTEA;
ALTER TABLE partitions ADD COLUMN chain_exit BYTEA;
-- Events that gave no row although they are of a kind that should.
ALTER TABLE partitions ADD COLUMN ignored_count BIGINT NOT NULL DEFAULT 0;

CREATE INDEX blocks_chain ON blocks (stream_id, object_offset);
