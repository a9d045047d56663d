//! What is asked about queries and callers, beside the rows: `GET /api/me`, `POST /api/plan`, and `GET` and `DELETE` of
//! `/api/query/{id}`.

use super::error::HttpError;
use super::recent::reads;
use super::request::{QueryBody, QueryString};
use super::{Api, caller, client_from, request_of};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_lake::access::{Caller, Identity, Right};
use belvedere_view::{ROLE, UNIT};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// JSON that nobody keeps.
fn answered(value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, format!("{value}\n")).into_response()
}

/// `GET /api/me`: who asks, and what they may do.
pub(super) async fn me(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match caller(&parts) {
        Ok(caller) => answered(&about(&caller)),
        Err(error) => error.into_response(),
    }
}

fn about(caller: &Caller) -> Value {
    let rights: Vec<&str> =
        Right::ALL.into_iter().filter(|right| caller.rights.has(*right)).map(Right::name).collect();
    let authenticated_by = match &caller.identity {
        Identity::Anybody => json!(null),
        Identity::Key(_) => json!("key"),
        Identity::Subject { .. } => json!("token"),
    };
    json!({
        "name": caller.name,
        "rights": rights,
        "authenticated_by": authenticated_by,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// `POST /api/plan`: what a query would read and answer, without running it.
pub(super) async fn plan(State(api): State<Arc<Api>>, request: Request) -> Response {
    planned(&api, request).await.map_or_else(IntoResponse::into_response, |plan| answered(&plan))
}

async fn planned(api: &Api, request: Request) -> Result<Value, HttpError> {
    let (parts, body) = request.into_parts();
    let caller = caller(&parts)?;
    let query_string = QueryString::read(parts.uri.query())?;
    let body = QueryBody::read(&parts.headers, query_string, body).await?;
    let mut client = client_from(&parts);
    client.client.get_or_insert_with(|| "http".to_owned());
    let mut request = request_of(body, caller, client);
    let query_id = request.query_id;
    let failed = |error| HttpError::of_query(&error, query_id);
    // with values in their place there are none to be described
    let values = request.parameters.take();
    let description = api.service.describe(&request).await.map_err(failed)?;
    let mut planned = json!({
        "columns": columns(&description.schema),
        "parameters": columns(&description.parameters),
        "plan": null,
        "reads": null,
    });
    // what is read depends on the values
    if values.is_none() && !description.parameters.fields().is_empty() {
        return Ok(planned);
    }
    request.parameters = values;
    // a limit would cut the plan, not the rows
    request.limit = None;
    request.sql = format!("EXPLAIN {}", request.sql);
    let answer = api.service.run(request).await.map_err(failed)?;
    let report = answer.report.clone();
    let rows: Vec<RecordBatch> = answer.rows.try_collect().await.map_err(failed)?;
    planned["plan"] = steps(&rows);
    planned["reads"] = reads(&report.scans());
    Ok(planned)
}

/// The columns of an answer, with what is known of them.
fn columns(schema: &Schema) -> Value {
    let column = |field: &Arc<Field>| {
        json!({
            "name": field.name(),
            "type": field.data_type().to_string(),
            "nullable": field.is_nullable(),
            "unit": field.metadata().get(UNIT),
            "role": field.metadata().get(ROLE),
        })
    };
    schema.fields().iter().map(column).collect()
}

/// The texts of EXPLAIN; those of reads are told as numbers.
fn steps(rows: &[RecordBatch]) -> Value {
    let texts = |rows: &RecordBatch| -> Vec<Value> {
        let column = |i: usize| rows.columns().get(i).and_then(|column| column.as_string_opt::<i32>());
        let (Some(kinds), Some(plans)) = (column(0), column(1)) else { return Vec::new() };
        let steps = kinds.iter().zip(plans.iter()).filter(|(kind, _)| *kind != Some("reads"));
        steps.map(|(kind, plan)| json!({"kind": kind, "text": plan})).collect()
    };
    rows.iter().flat_map(texts).collect()
}

/// `GET /api/query/{id}`: what a query did so far.
pub(super) async fn record(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let told = caller(&parts).and_then(|caller| api.recent.describe(query_id(&id)?, &caller));
    told.map_or_else(IntoResponse::into_response, |record| answered(&record))
}

/// `DELETE /api/query/{id}`: ends a query.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let ended = caller(&parts).and_then(|caller| {
        let id = query_id(&id)?;
        if api.service.cancel(id, &caller) {
            return Ok(());
        }
        Err(HttpError::refused(StatusCode::NOT_FOUND, format!("no query {id} runs here that you may cancel")))
    });
    ended.map_or_else(IntoResponse::into_response, |()| StatusCode::NO_CONTENT.into_response())
}

/// The id of a query in an address.
fn query_id(text: &str) -> Result<Uuid, HttpError> {
    Uuid::try_parse(text).map_err(|_| HttpError::bad_request(format!("'{text}' is not the id of a query")))
}
