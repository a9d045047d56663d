//! What is asked about queries and callers, and how answers travel.

use super::*;

fn reader() -> Option<Arc<Caller>> {
    Some(Caller::anybody())
}

fn get(address: &str) -> Request<Body> {
    Request::get(address).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_plan_says_what_would_be_read_and_answered_without_running_it() {
    let routes = routes(3).await;
    let question = json!({"sql": "SELECT number, process_id FROM ticks WHERE number > $1", "parameters": [1], "limit": 1});
    let json_body = &[("content-type", "application/json")];
    let reply = send(&routes, post(PLAN, json_body, question.to_string()), reader()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let plan = reply.json();
    assert_eq!(plan["reads"][0]["blocks"], 1);
    assert_eq!(plan["reads"].as_array().unwrap().len(), 1);
    let column = |name: &str, role: Value| json!({"name": name, "type": if name == "number" {"Int64"} else {"Utf8"}, "nullable": false, "unit": null, "role": role});
    assert_eq!(
        plan["columns"],
        json!([column("number", json!(null)), column("process_id", json!("process"))])
    );
    assert_eq!(plan["parameters"][0]["name"], "$1");
    assert!(plan["plan"].as_array().unwrap().iter().all(|step| step["kind"] != "reads"), "{plan}");
    assert!(plan["plan"][0]["text"].as_str().unwrap().contains("number"), "{plan}");
    let unknown = json!({"sql": "SELECT number FROM ticks WHERE number > $1"});
    let plan = send(&routes, post(PLAN, json_body, unknown.to_string()), reader()).await.json();
    assert_eq!((&plan["reads"], plan["parameters"].as_array().unwrap().len()), (&json!(null), 1));
    let wrong = json!({"sql": "SELECT nope FROM ticks"});
    let reply = send(&routes, post(PLAN, json_body, wrong.to_string()), reader()).await;
    assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (400, "sql"));
}

#[tokio::test]
async fn what_a_query_did_is_told_to_who_asked_it_by_the_name_that_they_chose() {
    let routes = routes(3).await;
    let id = Uuid::new_v4().to_string();
    let headers = &[("content-type", "text/plain"), ("x-query-id", id.as_str())];
    let reply = send(&routes, post(QUERY, headers, "SELECT number FROM ticks"), reader()).await;
    assert_eq!(reply.headers["x-query-id"].to_str().unwrap(), id);
    let address = format!("/api/query/{id}");
    let record = send(&routes, get(&address), reader()).await.json();
    assert_eq!(
        (&record["state"], &record["rows"], &record["blocks"]),
        (&json!("done"), &json!(3), &json!(1))
    );
    assert_eq!(record["missing_blocks"], 0);
    assert_eq!(record["reads"][0]["blocks"], 1);
    // nobody else learns that it was there
    let key = |rights: &str| {
        Some(Arc::new(Caller::new(Identity::Key(Uuid::new_v4()), "other", rights.parse::<Rights>().unwrap())))
    };
    assert_eq!(send(&routes, get(&address), key("read")).await.status, 404);
    assert_eq!(send(&routes, get(&address), key("admin")).await.status, 200);
    assert_eq!(send(&routes, get(&address), None).await.status, 401);
    assert_eq!(send(&routes, get("/api/query/nothing"), reader()).await.status, 400);
    let end = Request::delete(&address).body(Body::empty()).unwrap();
    assert_eq!(send(&routes, end, reader()).await.status, 404, "it is over");
    let wrong = &[("content-type", "text/plain"), ("x-query-id", "mine")];
    assert_eq!(send(&routes, post(QUERY, wrong, "SELECT 1"), reader()).await.status, 400);
}

#[tokio::test]
async fn a_query_is_ended_by_its_name_while_it_answers() {
    let routes = routes(1).await;
    let id = Uuid::new_v4().to_string();
    let headers = &[("content-type", "text/plain"), ("x-query-id", id.as_str())];
    let endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b \
                   WHERE a.value + b.value < 0";
    let running = tokio::spawn({
        let (routes, request) = (routes.clone(), post(QUERY, headers, endless));
        async move { send(&routes, request, reader()).await }
    });
    let address = format!("/api/query/{id}");
    loop {
        let end = Request::delete(&address).body(Body::empty()).unwrap();
        if send(&routes, end, reader()).await.status == 204 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let reply = running.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (409, "cancelled"));
}

#[tokio::test]
async fn whoever_asks_is_told_what_they_may_do() {
    let routes = routes(0).await;
    let me = send(&routes, get(ME), reader()).await;
    assert_eq!(me.headers["cache-control"], "no-store");
    assert_eq!(me.json()["authenticated_by"], json!(null));
    let caller = Caller::new(Identity::Key(Uuid::new_v4()), "ann", "send,read".parse::<Rights>().unwrap());
    let me = send(&routes, get(ME), Some(Arc::new(caller))).await.json();
    assert_eq!((&me["name"], &me["rights"]), (&json!("ann"), &json!(["send", "read"])));
    assert_eq!(me["authenticated_by"], "key");
    assert_eq!(send(&routes, get(ME), None).await.status, 401);
}

#[tokio::test]
async fn labels_leave_as_dictionaries_if_the_client_wants_that_and_mean_the_same() {
    use arrow::datatypes::DataType;
    let routes = routes(50).await;
    let ask = async |options: &str| {
        let address = format!("{QUERY}?format=arrow{options}");
        let sql = "SELECT process_id FROM ticks";
        let reply = send(&routes, post(&address, &[("content-type", "text/plain")], sql), reader()).await;
        assert_eq!(reply.status, 200, "{options}");
        let rows: Vec<RecordBatch> =
            StreamReader::try_new(reply.body.as_ref(), None).unwrap().collect::<Result<_, _>>().unwrap();
        let kind = rows[0].schema().field(0).data_type().clone();
        let texts = arrow::compute::cast(rows[0].column(0), &DataType::Utf8).unwrap();
        (kind, texts.as_string::<i32>().value(0).to_owned(), reply.body.len())
    };
    let (kind, text, size) = ask("&dictionaries=keep").await;
    assert!(matches!(kind, DataType::Dictionary(..)), "{kind}");
    let (plain, same, more) = ask("").await;
    assert_eq!((plain, &same), (DataType::Utf8, &text));
    assert!(size < more, "{size} {more}");
    assert_eq!(ask("&dictionaries=plain").await.0, DataType::Utf8);
    assert!(QueryString::read(Some("dictionaries=some")).is_err());
}

#[tokio::test]
async fn compressed_answers_are_the_same_rows() {
    use std::io::Read;
    let routes = routes(500).await;
    for format in Format::ALL {
        let address = format!("{QUERY}?format={}", format.name());
        let ask = async |accepted: &str| {
            let headers = &[("content-type", "text/plain"), ("accept-encoding", accepted)];
            send(&routes, post(&address, headers, "SELECT number FROM ticks ORDER BY number"), reader()).await
        };
        let plain = ask("identity").await;
        for encoding in ["gzip", "zstd"] {
            let reply = ask(encoding).await;
            if format == Format::Parquet {
                assert!(!reply.headers.contains_key("content-encoding"));
                continue;
            }
            assert_eq!(reply.headers["content-encoding"], encoding);
            assert!(reply.body.len() < plain.body.len(), "{format:?}");
            let mut bytes = Vec::new();
            match encoding {
                "gzip" => flate2::read::GzDecoder::new(reply.body.as_ref()).read_to_end(&mut bytes).unwrap(),
                _ => zstd::stream::read::Decoder::new(reply.body.as_ref())
                    .unwrap()
                    .read_to_end(&mut bytes)
                    .unwrap(),
            };
            assert_eq!(bytes, plain.body, "{format:?}");
        }
    }
}
