-- The id of the lake, which its object store has too: one row.
CREATE TABLE lake_ids (
    place   INTEGER NOT NULL PRIMARY KEY,
    lake_id TEXT    NOT NULL
);
