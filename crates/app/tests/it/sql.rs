//! SQL behavior, in files that can be completed automatically: `tests/sql/*.slt`, asked of a lake with the
//! smallest recording, in this process and over FlightSQL. `BELVEDERE_COMPLETE_SQL=1 cargo test` writes the answers.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use belvedere::core::Lake;
use belvedere_model::wire::BlockRequest;
use belvedere_model::{ProcessInfo, StreamInfo};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use std::fmt;
use std::path::{Path, PathBuf};

/// Who is asked.
enum Engine {
    InProcess(Lake),
    #[cfg(feature = "flight-sql")]
    FlightSql(crate::flight::Client),
}

/// What was said instead of an answer.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

#[async_trait::async_trait]
impl AsyncDB for Engine {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        let batches = match self {
            Self::InProcess(lake) => lake.sql(sql).await.map_err(|e| Refusal(e.to_string()))?,
            #[cfg(feature = "flight-sql")]
            Self::FlightSql(client) => client.ask(sql).await.map_err(|e| Refusal(e.to_string()))?,
        };
        Ok(printed(&batches))
    }

    async fn shutdown(&mut self) {}
}

/// What `.slt` files say of an answer: the texts of its values.
fn printed(batches: &[RecordBatch]) -> DBOutput<DefaultColumnType> {
    let options = FormatOptions::default().with_null("NULL").with_timestamp_tz_format(Some("%+"));
    let mut rows = Vec::new();
    let mut types = Vec::new();
    for batch in batches {
        types = vec![DefaultColumnType::Any; batch.num_columns()];
        let columns: Vec<ArrayFormatter> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for i in 0..batch.num_rows() {
            let texts = columns.iter().map(|c| c.value(i).to_string());
            // an empty value could not be told from no value
            rows.push(texts.map(|t| if t.is_empty() { "(empty)".to_owned() } else { t }).collect());
        }
    }
    DBOutput::Rows { types, rows }
}

async fn lake() -> Lake {
    let lake = Lake::in_memory().await.unwrap();
    for request in crate::support::recording(&crate::support::testdata("recordings/native-small.jsonl.gz")) {
        let (connection, body) = (lake.connection(), request.body.clone());
        if request.is("insert_process") {
            connection.insert_process(ProcessInfo::decode(&body).unwrap()).await.unwrap();
        } else if request.is("insert_stream") {
            connection.insert_stream(StreamInfo::decode(&body).unwrap()).await.unwrap();
        } else {
            connection.insert_block(BlockRequest::decode(body.into()).unwrap()).await.unwrap();
        }
    }
    lake
}

/// The files, each with the lake that it is about.
async fn files() -> Vec<(PathBuf, Lake)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "slt"));
    files.sort();
    assert!(!files.is_empty());
    let native = lake().await;
    let mut found = Vec::new();
    for file in files {
        let lake = if file.ends_with("otel.slt") {
            #[cfg(all(feature = "otel", feature = "log", feature = "metrics"))]
            {
                crate::otel::lake().await
            }
            #[cfg(not(all(feature = "otel", feature = "log", feature = "metrics")))]
            continue;
        } else {
            native.clone()
        };
        found.push((file, lake));
    }
    found
}

#[tokio::test]
async fn sql_files_give_the_answers_that_stand_in_them() {
    for (file, lake) in files().await {
        let mut runner = Runner::new(|| async { Ok(Engine::InProcess(lake.clone())) });
        if std::env::var_os("BELVEDERE_COMPLETE_SQL").is_some() {
            let validate = sqllogictest::default_validator;
            let columns = sqllogictest::default_column_validator;
            let normalize = sqllogictest::default_normalizer;
            runner.update_test_file(&file, "\t", validate, normalize, columns).await.unwrap();
        } else {
            runner.run_file_async(&file).await.unwrap();
        }
    }
}

#[cfg(feature = "flight-sql")]
#[tokio::test(flavor = "multi_thread")]
async fn sql_files_give_the_same_answers_over_flight_sql() {
    for (file, lake) in files().await {
        let address = crate::flight::serve(&lake).await;
        let connect = || async { Ok(Engine::FlightSql(crate::flight::Client::connect(&address).await)) };
        Runner::new(connect).run_file_async(&file).await.unwrap();
    }
}
