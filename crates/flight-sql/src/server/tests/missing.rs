//! Answers that lack rows.

use super::router;
use crate::client::{Client, ClientOptions};
use belvedere_core::LakeConfig;
use belvedere_core::lake::Retention;
use belvedere_core::query::AnswerTypes;
use belvedere_core::service::{QueryLimits, QueryService};
use belvedere_lake::access::Caller;
use belvedere_lake::axum;
use belvedere_model::time::TimeRange;
use belvedere_testkit::ticks::{block, insert, lake, process};
use futures::TryStreamExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use uuid::Uuid;

#[tokio::test]
async fn an_answer_that_lacks_rows_says_so_to_our_client_and_a_strict_one_is_an_error() {
    let lake = lake(LakeConfig::default()).await.unwrap();
    let id = Uuid::from_u128(1);
    for ticks in [[(1, 1), (2, 2)], [(3, 3), (4, -666)]] {
        let block = block(id, Uuid::from_u128(2), &ticks, 1_000);
        insert(lake.connection(), process(id, 1_000), block).await.unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    let service = QueryService::new(lake.clone(), QueryLimits::default(), tokio::runtime::Handle::current());
    let router = router(Arc::new(service)).layer(axum::Extension(Caller::anybody()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = Client::connect(&url, &ClientOptions::default()).await.unwrap();
    for types in [AnswerTypes::Documented, AnswerTypes::Plain] {
        // none, some and all of the columns are dictionaries
        for (columns, missing, rows) in
            [("number", 1, 2), ("process_id, number", 1, 2), ("process_id", 1, 2), ("process_id", 1, 0)]
        {
            let sql = format!("SELECT {columns} FROM ticks WHERE number < {}", if rows > 0 { 10 } else { 0 });
            let answer = client.query(&sql, TimeRange::ALL, types).await.unwrap();
            let batches: Vec<_> = answer.rows.try_collect().await.unwrap();
            assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows, "{sql}");
            assert_eq!(answer.missing_blocks.load(Ordering::Relaxed), missing, "{sql}");
        }
        let answer = client.query("SELECT exe FROM processes", TimeRange::ALL, types).await.unwrap();
        assert_eq!(answer.rows.try_collect::<Vec<_>>().await.unwrap().len(), 1);
        assert_eq!(answer.missing_blocks.load(Ordering::Relaxed), 0);
    }
    // what partitions lack is known before the first row
    lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
    let known = client.query("SELECT number FROM ticks", TimeRange::ALL, AnswerTypes::Plain).await.unwrap();
    assert_eq!(known.schema.metadata().get("missing_blocks").map(String::as_str), Some("1"));
    assert_eq!(known.rows.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    assert_eq!(known.missing_blocks.load(Ordering::Relaxed), 1);
    let strict = client.clone().strict(true);
    let sql = "SELECT count(*) FROM ticks";
    let told = match strict.query(sql, TimeRange::ALL, AnswerTypes::Plain).await {
        Ok(answer) => answer.rows.try_collect::<Vec<_>>().await.unwrap_err(),
        Err(e) => e,
    };
    assert!(told.to_string().contains("block_faults()"), "{told}");
}
