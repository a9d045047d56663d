-- Rules that keep queries away: SQL conditions on who asks what.
CREATE TABLE query_denials (
    rule_id BLOB NOT NULL PRIMARY KEY,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    match_expr TEXT NOT NULL,
    last_hit BIGINT
);
