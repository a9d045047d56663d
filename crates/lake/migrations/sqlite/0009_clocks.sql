-- Rows of blocks whose clocks don't agree have other times now: by their old bounds they would not be found. A block
-- without bounds always is.
UPDATE blocks SET event_begin = NULL, event_end = NULL
    WHERE event_begin NOT BETWEEN begin_time - 50000000 AND begin_time + 50000000
       OR event_end NOT BETWEEN end_time - 50000000 AND end_time + 50000000;
UPDATE waiting_blocks SET event_begin = NULL, event_end = NULL
    WHERE event_begin NOT BETWEEN begin_time - 50000000 AND begin_time + 50000000
       OR event_end NOT BETWEEN end_time - 50000000 AND end_time + 50000000;
