//! Prepared statements, by what drivers need of them.

use super::*;
use arrow_flight::Action;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, ProstMessageExt,
};
use belvedere_core::arrow::array::{ArrayRef, Int32Array, StringArray};
use belvedere_core::arrow::datatypes::DataType;
use belvedere_core::arrow::ipc::reader::StreamReader;
use prost::Message;

fn row(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

async fn create(client: &mut Client, sql: &str) -> ActionCreatePreparedStatementResult {
    let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
    let action = Action::new("CreatePreparedStatement", request.as_any().encode_to_vec());
    let mut results = client.do_action(action).await.unwrap();
    let result = results.message().await.unwrap().unwrap();
    assert!(results.message().await.unwrap().is_none(), "the Python client wants exactly one");
    Any::decode(result.body).unwrap().unpack().unwrap().unwrap()
}

#[tokio::test]
async fn the_handle_is_sql_and_the_schema_a_stream_as_the_python_client_wants() {
    let (_lake, mut client) = talker().await;
    let result = create(&mut client, "SELECT exe FROM processes").await;
    assert_eq!(result.prepared_statement_handle, "SELECT exe FROM processes");
    let reader = StreamReader::try_new(&*result.dataset_schema, None).unwrap();
    assert_eq!(reader.schema().field(0).name(), "exe");
    assert_eq!(reader.count(), 0);
    assert!(result.parameter_schema.is_empty());
}

#[tokio::test]
async fn a_statement_without_parameters_runs_and_closes() {
    let (_lake, mut client) = talker().await;
    let mut statement = client.prepare("SELECT exe FROM processes".to_owned(), None).await.unwrap();
    assert_eq!(statement.dataset_schema().unwrap().field(0).name(), "exe");
    let info = statement.execute().await.unwrap();
    assert_eq!(texts(&fetch(&mut client, &info).await.unwrap(), "exe"), ["talker"]);
    statement.close().await.unwrap();
}

#[tokio::test]
async fn question_marks_and_numbers_take_values_by_place() {
    let (_lake, mut client) = talker().await;
    for sql in [
        "SELECT exe FROM processes WHERE exe = ? OR exe = ?",
        "SELECT exe FROM processes WHERE exe IN ($1, $2)",
    ] {
        let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
        assert_eq!(statement.parameter_schema().unwrap().fields().len(), 2);
        for (value, rows) in [("talker", 1), ("somebody's", 0)] {
            statement.set_parameters(row(vec![("a", text(value)), ("b", text("nobody"))])).unwrap();
            let info = statement.execute().await.unwrap();
            assert_eq!(fetch(&mut client, &info).await.unwrap().num_rows(), rows, "{sql} {value}");
        }
    }
}

#[tokio::test]
async fn values_keep_their_types_and_count_as_constants_do() {
    let (_lake, mut client) = talker().await;
    let sql = "SELECT block_id FROM blocks WHERE object_offset < ?";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    statement.set_parameters(row(vec![("1", Arc::new(Int32Array::from(vec![1])))])).unwrap();
    let info = statement.execute().await.unwrap();
    assert_eq!(fetch(&mut client, &info).await.unwrap().num_rows(), 1);
    statement.set_parameters(row(vec![("1", text("many"))])).unwrap();
    let info = statement.execute().await.unwrap();
    let error = fetch(&mut client, &info).await.unwrap_err().to_string();
    assert!(error.contains("many"), "{error}");
    for (sql, wanted) in [
        ("SELECT ? AS v", DataType::Int32),
        ("SELECT ? + 1 AS v", DataType::Int64),
        ("SELECT CAST(abs(?) AS INT) AS v", DataType::Int32),
        ("SELECT object_offset AS v FROM blocks ORDER BY object_offset LIMIT ?", DataType::Int64),
        ("SELECT v FROM (SELECT ? AS v) WHERE v > 0", DataType::Int32),
    ] {
        let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
        statement.set_parameters(row(vec![("1", Arc::new(Int32Array::from(vec![1])))])).unwrap();
        let info = statement.execute().await.unwrap();
        let rows = fetch(&mut client, &info).await.unwrap();
        assert_eq!((rows.num_rows(), rows.schema().field(0).data_type()), (1, &wanted), "{sql}");
    }
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused() {
    let (_lake, mut client) = talker().await;
    let mut statement =
        client.prepare("SELECT exe FROM processes WHERE exe = ?".to_owned(), None).await.unwrap();
    let two: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    for (values, expected) in [
        (row(vec![("1", two)]), Code::Unimplemented),
        (row(vec![("1", text("a")), ("2", text("b"))]), Code::InvalidArgument),
        (row(vec![("1", text(&"x".repeat(2 << 20)))]), Code::ResourceExhausted),
    ] {
        statement.set_parameters(values).unwrap();
        assert_eq!(code(statement.execute().await), expected);
    }
    assert_eq!(
        code(client.prepare("SELECT nope FROM processes".to_owned(), None).await),
        Code::InvalidArgument
    );
}
