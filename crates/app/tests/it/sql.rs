//! SQL behaviour, in files that can be completed automatically: `tests/sql/*.slt`, asked of a lake with the
//! smallest recording. `BELVEDERE_COMPLETE_SQL=1 cargo test` writes the answers.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use belvedere::core::Lake;
use belvedere::core::query::QueryError;
use belvedere::core::wire;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use std::path::Path;

struct Engine(Lake);

#[async_trait::async_trait]
impl AsyncDB for Engine {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, QueryError> {
        let batches = self.0.sql(sql).await?;
        let options = FormatOptions::default().with_null("NULL").with_timestamp_tz_format(Some("%+"));
        let mut rows = Vec::new();
        let mut types = Vec::new();
        for batch in &batches {
            types = vec![DefaultColumnType::Any; batch.num_columns()];
            let columns: Vec<ArrayFormatter> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
            for i in 0..batch.num_rows() {
                let texts = columns.iter().map(|c| c.value(i).to_string());
                // an empty value could not be told from no value
                rows.push(texts.map(|t| if t.is_empty() { "(empty)".to_owned() } else { t }).collect());
            }
        }
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

async fn lake() -> Lake {
    let lake = Lake::in_memory().await.unwrap();
    for request in crate::support::recording(&crate::support::testdata("recordings/native-small.jsonl.gz")) {
        let (connection, body) = (lake.connection(), request.body.clone());
        if request.is("insert_process") {
            connection.insert_process(wire::decode_process(&body).unwrap()).await.unwrap();
        } else if request.is("insert_stream") {
            connection.insert_stream(wire::decode_stream(&body).unwrap()).await.unwrap();
        } else {
            connection.insert_block(wire::decode_block(body.into()).unwrap()).await.unwrap();
        }
    }
    lake
}

#[tokio::test]
async fn sql_files_give_the_answers_that_stand_in_them() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "slt"));
    files.sort();
    assert!(!files.is_empty());
    let native = lake().await;
    for file in files {
        let lake = match file.ends_with("otel.slt") {
            #[cfg(all(feature = "otel", feature = "log", feature = "metrics"))]
            true => crate::otel::lake().await,
            #[cfg(not(all(feature = "otel", feature = "log", feature = "metrics")))]
            true => continue,
            false => native.clone(),
        };
        let mut runner = Runner::new(|| async { Ok(Engine(lake.clone())) });
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
