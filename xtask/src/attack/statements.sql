-- Statements that take much memory or time, or made the engine panic: see statements.rs for how they are written.

-- readings without end, and depth
* SELECT {{interval *100}}
SELECT {{interval *440}}
SELECT {{interval *1900}}
SELECT {{interval (interval *45}}
SELECT {{array<*680}}
SELECT cast(a AS {{array<*680}}int{{>*680}}) FROM log_entries
SELECT cast(a AS {{struct<a *400}}int{{>*400}}) FROM log_entries
SELECT cast(a AS {{array<*1900}}int{{>*1900}}) FROM log_entries
SELECT cast(NULL AS int{{[]*1900}})
SELECT {{map(*1900}}
SELECT * FROM {{(select * from (*24}}a

-- casts, also to fixed sizes
* SELECT arrow_cast(repeat('x',50000000),'LargeUtf8') FROM generate_series(1,100000)
* SELECT arrow_cast(NULL,'FixedSizeBinary(2147483647)') FROM log_entries
SELECT arrow_cast(msg,'FixedSizeBinary(2147483647)') FROM log_entries
SELECT arrow_try_cast(msg,'FixedSizeBinary(1000000000)') FROM log_entries
* SELECT arrow_cast(NULL,'FixedSizeList(2147483647, Int64)') FROM log_entries
SELECT arrow_cast(NULL,'FixedSizeList(2147483647 x nullable Int64)') FROM log_entries
SELECT arrow_cast([1,2],'FixedSizeList(100000000 x nullable Int64)') FROM generate_series(1,1000)
SELECT array_repeat(arrow_cast(NULL,'FixedSizeBinary(2147483647)'), 3)
SELECT array_repeat(arrow_cast(NULL,'FixedSizeBinary(1000000)'), 10000) FROM log_entries
SELECT coalesce(arrow_cast(NULL,'FixedSizeBinary(100000000)'), arrow_cast(NULL,'FixedSizeBinary(100000000)')) FROM generate_series(1,100000)
SELECT count(DISTINCT arrow_cast(NULL,'FixedSizeBinary(10000000)')) FROM generate_series(1,100000)
SELECT arrow_cast(value,'Utf8View') || repeat('y', 1000) FROM generate_series(1,100000000)
SELECT CAST(value AS DECIMAL(38,10)) FROM generate_series(1,100000000) ORDER BY 1 DESC
SELECT arrow_cast('x','Dictionary(Int8, Utf8)'), value::varchar FROM generate_series(1,100000) ORDER BY arrow_cast(value::varchar,'Dictionary(Int8, Utf8)')

-- texts out of nothing
* SELECT CASE WHEN value%2=0 THEN repeat('x',1000000) ELSE 'y' END FROM generate_series(1,100000)
* SELECT repeat('x',60000000) FROM log_entries
SELECT repeat(msg, 10000000) FROM log_entries
SELECT length(repeat('x', 2147483647))
SELECT length(repeat('x', 9223372036854775807))
SELECT repeat('x', value * 1000) FROM generate_series(1,1000000)
SELECT repeat(repeat(repeat('x',1000),1000),1000)
* SELECT a.value || '{{x*1000000}}' FROM generate_series(1,1000) a, generate_series(1,1000) b
SELECT concat(msg, '{{x*1000000}}', msg) FROM log_entries, generate_series(1,10000)
* WITH a AS (SELECT repeat('x',1000000) AS a FROM log_entries), b AS (SELECT a||a||a||a||a||a||a||a AS a FROM a), c AS (SELECT a||a||a||a||a||a||a||a AS a FROM b), d AS (SELECT a||a||a||a||a||a||a||a AS a FROM c) SELECT a||a||a||a||a||a||a||a FROM d
SELECT lpad('x', 2147483647)
SELECT lpad(msg, 100000000, 'ab') FROM log_entries
SELECT rpad(value::varchar, 1000000, '𝄞') FROM generate_series(1,100000)
SELECT translate(repeat('x',1000000), 'x', '𝄞') FROM generate_series(1,100000)
SELECT replace(repeat('x',100000), 'x', repeat('y',100000))
* SELECT replace('{{x*1000000}}', 'x', repeat('y',1000)) FROM log_entries
SELECT regexp_replace(repeat('x',1000000), 'x', repeat('y',10000), 'g') FROM log_entries
SELECT regexp_replace(msg, '(.*)', repeat('$1',1000000)) FROM log_entries
SELECT reverse(repeat('x',1000000)), upper(repeat('ŉ',1000000)) FROM generate_series(1,10000)
SELECT initcap(repeat('ß ',1000000)) FROM generate_series(1,10000)
* SELECT to_char(now(), repeat('%c',1000000))
SELECT to_char(time, repeat('%c',100000)) FROM log_entries
SELECT to_char(arrow_cast(value,'Timestamp(Nanosecond, None)'), '{{%c*400000}}') FROM generate_series(1,1000)
SELECT encode(repeat('x',10000000), 'hex') FROM log_entries
SELECT encode(repeat('x',1000000)::bytea, 'base64') FROM generate_series(1,10000)
SELECT overlay(repeat('x',1000000) PLACING repeat('y',1000000) FROM 5) FROM generate_series(1,10000)
SELECT concat_ws(repeat(',',1000000), msg, msg, msg, msg, msg, msg, msg, msg) FROM log_entries
SELECT chr(value::bigint) || repeat('x', 1000000) FROM generate_series(1,10000)

-- a long literal in every row
* SELECT coalesce('{{x*1000000}}', msg) FROM log_entries, generate_series(1,1000)
* SELECT named_struct('a', '{{x*1000000}}', 'b', value) FROM generate_series(1,100000)
* SELECT map(['a'], ['{{x*1000000}}']), value FROM generate_series(1,100000)
SELECT make_array('{{x*1000000}}', value::varchar) FROM generate_series(1,100000)
SELECT CASE value WHEN 1 THEN '{{x*250000}}' WHEN 2 THEN '{{y*250000}}' WHEN 3 THEN '{{z*250000}}' ELSE '{{u*200000}}' END FROM generate_series(1,1000000)
SELECT nullif('{{x*1000000}}', value::varchar) FROM generate_series(1,100000)
SELECT greatest('{{x*1000000}}', value::varchar) FROM generate_series(1,100000)
SELECT DISTINCT '{{x*1000000}}' || value FROM generate_series(1,10000)
SELECT min('{{x*1000000}}' || value) FROM generate_series(1,10000) GROUP BY value
SELECT value FROM generate_series(1,100000) ORDER BY '{{x*1000000}}' || value

-- lists
* SELECT count(*) FROM (SELECT unnest(range(0,8000000)) AS i, msg FROM log_entries)
* SELECT unnest(range(0,100000000)), repeat('x',1000)
SELECT l.i, e.msg FROM log_entries e, LATERAL (SELECT unnest(range(0,10000000)) AS i) l
SELECT count(*) FROM (SELECT unnest(range(0,1000000)) AS i, unnest(range(0,1000000)) AS j, '{{x*1000000}}' FROM log_entries)
* SELECT make_array(make_array(range(0,1000000),range(0,1000000)),make_array(range(0,1000000),range(0,1000000))) FROM log_entries
SELECT array_repeat(array_repeat(array_repeat(1,1000),1000),1000)
SELECT array_repeat('{{x*100000}}', 100000) FROM log_entries
SELECT array_resize([1], 2147483647)
SELECT array_resize([repeat('x',1000000)], 100000, repeat('y',1000000))
* SELECT string_to_array(repeat('a,',20000000), ',') FROM log_entries
SELECT string_to_array(repeat('x',50000000), NULL)
SELECT array_to_string(range(0,10000000), repeat(',',1000)) FROM log_entries
SELECT array_concat(range(0,1000000),range(0,1000000),range(0,1000000)) FROM generate_series(1,1000)
SELECT flatten(array_repeat(range(0,1000000),1000))
SELECT array_distinct(range(0,10000000)) FROM log_entries
SELECT array_sort(range(0,10000000),'DESC') FROM log_entries
SELECT array_union(range(0,5000000),range(5000000,10000000)) FROM log_entries
SELECT array_except(range(0,100000),range(50000,150000)) FROM generate_series(1,100000)
SELECT array_positions(array_repeat(1,10000000),1) FROM log_entries
SELECT array_append(range(0,100000), value) FROM generate_series(1,100000)
SELECT array_replace_all(array_repeat('a',100000),'a',repeat('x',100000))
SELECT array_slice(range(0,10000000),1,10000000) FROM generate_series(1,1000)
SELECT arrays_zip(range(0,5000000),range(0,10)) FROM log_entries
SELECT array_has_any(range(0,1000000),range(1000000,2000000)) FROM generate_series(1,100000)
SELECT map(range(0,1000000), range(0,1000000)) FROM log_entries
SELECT map_entries(map(range(0,100000), range(0,100000))) FROM generate_series(1,10000)
SELECT range(0,100000000)
SELECT range(DATE '0001-01-01', DATE '9999-12-31', INTERVAL '1' DAY) FROM generate_series(1,1000)
SELECT generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2030-01-01', INTERVAL '1' SECOND)

-- series with extreme bounds
* SELECT count(*) FROM generate_series(-9223372036854775808, 9223372036854775807)
SELECT max(value) FROM generate_series(9223372036854775800, 9223372036854775807)
SELECT * FROM generate_series(1, 9223372036854775807, 9223372036854775807)
SELECT * FROM range(9223372036854775807, -9223372036854775808, -1) LIMIT 5
SELECT count(*) FROM generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2262-04-11', INTERVAL '1' NANOSECOND)
SELECT count(*) FROM generate_series(DATE '-5000-01-01', DATE '5000-01-01', INTERVAL '1' DAY)

-- joins
* SELECT count(*) FROM generate_series(1,100000) a, generate_series(1,100000) b, generate_series(1,100000) c
* SELECT count(*) FROM log_entries a, log_entries b, log_entries c
SELECT a.msg, b.msg, c.msg, d.msg FROM log_entries a, log_entries b, log_entries c, log_entries d ORDER BY 1, 2, 3, 4
SELECT count(*) FROM generate_series(1,1000000) a JOIN generate_series(1,1000000) b ON a.value % 2 = b.value % 2
SELECT count(*) FROM generate_series(1,100000) a JOIN generate_series(1,100000) b ON a.value < b.value
SELECT count(*) FROM generate_series(1,5000000) a FULL JOIN generate_series(1,5000000) b ON a.value = -b.value
SELECT count(*) FROM generate_series(1,1000000) a WHERE NOT EXISTS (SELECT 1 FROM generate_series(1,1000000) b WHERE b.value > a.value)
SELECT count(*) FROM (SELECT value, repeat('x',1000) AS t FROM generate_series(1,1000000)) a JOIN (SELECT value, repeat('x',1000) AS t FROM generate_series(1,1000000)) b USING (t)
SELECT (SELECT max(b.value) FROM generate_series(1,1000000) b WHERE b.value % 1000 = a.value % 1000) FROM generate_series(1,1000000) a

-- groups, sorts and windows
* SELECT process_id, array_agg(msg ORDER BY time) FROM log_entries, generate_series(1,100000) GROUP BY process_id
SELECT value % 10, array_agg(value ORDER BY value DESC) FROM generate_series(1,20000000) GROUP BY 1
SELECT array_agg(DISTINCT value) FROM generate_series(1,20000000)
* SELECT string_agg(value::varchar, repeat(',',1000)) FROM generate_series(1,1000000)
SELECT string_agg(msg, ',' ORDER BY time) FROM log_entries, generate_series(1,1000000)
* SELECT value, min(t), max(t), first_value(t) FROM (SELECT value, value || repeat('x',1000) AS t FROM generate_series(1,1000000)) GROUP BY value
SELECT value % 1000000, first_value(t ORDER BY value), last_value(t ORDER BY value) FROM (SELECT value, repeat('x',1000) || value AS t FROM generate_series(1,3000000)) GROUP BY 1
* SELECT count(*) FROM (SELECT t, count(*) FROM (SELECT value || repeat('x',300000) AS t FROM generate_series(1,20000)) GROUP BY t)
SELECT count(*) FROM (SELECT t, count(*) FROM (SELECT value || repeat('x',100) AS t FROM generate_series(1,10000000)) GROUP BY t)
SELECT count(DISTINCT value || repeat('x',1000)) FROM generate_series(1,1000000)
SELECT DISTINCT value::double / 0 * 0 FROM generate_series(0,1000000) LIMIT 5
* SELECT DISTINCT value FROM (SELECT CASE WHEN value % 3 = 0 THEN 'NaN'::double ELSE value::double END AS value FROM generate_series(1,100000)) ORDER BY value DESC LIMIT 5
SELECT DISTINCT value FROM measures ORDER BY nullif(value, 1) / 0 * 0 LIMIT 3
SELECT median(value), approx_percentile_cont(value, 0.5), percentile_cont(value, 0.9) FROM generate_series(1,20000000)
SELECT value % 1000000, approx_percentile_cont(value, 0.5), approx_distinct(value), median(value) FROM generate_series(1,3000000) GROUP BY 1
SELECT value, make_histogram(0.0, 1.0, 100000, value::double) FROM generate_series(1,1000000) GROUP BY value
SELECT make_histogram(0.0, 1.0, 2147483647, value::double) FROM generate_series(1,10)
* SELECT sum(value) OVER (ORDER BY value RANGE BETWEEN 1000000 PRECEDING AND 1000000 FOLLOWING) FROM generate_series(1,10000000)
SELECT max(t) OVER (ORDER BY value ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) FROM (SELECT value, value || repeat('x',1000) AS t FROM generate_series(1,1000000))
SELECT array_agg(value) OVER (ORDER BY value) FROM generate_series(1,100000)
SELECT string_agg(value::varchar, ',') OVER (ORDER BY value) FROM generate_series(1,100000)
SELECT lag(t, 100000, repeat('y',1000000)) OVER (ORDER BY value) FROM (SELECT value, repeat('x',100) AS t FROM generate_series(1,1000000))
SELECT ntile(9223372036854775807) OVER (ORDER BY value), nth_value(value, 9223372036854775807) OVER (ORDER BY value) FROM generate_series(1,1000)
SELECT value || repeat('x',1000) AS t FROM generate_series(1,10000000) ORDER BY t
SELECT value FROM generate_series(1,50000000) ORDER BY value % 1000, value DESC
SELECT repeat('x',100000) || value FROM generate_series(1,1000000) ORDER BY 1 LIMIT 100000
SELECT a, b, c, sum(value) FROM (SELECT value, value % 97 AS a, value % 89 AS b, value % 83 AS c FROM generate_series(1,1000000)) GROUP BY CUBE (a, b, c)
SELECT count(*) FROM (SELECT value FROM generate_series(1,10000000) INTERSECT SELECT value + 1 FROM generate_series(1,10000000))

-- recursion
* WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT concat(s,'y') FROM t) SELECT count(*) FROM t
* WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s||s FROM t) SELECT max(length(s)) FROM t
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n FROM t) SELECT n FROM t
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT t.n + b.value FROM t, generate_series(1,10) b) SELECT count(*) FROM t
WITH RECURSIVE t AS (SELECT [1] AS l UNION ALL SELECT array_concat(l, l) FROM t) SELECT count(*) FROM t

-- what is computed for long
* SELECT levenshtein(repeat('ab',1000000), repeat('ba',1000000))
* SELECT levenshtein(repeat('ab',1000000), repeat('ba',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bb',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bc',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bd',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('be',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bf',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bg',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bh',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bi',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bj',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bk',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bl',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bm',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bn',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bo',1000000)) ;;; SELECT levenshtein(repeat('ab',1000000), repeat('bp',1000000))
SELECT regexp_like(repeat('a',1000000), '(a*)*b') FROM generate_series(1,1000)
SELECT regexp_count(repeat('a',10000000), '(a|b|ab)*?c') FROM log_entries
SELECT msg ~ '((a{1000}){1000}){1000}' FROM log_entries
SELECT msg ~ '(?i)[\p{L}]{500}[\p{N}]{500}' FROM log_entries
SELECT regexp_match(msg, repeat('(a?)', 100000)) FROM log_entries
SELECT msg LIKE '{{%a*400000}}' FROM log_entries
SELECT msg SIMILAR TO '({{a|*300000}}b)*' FROM log_entries
SELECT strpos(repeat('a',1000000), repeat('a',500000) || 'b') FROM generate_series(1,1000)
SELECT find_in_set('b', repeat('a,',1000000)) FROM generate_series(1,10000)
SELECT factorial(20), lcm(9223372036854775807, 9223372036854775806), gcd(-9223372036854775808, -1)
SELECT power(10, 400), exp(1e308), ln(-1), 'NaN'::double % 0, round(1e308, 2147483647)
SELECT count(*) FROM generate_series(1,1000000000) WHERE value % 7 = 8 AND sqrt(value) > sin(value)
SELECT array_distance(range(0,10000000)::double[], range(0,10000000)::double[])

-- dates at their ends
SELECT date_bin(INTERVAL '1' NANOSECOND, TIMESTAMP '2262-04-11T23:47:16', TIMESTAMP '1677-09-22')
SELECT TIMESTAMP '2262-04-11T23:47:16' + INTERVAL '300' YEAR, DATE '9999-12-31' + INTERVAL '2147483647' DAY
SELECT DATE '1970-01-01' - INTERVAL '2147483647' MONTH, now() - INTERVAL '9223372036854775807' NANOSECOND
SELECT to_timestamp(9223372036854775807), to_timestamp_seconds(-9223372036854775808), from_unixtime(9223372036854775807)
SELECT make_date(2147483647, 12, 31), make_time(23, 59, 2147483647), to_date('{{9*100000}}')
SELECT date_trunc('{{x*1000000}}', now()), date_part('epoch', DATE '262142-12-31')
SELECT date_bin(INTERVAL '0' SECOND, now()), date_bin(INTERVAL '-1' MONTH, now(), TIMESTAMP '1970-01-01')

-- deep and wide statements
SELECT {{CASE WHEN 1=1 THEN *40}}1{{ END*40}}
SELECT {{(*45}}1{{)*45}}
SELECT 1{{ + value*1900}} FROM generate_series(1,100000)
SELECT ''{{ || msg*1900}} FROM log_entries
SELECT {{value, *20000}}1 FROM generate_series(1,100000)
SELECT value FROM generate_series(1,10) WHERE value IN ({{1, *60000}}2)
SELECT 1{{ UNION ALL SELECT 1*400}}
SELECT coalesce({{NULL, *30000}}1) FROM generate_series(1,100000)
SELECT concat({{msg, *30000}}'a') FROM log_entries
SELECT CASE value {{WHEN 1 THEN repeat('x',1000000) *900}}END FROM generate_series(1,10000)
SELECT make_array({{make_array(*40}}1{{)*40}}, repeat('x', 1000000)) FROM log_entries

-- JSON and properties
* SELECT jsonb_parse('{{[*200000}}{{]*200000}}')
SELECT jsonb_parse(repeat('[', 10000000))
SELECT jsonb_format_json(jsonb_parse('[' || repeat('1,', 1000000) || '1]')) FROM generate_series(1,100)
SELECT jsonb_path_query(jsonb_parse('[' || repeat('[1,2,3],', 100000) || '1]'), '$[*][*]') FROM log_entries
SELECT jsonb_path_query(jsonb_parse('{"a":1}'), '$.{{*.*1000}}a')
SELECT jsonb_path_query_first(jsonb_parse('[1]'), '$[?({{(*400}}1==1{{)*400}})]')
SELECT * FROM jsonb_array_elements(jsonb_parse('[' || repeat('1,', 5000000) || '1]'))
SELECT jsonb_object_keys(jsonb_parse('{"{{a*900000}}":1}')) FROM generate_series(1,10000)
SELECT properties_to_jsonb(properties), properties_to_array(properties) FROM log_entries, generate_series(1,1000000)
SELECT property_get(properties, '{{a*1000000}}') FROM log_entries, generate_series(1,100000)
SELECT properties_to_dict(properties_to_array(properties)) FROM log_entries, generate_series(1,1000000)
SELECT get_payload(process_id, stream_id, block_id) FROM blocks, generate_series(1,1000000)
SELECT count(*) FROM blocks a, blocks b, generate_series(1,1000000) c WHERE a.stream_id <> b.stream_id
