-- Where the file has the checksums of all that is before them, and the CRC-32 of the file from there on. NULL if it has none.
ALTER TABLE partitions ADD COLUMN sums_at BIGINT;
ALTER TABLE partitions ADD COLUMN sums_crc BIGINT;
