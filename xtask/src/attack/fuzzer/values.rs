//! Literals: ordinary ones, and those at which code breaks.

use super::kind::Kind;
use super::random::Random;

const BOOLS: &[&str] = &["true", "false", "NULL::BOOLEAN"];
const BYTES: &[&str] = &["X''", "X'00ff'", "'abc'::BYTEA", "NULL::BYTEA", "repeat('x',100000)::BYTEA"];
const DATES: &[&str] = &[
    "DATE '1970-01-01'",
    "DATE '2026-02-28'",
    "DATE '0001-01-01'",
    "DATE '9999-12-31'",
    "arrow_cast(2147483647,'Date32')",
    "arrow_cast(-2147483648,'Date32')",
    "NULL::DATE",
];
const DECIMALS: &[&str] = &[
    "0::DECIMAL(38,10)",
    "1.5::DECIMAL(10,2)",
    "99999999999999999999999999999999999999::DECIMAL(38,0)",
    "-1::DECIMAL(38,37)",
    "NULL::DECIMAL(38,10)",
];
const FLOATS: &[&str] = &[
    "0.0",
    "-0.0",
    "0.5",
    "1e0",
    "-1.5",
    "3.14",
    "1e308",
    "-1e308",
    "5e-324",
    "'NaN'::DOUBLE",
    "'inf'::DOUBLE",
    "'-inf'::DOUBLE",
    "NULL::DOUBLE",
    "arrow_cast(1.5,'Float32')",
];
const FORMATS: &[&str] =
    &["'%Y-%m-%d'", "'%c'", "'%+'", "'%'", "''", "'%Q%9f%-_'", "repeat('%c',1000)", "'{{%c*100000}}'"];
const HISTOGRAMS: &[&str] = &[
    "(SELECT make_histogram(0.0, 10.0, 10, value::DOUBLE) FROM generate_series(1,20))",
    "(SELECT make_histogram(0.0, 10.0, 100000, value::DOUBLE) FROM generate_series(1,20))",
    "(SELECT make_histogram(0.0, 1.0, 5, NULL::DOUBLE))",
];
const INTS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "20",
    "100",
    "1000",
    "100000",
    "100000000",
    "2147483647",
    "-2147483648",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "NULL::BIGINT",
    "arrow_cast(255,'UInt8')",
    "arrow_cast(-128,'Int8')",
    "18446744073709551615",
];
const INTERVALS: &[&str] = &[
    "INTERVAL '1' DAY",
    "INTERVAL '0' SECOND",
    "INTERVAL '-1' MONTH",
    "INTERVAL '1' NANOSECOND",
    "INTERVAL '2147483647' MONTH",
    "INTERVAL '9223372036854775807' NANOSECOND",
    "NULL::INTERVAL",
    "arrow_cast(9223372036854775807,'Duration(Second)')",
];
const JSONS: &[&str] = &[
    "jsonb_parse('{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}')",
    "jsonb_parse('[]')",
    "jsonb_parse('null')",
    "jsonb_parse('1e400')",
    "jsonb_parse('[[[[[[[[1]]]]]]]]')",
    "jsonb_parse('[' || repeat('1,',10000) || '1]')",
    "jsonb_parse(repeat('[',200) || repeat(']',200))",
    "X'20000000'",
    "X'ffffffffffffffff'",
];
const LISTS: &[&str] = &[
    "[]",
    "[1,2,3]",
    "[NULL]",
    "['a','','ünï','a']",
    "[[1],[2,3],[]]",
    "[0.5,'NaN'::DOUBLE]",
    "range(0,10)",
    "range(0,100000)",
    "array_repeat('x',1000)",
    "array_repeat([1,2],100)",
    "arrow_cast([1,2],'FixedSizeList(2 x nullable Int64)')",
    "arrow_cast([1,2],'LargeList(nullable Int64)')",
    "NULL::BIGINT[]",
];
const MAPS: &[&str] =
    &["map(['a','b'],[1,2])", "MAP {'a': 1}", "map([1],['{{x*1000}}'])", "map(range(0,1000),range(0,1000))"];
const PATTERNS: &[&str] = &[
    "'a'",
    "''",
    "'(a+)+$'",
    "'('",
    "'.*'",
    "'^(?:a|ab)*c'",
    "'[\\p{L}]{100}'",
    "'(a{100}){100}'",
    "'((a{1000}){1000}){1000}'",
    "'(?i)ß'",
    "repeat('(a?)',1000)",
];
const STRUCTS: &[&str] =
    &["named_struct('a',1,'b','x')", "struct(1,NULL,[1])", "named_struct('a',named_struct('a',1))"];
const TEXTS: &[&str] = &[
    "''",
    "'a'",
    "'x,y,z'",
    "'%'",
    "'ünïcödé 𝄞 ßŉ'",
    "'12'",
    "'-1e400'",
    "'NaN'",
    "'2026-01-31T12:00:00Z'",
    "'1 day'",
    "'$.a[*]'",
    "'{\"a\":[1,2]}'",
    "'a'",
    "'second'",
    "'utf-8'",
    "'hex'",
    "'global'",
    "'processes'",
    "'00000000-0000-0000-0000-000000000000'",
    "NULL::VARCHAR",
    "repeat('ab',100)",
    "repeat('x',10000)",
    "arrow_cast('x','Utf8View')",
    "arrow_cast('x','Dictionary(Int32, Utf8)')",
    "chr(0)",
];
/// Once in a while.
const LONG_TEXTS: &[&str] = &[
    "repeat('x',1000000)",
    "'{{x*300000}}'",
    "'{{x*1000000}}'",
    "repeat('ß',500000)",
    "repeat('a,',1000000)",
    "repeat('x',100000000)",
];
const TIMES: &[&str] = &[
    "now()",
    "TIMESTAMP '1970-01-01T00:00:00'",
    "TIMESTAMP '2262-04-11T23:47:16.854775807'",
    "TIMESTAMP '1677-09-21T00:12:44'",
    "arrow_cast(9223372036854775807,'Timestamp(Second, None)')",
    "arrow_cast(-9223372036854775808,'Timestamp(Nanosecond, Some(\"Europe/Berlin\"))')",
    "arrow_cast(0,'Time64(Nanosecond)')",
    "NULL::TIMESTAMP",
];
const TYPES: &[&str] = &[
    "'Int8'",
    "'Utf8View'",
    "'LargeUtf8'",
    "'Float16'",
    "'Decimal256(76, 10)'",
    "'Decimal128(38, -100)'",
    "'FixedSizeBinary(16)'",
    "'FixedSizeBinary(2147483647)'",
    "'FixedSizeList(1000000000 x nullable Int64)'",
    "'List(nullable Utf8)'",
    "'Dictionary(Int8, Utf8)'",
    "'Timestamp(Second, Some(\"+14:00\"))'",
    "'Duration(Nanosecond)'",
    "'Interval(MonthDayNano)'",
    "'RunEndEncoded(Int16, Utf8)'",
    "'nonsense'",
];
/// For casts.
pub(super) const SQL_TYPES: &[&str] = &[
    "BIGINT",
    "INT",
    "SMALLINT",
    "DOUBLE",
    "REAL",
    "VARCHAR",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "TIME",
    "INTERVAL",
    "BYTEA",
    "DECIMAL(38,10)",
    "DECIMAL(5,5)",
    "BIGINT[]",
    "VARCHAR[]",
];

/// A literal of this kind.
pub(super) fn literal(kind: Kind, random: &mut Random) -> &'static str {
    if random.one_in(25) {
        return "NULL";
    }
    let of = match kind {
        Kind::Any => return any(random),
        Kind::Bool => BOOLS,
        Kind::Bytes => BYTES,
        Kind::Date => DATES,
        Kind::Decimal => DECIMALS,
        Kind::Float => FLOATS,
        Kind::Format => FORMATS,
        Kind::Histogram => HISTOGRAMS,
        Kind::Int => INTS,
        Kind::Interval => INTERVALS,
        Kind::Json => JSONS,
        Kind::List => LISTS,
        Kind::Map => MAPS,
        Kind::Pattern => PATTERNS,
        Kind::Properties => &["(SELECT properties FROM processes LIMIT 1)", "NULL"],
        Kind::Struct => STRUCTS,
        Kind::Text if random.one_in(12) => LONG_TEXTS,
        Kind::Text => TEXTS,
        Kind::Time => TIMES,
        Kind::Type => TYPES,
    };
    random.word(of)
}

fn any(random: &mut Random) -> &'static str {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Any).collect();
    // mostly what functions of any type are called with
    let common = [Kind::Int, Kind::Text, Kind::Float, Kind::List];
    let kind = if random.one_in(3) { random.pick(&kinds) } else { random.pick(&common) };
    literal(kind.copied().unwrap_or(Kind::Int), random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_literals_of_every_kind() {
        let mut random = Random::new(3);
        for kind in Kind::ALL {
            for _ in 0..100 {
                assert!(!literal(kind, &mut random).is_empty(), "{kind:?}");
            }
        }
    }
}
