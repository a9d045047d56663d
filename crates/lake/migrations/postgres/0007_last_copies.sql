-- A partition with rows that its blocks don't give any more: nothing but retention deletes it.
ALTER TABLE partitions ADD COLUMN last_copy BIGINT NOT NULL DEFAULT 0;
-- 1 if the block may be readable later: it was not there, and nothing proves that it is damaged. So are faults that earlier
-- versions noted: they did not tell these apart.
ALTER TABLE block_faults ADD COLUMN may_pass BIGINT NOT NULL DEFAULT 1;
-- 1 if a query did not find its file, or not all of it: it is looked at, and made again.
ALTER TABLE partitions ADD COLUMN file_lost BIGINT NOT NULL DEFAULT 0;
