//! Actions, and the handshake.

use super::headers::RequestContext;
use super::service::FlightSql;
use super::ticket::{self, Statement};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    HandshakeResponse,
};
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Response, Status};
use uuid::Uuid;

/// The supported actions, with their descriptions.
const ACTIONS: [(&str, &str); 4] = [
    ("CreatePreparedStatement", "Plans a query to be run later, with values for its parameters"),
    ("ClosePreparedStatement", "Closes a prepared statement"),
    ("CancelFlightInfo", "Cancels a query, by its FlightInfo"),
    ("CancelQuery", "Cancels a query, for older clients"),
];

/// The supported actions.
pub(super) fn all() -> impl Iterator<Item = ActionType> {
    ACTIONS
        .into_iter()
        .map(|(name, about)| ActionType { r#type: name.to_owned(), description: about.to_owned() })
}

/// The answer to everything about transactions.
pub(super) fn no_transactions() -> Status {
    Status::unimplemented(
        "transactions are not supported: every query sees all data that was acknowledged before it started",
    )
}

impl FlightSql {
    /// Runs an action. Returns the body of its result, if it has one.
    pub(super) async fn action(
        &self,
        action: Action,
        context: &RequestContext,
    ) -> Result<Option<Vec<u8>>, Status> {
        match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let request: ActionCreatePreparedStatementRequest = unpack(&action)?;
                if request.transaction_id.is_some_and(|id| !id.is_empty()) {
                    return Err(no_transactions());
                }
                Ok(Some(self.prepare(request.query, context).await?.as_any().encode_to_vec()))
            }
            "ClosePreparedStatement" => {
                unpack::<ActionClosePreparedStatementRequest>(&action)?;
                Ok(None)
            }
            "CancelFlightInfo" => {
                let request = CancelFlightInfoRequest::decode(&*action.body).map_err(|e| unreadable(&e))?;
                let status = self.cancel(request.info, context)?;
                Ok(Some(CancelFlightInfoResult::new(status).encode_to_vec()))
            }
            "CancelQuery" => {
                let request: ActionCancelQueryRequest = unpack(&action)?;
                let info = FlightInfo::decode(&*request.info).map_err(|e| unreadable(&e))?;
                // the older enum has the same numbers
                let result = self.cancel(Some(info), context)? as i32;
                Ok(Some(ActionCancelQueryResult { result }.as_any().encode_to_vec()))
            }
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                Err(no_transactions())
            }
            "CreatePreparedSubstraitPlan" => {
                Err(Status::unimplemented("Substrait plans are not supported: send the query as SQL"))
            }
            other => Err(Status::unimplemented(format!(
                "the action '{other}' is not supported: ListActions lists those that are"
            ))),
        }
    }

    /// Cancels the query whose id is in the ticket of its info, or in the info's metadata.
    fn cancel(&self, info: Option<FlightInfo>, context: &RequestContext) -> Result<CancelStatus, Status> {
        let query_id = info.as_ref().and_then(query_id).ok_or_else(|| {
            Status::invalid_argument("this names no query: send what GetFlightInfo returned for a statement")
        })?;
        Ok(if self.queries().cancel(query_id, &context.caller) {
            CancelStatus::Cancelled
        } else {
            // it has not begun, has ended, or belongs to another caller
            CancelStatus::NotCancellable
        })
    }
}

fn query_id(info: &FlightInfo) -> Option<Uuid> {
    let in_ticket = info.endpoint.iter().find_map(|endpoint| {
        match ticket::command_from_ticket(&endpoint.ticket.as_ref()?.ticket).ok()? {
            Command::TicketStatementQuery(ticket) => {
                Statement::from_handle(&ticket.statement_handle).ok()?.query_id()
            }
            _ => None,
        }
    });
    in_ticket.or_else(|| Uuid::try_parse_ascii(&info.app_metadata).ok())
}

fn unpack<M: ProstMessageExt>(action: &Action) -> Result<M, Status> {
    let any = Any::decode(&*action.body).map_err(|e| unreadable(&e))?;
    let message = any
        .unpack::<M>()
        .map_err(|e| Status::invalid_argument(format!("the action's body can't be read: {e}")))?;
    message.ok_or_else(|| {
        Status::invalid_argument(format!(
            "the body of the action '{}' is a '{}', but '{}' is expected",
            action.r#type,
            any.type_url,
            M::type_url()
        ))
    })
}

fn unreadable(error: &prost::DecodeError) -> Status {
    Status::invalid_argument(format!("the action's body can't be read: {error}"))
}

/// Answers a user name and a password, which is the API key, with the token for later calls: the key again. The caller was
/// authenticated before.
pub(super) fn handshake(
    headers: &MetadataMap,
) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Status> {
    let token = headers.get("authorization").and_then(|value| token(value.to_str().ok()?));
    let payload = token.clone().unwrap_or_default().into();
    let answer = HandshakeResponse { protocol_version: 0, payload };
    let mut response = Response::new(futures::stream::iter([Ok(answer)]).boxed());
    if let Some(token) = token {
        let bearer: AsciiMetadataValue = format!("Bearer {token}").parse().map_err(|_| {
            Status::invalid_argument(
                "the password has characters that can't be in a key: send the key as the \
                                      password",
            )
        })?;
        response.metadata_mut().insert("authorization", bearer);
    }
    Ok(response)
}

/// Padding is optional: drivers in Go, which are those of ADBC and Grafana, do not pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The password of basic authentication, or the bearer token.
fn token(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(value.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_token_with_padding_and_without() {
        for user in ["a", "ab", "abc"] {
            let padded = BASE64.encode(format!("{user}:key"));
            for basic in [&*padded, padded.trim_end_matches('=')] {
                assert_eq!(token(&format!("Basic {basic}")).as_deref(), Some("key"), "{basic}");
            }
        }
        assert_eq!(token("bearer  key ").as_deref(), Some("key"));
        assert_eq!(token("Digest key"), None);
    }
}
