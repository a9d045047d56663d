//! The service around a lake with a view set of numbers.

use super::*;
use crate::LakeConfig;
use crate::access::{Identity, Rights};
use crate::fixture::lake_with;
use futures::TryStreamExt;

/// Takes long, and little memory.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b \
                    WHERE a.value % 7 = b.value % 11";

async fn service(limits: QueryLimits) -> Arc<QueryService> {
    let lake = lake_with(LakeConfig { memory_bytes: 256 << 20, ..LakeConfig::default() }).await;
    Arc::new(QueryService::new(lake, limits, Handle::current()))
}

fn caller(name: &str, rights: &str) -> Arc<Caller> {
    let rights: Rights = rights.parse().unwrap();
    let identity = Identity::Subject { issuer: "https://id".to_owned(), subject: name.to_owned() };
    Arc::new(Caller { identity, name: name.to_owned(), email: None, rights, may_speak_for_others: false })
}

async fn rows(service: &QueryService, request: QueryRequest) -> Result<Vec<RecordBatch>, QueryError> {
    service.run(request).await?.rows.try_collect().await
}

async fn text(service: &QueryService, sql: &str) -> String {
    let rows = rows(service, QueryRequest::new(sql, Caller::anybody())).await.unwrap();
    arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_a_limit_and_plain_types_are_honoured() {
    let service = service(QueryLimits::default()).await;
    let mut request = QueryRequest::new(
        "SELECT arrow_cast(concat('n', value), 'Dictionary(Int32, Utf8)') AS name FROM generate_series(1, 9) \
         WHERE value > $1",
        Caller::anybody(),
    );
    request.parameters = Some(vec![datafusion::scalar::ScalarValue::Int64(Some(3))].into());
    request.limit = Some(2);
    let kept = rows(&service, request.clone()).await.unwrap();
    assert_eq!(kept.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    assert!(matches!(kept[0].schema().field(0).data_type(), arrow::datatypes::DataType::Dictionary(_, _)));
    request.types = AnswerTypes::Plain;
    let plain = rows(&service, request.clone()).await.unwrap();
    assert_eq!(*plain[0].schema().field(0).data_type(), arrow::datatypes::DataType::Utf8);
    request.parameters = None;
    let description = service.describe(&request).await.unwrap();
    assert_eq!(description.schema, plain[0].schema());
    assert_eq!(description.parameters.field(0).name(), "$1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_ends_even_if_nobody_reads_it() {
    let limits = QueryLimits { time: Duration::from_millis(200), ..QueryLimits::default() };
    let service = service(limits).await;
    let error = rows(&service, QueryRequest::new(LONG, Caller::anybody())).await.unwrap_err();
    assert!(matches!(error, QueryError::TooLong(_)), "{error}");
    // a few batches come, and then nobody takes them
    let sql = "SELECT * FROM generate_series(1, 100000000)";
    let answer = service.run(QueryRequest::new(sql, Caller::anybody())).await.unwrap();
    while service.lake.running().has(answer.query_id) {
        tokio::task::yield_now().await;
    }
    let error = answer.rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, QueryError::TooLong(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_listed_and_can_be_ended_by_its_caller_and_by_administrators_only() {
    let service = service(QueryLimits::default()).await;
    for (name, rights, may) in [("other", "read", false), ("asker", "read", true), ("root", "admin", true)] {
        let id = Uuid::new_v4();
        let mut request = QueryRequest::new(LONG, caller("asker", "read"));
        request.query_id = Some(id);
        let running = tokio::spawn({
            let service = service.clone();
            async move { rows(&service, request).await }
        });
        while !service.lake.running().has(id) {
            tokio::task::yield_now().await;
        }
        let listed = text(&service, "SELECT query_id, state, sql FROM list_queries()").await;
        assert!(listed.contains(&id.to_string()), "{listed}");
        let cancel = QueryRequest::new(format!("SELECT cancel_query('{id}') AS said"), caller(name, rights));
        let said = rows(&service, cancel).await.unwrap();
        let said = arrow::util::pretty::pretty_format_batches(&said).unwrap().to_string();
        assert_eq!(said.contains("SUCCESS"), may, "{said}");
        if !may {
            assert!(service.cancel(id, &Caller::anybody()));
        }
        let error = running.await.unwrap().unwrap_err();
        assert!(matches!(error, QueryError::Cancelled(_)), "{error}");
        assert!(!service.lake.running().has(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_query() {
    let service = service(QueryLimits::default()).await;
    let sql = "SELECT * FROM generate_series(1, 100000000)";
    let answer = service.run(QueryRequest::new(sql, Caller::anybody())).await.unwrap();
    let id = answer.query_id;
    drop(answer);
    while service.lake.running().has(id) {
        tokio::task::yield_now().await;
    }
    // and one that goes before it is planned
    let waiting = tokio::time::timeout(
        Duration::from_millis(50),
        service.run(QueryRequest::new(LONG, Caller::anybody())),
    );
    drop(waiting.await);
    while !service.lake.running().seen_by(&Caller::anybody()).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_wants_too_much_memory_spills_or_says_so_and_others_are_right() {
    let limits = QueryLimits { memory_bytes: 32 << 20, ..QueryLimits::default() };
    let service = service(limits).await;
    let sorted = "SELECT count(*), max(n) FROM (SELECT value AS v, row_number() OVER (ORDER BY value % 1013, \
                  value) AS n FROM generate_series(1, 2000000))";
    let spilled = text(&service, sorted).await;
    assert!(spilled.contains("2000000"), "{spilled}");
    let texts =
        "(SELECT concat('a long text for each of many rows ', value) AS t FROM generate_series(1, 3000000))";
    let greedy = format!("SELECT count(*) FROM {texts} a JOIN {texts} b ON a.t = b.t");
    let error = rows(&service, QueryRequest::new(greedy, Caller::anybody())).await.unwrap_err();
    let QueryError::Resources(why) = &error else { panic!("{error}") };
    assert!(why.contains("bytes of memory"), "{why}");
    assert!(text(&service, "SELECT count(*) FROM generate_series(1, 1000)").await.contains("1000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_or_administer_is_told_which_right_is_missing() {
    let service = service(QueryLimits::default()).await;
    let error = rows(&service, QueryRequest::new("SELECT 1", caller("sender", "send"))).await.unwrap_err();
    assert!(matches!(&error, QueryError::Rights(why) if why.contains("'sender' lacks the right 'read'")));
    for sql in [
        "SELECT * FROM retire_partitions('numbers', 'global', now(), now())",
        "SELECT * FROM deny_queries('sql = 1', 'x')",
        "SELECT remove_query_denial('x')",
    ] {
        let error = rows(&service, QueryRequest::new(sql, caller("reader", "read"))).await.unwrap_err();
        assert!(matches!(&error, QueryError::Rights(why) if why.contains("'admin'")), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_caller_who_may_speaks_for_others() {
    let service = service(QueryLimits::default()).await;
    let mut request = QueryRequest::new("SELECT 1", caller("jane", "read"));
    request.client.user_id = Some("jane".to_owned());
    assert!(rows(&service, request.clone()).await.is_ok());
    request.client.user_id = Some("joe".to_owned());
    let error = rows(&service, request).await.unwrap_err();
    assert!(
        matches!(&error, QueryError::Rights(why) if why.contains("'jane' can't ask for 'joe'")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_keeps_queries_away_until_it_is_lifted() {
    let service = service(QueryLimits::default()).await;
    let made = text(&service, "SELECT msg FROM deny_queries('sql LIKE ''%forbidden%''', 'too heavy')").await;
    let id = made.split(['|', ' ', '\n']).find(|word| Uuid::try_parse(word).is_ok()).unwrap().to_owned();
    let forbidden = QueryRequest::new("SELECT 'forbidden'", caller("reader", "read"));
    let error = rows(&service, forbidden.clone()).await.unwrap_err();
    assert!(matches!(&error, QueryError::Denied(why) if why.contains("too heavy") && why.contains(&id)));
    assert!(rows(&service, QueryRequest::new("SELECT 'fine'", caller("reader", "read"))).await.is_ok());
    let listed =
        text(&service, "SELECT reason, last_hit_at IS NOT NULL AS hit FROM list_query_denials()").await;
    assert!(listed.contains("too heavy") && listed.contains("true"), "{listed}");
    let lifted = text(&service, &format!("SELECT remove_query_denial('{id}') AS said, 'forbidden'")).await;
    assert!(lifted.contains("SUCCESS"), "{lifted}");
    assert!(rows(&service, forbidden).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sql_reads_or_writes_files_of_the_host() {
    let service = service(QueryLimits::default()).await;
    for sql in [
        "COPY (SELECT 1) TO '/tmp/belvedere-was-here.csv'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"file:///etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM view_instance('blocks', '../../../etc/passwd')",
        "SELECT * FROM view_instance('../blocks', 'global')",
        "SELECT * FROM view_instance('blocks', 'global'' OR 1 = 1 --')",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/belvedere-was-here.csv'",
        "SELECT 1; SELECT 2",
        "",
    ] {
        let error = rows(&service, QueryRequest::new(sql, Caller::anybody())).await.unwrap_err();
        assert!(matches!(error, QueryError::Sql(_) | QueryError::Unsupported(_)), "{sql}: {error:?}");
        assert!(!error.to_string().contains("root:"), "{sql}: {error}");
    }
    assert!(!std::path::Path::new("/tmp/belvedere-was-here.csv").exists());
}
