//! Keys of those who ask by FlightSQL.

use super::*;
use arrow_flight::Ticket;
use arrow_flight::flight_service_client::FlightServiceClient;
use tonic::Code;
use tonic::transport::Channel;

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_by_flight_sql_needs_a_key_that_may_read() {
    let place = Place::new();
    place.serve(&[]).stop();
    let (send, read) = (make_key(&place, "sender", "send"), make_key(&place, "reader", "read"));
    let mut command = place.command("serve");
    command.args(["--require-keys", "--http", "127.0.0.1:0", "--flight-sql", "127.0.0.1:0"]);
    command.args(["--otlp-http", "off", "--otlp-grpc", "off"]);
    let mut child = command.env("BELVEDERE_LOG", "warn").stderr(Stdio::piped()).spawn().unwrap();
    // read until the end of the test, or it could say no more
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let is_about_it = |line: &String| line.contains(" flight-sql") || line.starts_with("belvedere: ");
    let line = lines.by_ref().find(is_about_it).unwrap();
    if let Some(address) = line.strip_prefix("listening flight-sql ") {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut client = FlightServiceClient::new(channel);
        let mut code = async |authorization: Option<String>| {
            // nobody's ticket: who gets in is told so
            let mut request = tonic::Request::new(Ticket { ticket: bytes::Bytes::from_static(b"\xff") });
            if let Some(value) = authorization {
                request.metadata_mut().insert("authorization", value.parse().unwrap());
            }
            client.do_get(request).await.err().map(|status| status.code())
        };
        assert_eq!(code(None).await, Some(Code::Unauthenticated));
        assert_eq!(code(Some(bearer("bvk_wrong"))).await, Some(Code::Unauthenticated));
        assert_eq!(code(Some(bearer(&send))).await, Some(Code::PermissionDenied));
        let inside = code(Some(bearer(&read))).await;
        assert!(!matches!(inside, Some(Code::Unauthenticated | Code::PermissionDenied)), "{inside:?}");
    } else {
        // a binary of a custom choice of features has no such address
        assert_eq!(line, "not built: flight-sql");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
