-- Rows of blocks whose clocks don't agree have other times now: by their old bounds they would not be found. A block
-- without bounds always is.
UPDATE blocks SET event_begin = NULL, event_end = NULL
    WHERE CAST(event_begin AS NUMERIC) NOT BETWEEN CAST(begin_time AS NUMERIC) - 50000000 AND CAST(begin_time AS NUMERIC) + 50000000
       OR CAST(event_end AS NUMERIC) NOT BETWEEN CAST(end_time AS NUMERIC) - 50000000 AND CAST(end_time AS NUMERIC) + 50000000;
UPDATE waiting_blocks SET event_begin = NULL, event_end = NULL
    WHERE CAST(event_begin AS NUMERIC) NOT BETWEEN CAST(begin_time AS NUMERIC) - 50000000 AND CAST(begin_time AS NUMERIC) + 50000000
       OR CAST(event_end AS NUMERIC) NOT BETWEEN CAST(end_time AS NUMERIC) - 50000000 AND CAST(end_time AS NUMERIC) + 50000000;
