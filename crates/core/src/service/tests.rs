//! The service around a lake with a view set of numbers.

use super::*;
use crate::LakeConfig;
use crate::fixture::lake_with;
use crate::query::AnswerTypes;
use belvedere_lake::access::{Identity, Rights};
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
    Arc::new(Caller::new(identity, name, rights))
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
        matches!(&error, QueryError::Rights(why) if why.contains("'jane' can't query on behalf of 'joe'")),
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

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_nest_without_end_are_refused_and_long_ones_are_answered() {
    let service = service(QueryLimits::default()).await;
    let chain = |first: &str, more: &str, times: usize| format!("{first}{}", more.repeat(times));
    for sql in [
        format!("SELECT {}", chain("1", " + 1", 100_000)),
        format!("SELECT {}", chain("1", " = 1 AND 1", 50_000)),
        chain("SELECT 1", " UNION ALL SELECT 1", 20_000),
        format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT '{}'", "x".repeat(2 << 20)),
    ] {
        let request = QueryRequest::new(sql, Caller::anybody());
        for error in [
            rows(&service, request.clone()).await.unwrap_err(),
            service.describe(&request).await.unwrap_err(),
        ] {
            assert!(matches!(error, QueryError::Sql(_)), "{error}");
        }
    }
    for (sql, answer) in [
        (format!("SELECT {} AS n", chain("1", " + 1", 1900)), "1901"),
        (
            format!(
                "SELECT count(*) AS n FROM generate_series(1, 9) WHERE {}",
                chain("value = 0", " OR value = 7", 900)
            ),
            "1",
        ),
        (format!("SELECT count(*) AS n FROM ({})", chain("SELECT 1", " UNION ALL SELECT 1", 300)), "301"),
    ] {
        assert!(text(&service, &sql).await.contains(&format!("| {answer} ")), "{answer}");
    }
}

/// Threads for queries beside those of a test, which may be busy.
fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_never_looks_up_from_its_work_ends_and_gives_its_thread_back() {
    let threads = one_thread();
    let lake = lake_with(LakeConfig { memory_bytes: 256 << 20, ..LakeConfig::default() }).await;
    let limits = QueryLimits { time: Duration::from_secs(20), ..QueryLimits::default() };
    let service = Arc::new(QueryService::new(lake, limits, threads.handle().clone()));
    // no two of them meet, so that nothing comes for hours
    for sql in [
        "SELECT count(*) FROM generate_series(1, 400000) a JOIN generate_series(1, 400000) b \
         ON a.value * b.value = -1",
        "SELECT count(*) FROM generate_series(1, 400000) a, generate_series(1, 400000) b WHERE a.value + b.value = 0",
        "SELECT count(*) FROM generate_series(1, 400000) a WHERE NOT EXISTS (SELECT 1 FROM \
         generate_series(1, 400000) b WHERE b.value % 2 = a.value % 2 AND b.value * a.value < 0)",
    ] {
        let id = Uuid::new_v4();
        let request = QueryRequest { query_id: Some(id), ..QueryRequest::new(sql, Caller::anybody()) };
        let running = tokio::spawn({
            let service = service.clone();
            async move { rows(&service, request).await }
        });
        while !service
            .lake
            .running()
            .seen_by(&Caller::anybody())
            .iter()
            .any(|query| query.id == id && query.is_running.load(Ordering::Relaxed))
        {
            tokio::task::yield_now().await;
        }
        assert!(service.cancel(id, &Caller::anybody()));
        let error = running.await.unwrap().unwrap_err();
        assert!(matches!(error, QueryError::Cancelled(_)), "{sql}: {error}");
        assert!(text(&service, "SELECT 'free'").await.contains("free"), "{sql}");
    }
    threads.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_while_all_threads_of_queries_are_busy() {
    let threads = one_thread();
    let (sender, is_busy) = std::sync::mpsc::channel::<()>();
    threads.spawn(async move { is_busy.recv() });
    let lake = lake_with(LakeConfig::default()).await;
    let limits = QueryLimits { time: Duration::from_millis(50), ..QueryLimits::default() };
    let service = QueryService::new(lake, limits, threads.handle().clone());
    let request = QueryRequest::new("SELECT 1", Caller::anybody());
    assert!(matches!(rows(&service, request.clone()).await, Err(QueryError::TooLong(_))));
    assert!(matches!(service.describe(&request).await, Err(QueryError::TooLong(_))));
    assert!(service.lake.running().seen_by(&Caller::anybody()).is_empty());
    drop(sender);
    threads.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_columns_that_were_described() {
    let service = service(QueryLimits::default()).await;
    for sql in [
        "SELECT count(*), current_date, upper('a') AS a, CASE WHEN 1 = 1 THEN value END AS v FROM generate_series(1, 2) \
         GROUP BY value",
        "SELECT coalesce(NULL, 1) AS one, concat('a', NULL) AS a, NULL AS nothing, arrow_typeof(1) AS t",
        "SELECT value FROM generate_series(1, 2) WHERE false",
    ] {
        for types in [AnswerTypes::Documented, AnswerTypes::Plain] {
            let request = QueryRequest { types, ..QueryRequest::new(sql, Caller::anybody()) };
            let described = service.describe(&request).await.unwrap().schema;
            let answer = service.run(request).await.unwrap();
            assert_eq!(answer.schema, described, "{sql}");
            for batch in answer.rows.try_collect::<Vec<_>>().await.unwrap() {
                assert_eq!(batch.schema(), described, "{sql}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_not_planned_either() {
    let service = service(QueryLimits::default()).await;
    text(&service, "SELECT msg FROM deny_queries('sql LIKE ''%forbidden%''', 'too heavy')").await;
    let forbidden = QueryRequest::new("SELECT 'forbidden'", caller("reader", "read"));
    assert!(matches!(service.describe(&forbidden).await, Err(QueryError::Denied(_))));
    let sender = QueryRequest::new("SELECT 1", caller("sender", "send"));
    assert!(matches!(service.describe(&sender).await, Err(QueryError::Rights(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_find_out_what_keeps_a_full_server_busy_and_end_it() {
    let limits = QueryLimits { concurrent: 1, waiting: 0, ..QueryLimits::default() };
    let service = service(limits).await;
    let busy =
        service.run(QueryRequest::new("SELECT * FROM generate_series(1, 100000000)", caller("a", "read")));
    let busy = busy.await.unwrap();
    let refused = rows(&service, QueryRequest::new("SELECT 1", Caller::anybody())).await.unwrap_err();
    assert!(matches!(refused, QueryError::Resources(_)), "{refused}");
    // who does not administer waits like all others
    let list = "SELECT query_id FROM list_queries()";
    assert!(rows(&service, QueryRequest::new(list, caller("a", "read"))).await.is_err());
    assert!(text(&service, list).await.contains(&busy.query_id.to_string()));
    text(&service, &format!("SELECT cancel_query('{}')", busy.query_id)).await;
    let error = busy.rows.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, QueryError::Cancelled(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_queries_of_one_name_each_is_listed() {
    let service = service(QueryLimits::default()).await;
    let id = Uuid::new_v4();
    let sql = "SELECT * FROM generate_series(1, 100000000)";
    let request = QueryRequest { query_id: Some(id), ..QueryRequest::new(sql, Caller::anybody()) };
    let first = service.run(request.clone()).await.unwrap();
    let second = service.run(request).await.unwrap();
    assert!(first.query_id == id && second.query_id != id);
    drop(second);
    while service.lake.running().seen_by(&Caller::anybody()).len() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(service.lake.running().has(id));
    drop(first);
}
