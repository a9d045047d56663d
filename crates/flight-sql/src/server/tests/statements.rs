//! Statements and tickets.

use super::*;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, Any, CommandStatementQuery,
    CommandStatementSubstraitPlan, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Empty, FlightDescriptor,
};
use belvedere_core::arrow::datatypes::Schema;
use belvedere_lake::access::{Identity, Right, Rights};
use prost::Message;

#[tokio::test]
async fn a_statement_is_planned_and_then_fetched() {
    let (_lake, mut client) = talker().await;
    let sql = "SELECT exe, properties FROM processes";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    assert_eq!(info.flight_descriptor, Some(descriptor), "PyArrow refuses an answer without");
    assert_eq!((info.total_records, info.total_bytes), (-1, -1));
    let rows = fetch(&mut client, &info).await.unwrap();
    assert_eq!(info.try_decode_schema().unwrap(), *rows.schema());
    assert_eq!(texts(&rows, "exe"), ["talker"]);
}

#[tokio::test]
async fn the_schema_of_a_statement_is_told_without_running_it() {
    let (_lake, mut client) = talker().await;
    let command = CommandStatementQuery { query: "SELECT 1 AS one".to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let result = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
    assert_eq!(Schema::try_from(result).unwrap().field(0).name(), "one");
}

#[tokio::test]
async fn a_ticket_may_be_just_sql_wrapped_or_bare_and_so_may_be_a_command() {
    let (_lake, mut client) = talker().await;
    let ticket = TicketStatementQuery { statement_handle: "SELECT exe FROM processes;".into() };
    let command = CommandStatementQuery { query: "SELECT exe FROM processes".into(), transaction_id: None };
    for bytes in [ticket.as_any().encode_to_vec(), ticket.encode_to_vec(), command.as_any().encode_to_vec()] {
        let rows = fetch_ticket(&mut client, bytes).await.unwrap();
        assert_eq!(texts(&rows, "exe"), ["talker"]);
    }
}

#[tokio::test]
async fn an_error_has_the_code_that_says_whose_fault_it_is() {
    let (_lake, mut client) = talker().await;
    for sql in
        ["SELECT nope FROM processes", "SELEKT", "", "SELECT 1; SELECT 2", "CREATE TABLE t AS SELECT 1"]
    {
        let planned = code(ask(&mut client, sql).await);
        let ticket = TicketStatementQuery { statement_handle: sql.as_bytes().to_vec().into() };
        let run = code(fetch_ticket(&mut client, ticket.as_any().encode_to_vec()).await);
        for code in [planned, run] {
            assert!(matches!(code, Code::InvalidArgument | Code::Unimplemented), "{sql}: {code:?}");
        }
    }
    assert_eq!(code(fetch_ticket(&mut client, vec![0xff; 9]).await), Code::InvalidArgument);
    // found out while it runs
    let failed = status(ask(&mut client, "SELECT 1 / (value - 5) AS x FROM generate_series(1, 9)").await);
    assert_eq!(failed.code(), Code::InvalidArgument);
    assert!(failed.message().contains("(query_id="), "{}", failed.message());
    let substrait = CommandStatementSubstraitPlan::default().as_any().encode_to_vec();
    let refused = client.inner_mut().get_flight_info(FlightDescriptor::new_cmd(substrait)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(!refused.message().contains(".rs"), "{}", refused.message());
    let refused = status(client.execute("SELECT 1".to_owned(), Some("t".into())).await);
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn limits_and_ranges_work_at_either_step_and_each_bound_alone() {
    let (_lake, client) = talker().await;
    let with = |pairs: &[(&str, &str)]| {
        let mut client = client.clone();
        for (name, value) in pairs {
            client.set_header(*name, *value);
        }
        client
    };
    let blocks = "SELECT block_id FROM blocks";
    let rows = async |plan: &[(&str, &str)], get: &[(&str, &str)]| {
        let info = with(plan).execute(blocks.to_owned(), None).await.unwrap();
        fetch(&mut with(get), &info).await.unwrap().num_rows()
    };
    let early = [("query_range_end", "2026-01-01T00:00:10Z"), ("query_range_begin", "")];
    assert_eq!(rows(&[], &[]).await, 2);
    assert_eq!(rows(&early, &[]).await, 1);
    assert_eq!(rows(&[], &early).await, 1);
    assert_eq!(rows(&[("limit", "0")], &[]).await, 0);
    assert_eq!(rows(&[("limit", "0")], &[("limit", "1")]).await, 1, "who fetches has the last word");
    assert_eq!(code(with(&[("limit", "-1")]).execute(blocks.to_owned(), None).await), Code::InvalidArgument);
    let wrong = [("query_range_begin", "yesterday")];
    assert_eq!(code(with(&wrong).execute(blocks.to_owned(), None).await), Code::InvalidArgument);
}

#[tokio::test]
async fn dictionaries_are_there_for_who_wants_them() {
    let (_lake, mut client) = talker().await;
    let sql = "SELECT arrow_cast(concat(exe, ''), 'Dictionary(Int32, Utf8)') AS d FROM processes";
    let plain = ask(&mut client, sql).await.unwrap();
    assert_eq!(*plain.column(0).data_type(), DataType::Utf8);
    client.set_header("preserve_dictionary", "True");
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let kept = fetch(&mut client, &info).await.unwrap();
    assert!(matches!(kept.column(0).data_type(), DataType::Dictionary(..)));
    assert_eq!(info.try_decode_schema().unwrap().field(0).data_type(), kept.column(0).data_type());
    assert_eq!(texts(&kept, "d"), ["talker"]);
}

#[tokio::test]
async fn an_answer_of_many_messages_comes_whole() {
    let (_lake, mut client) = talker().await;
    let rows =
        ask(&mut client, "SELECT value, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' AS text FROM generate_series(1, 100000)").await;
    assert_eq!(rows.unwrap().num_rows(), 100_000);
    let none = ask(&mut client, "SELECT value FROM generate_series(1, 10) WHERE value > 10").await.unwrap();
    assert_eq!((none.num_rows(), none.num_columns()), (0, 1));
}

#[tokio::test]
async fn nobody_and_who_may_not_read_are_told_so() {
    let lake = Lake::in_memory().await.unwrap();
    let mut nobody = client_of(&lake, None).await;
    assert_eq!(code(nobody.execute("SELECT 1".to_owned(), None).await), Code::Unauthenticated);
    let rights = Rights::NONE.with(Right::Send);
    let sender = Caller::new(Identity::Anybody, "sender", rights);
    let mut sender = client_of(&lake, Some(Arc::new(sender))).await;
    assert_eq!(code(sender.execute("SELECT 1".to_owned(), None).await), Code::PermissionDenied);
    assert_eq!(code(sender.get_table_types().await), Code::PermissionDenied);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let (_lake, mut client) = talker().await;
    let action = Action::new("CreatePreparedStatement", vec![0; (8 << 20) + 1]);
    assert!(matches!(code(client.do_action(action).await), Code::OutOfRange | Code::ResourceExhausted));
    let long = format!("SELECT '{}'", "x".repeat(1 << 20));
    assert_eq!(code(client.execute(long, None).await), Code::InvalidArgument);
    ask(&mut client, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_query_that_does_not_run_is_not_cancelled_and_both_actions_say_so() {
    let (_lake, mut client) = talker().await;
    let info = client.execute("SELECT 1".to_owned(), None).await.unwrap();
    let request = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
    let mut results = client.do_action(Action::new("CancelFlightInfo", request)).await.unwrap();
    let result = results.message().await.unwrap().unwrap();
    let result = CancelFlightInfoResult::decode(result.body).unwrap();
    assert_eq!(result.status(), CancelStatus::NotCancellable);
    let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() }.as_any().encode_to_vec();
    let mut results = client.do_action(Action::new("CancelQuery", request)).await.unwrap();
    let result = Any::decode(results.message().await.unwrap().unwrap().body).unwrap();
    assert_eq!(result.unpack::<ActionCancelQueryResult>().unwrap().unwrap().result, 3);
    let nothing = Action::new("CancelFlightInfo", Vec::new());
    assert_eq!(code(client.do_action(nothing).await), Code::InvalidArgument);
}

#[tokio::test]
async fn every_action_that_is_listed_is_there_and_no_other() {
    let (_lake, mut client) = talker().await;
    let listed = client.inner_mut().list_actions(Empty {}).await.unwrap().into_inner();
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    for action in listed {
        // without a body it is refused for that
        let refused = code(client.do_action(Action::new(action.r#type, Vec::new())).await);
        assert_eq!(refused, Code::InvalidArgument);
    }
    assert_eq!(code(client.begin_transaction().await), Code::Unimplemented);
    assert_eq!(code(client.execute_update("DELETE FROM blocks".to_owned(), None).await), Code::Unimplemented);
}

#[tokio::test]
async fn a_user_and_a_password_give_a_token_which_is_the_password() {
    let (_lake, mut client) = talker().await;
    let payload = client.handshake("ada", "blv_secret:with colon").await.unwrap();
    assert_eq!(payload, "blv_secret:with colon");
    assert_eq!(client.token().map(String::as_str), Some("blv_secret:with colon"));
}
