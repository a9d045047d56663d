-- Keys of callers: a key itself is kept nowhere, only the SHA-256 of it. rights is a list like "send,read".
CREATE TABLE api_keys (
    key_id    UUID   NOT NULL PRIMARY KEY,
    name      TEXT   NOT NULL,
    hash      BYTEA  NOT NULL UNIQUE,
    rights    TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT,
    revoked   BIGINT,
    last_used BIGINT
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked IS NULL;

-- Queries that are not answered: those that match_expr is true of.
CREATE TABLE query_denials (
    rule_id    UUID   NOT NULL PRIMARY KEY,
    created    BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    match_expr TEXT   NOT NULL,
    last_hit   BIGINT
);
