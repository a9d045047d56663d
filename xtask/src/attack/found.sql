-- Statements that `cargo xtask attack` has found: they run first. Written as in statements.sql.
SELECT DISTINCT c0 FROM (SELECT right((t1.name || '2026-01-31T12:00:00Z'), find_in_set(t1.name, t1.stream_id)) AS c0 FROM otel_metrics t1 LIMIT 1000 OFFSET 10) w ORDER BY c0 DESC LIMIT 9223372036854775807
SELECT DISTINCT c0 FROM (SELECT var('NaN'::DOUBLE) AS c0 FROM log_entries t1 GROUP BY CUBE (array_ndims(NULL::BIGINT[]), repeat('x',10000)) LIMIT 5) w ORDER BY c0 DESC LIMIT 9223372036854775807
