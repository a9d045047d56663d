//! Encrypted connections.

use super::*;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

struct Encrypted {
    guarded: Guarded,
    certificate: CertificateDer<'static>,
    #[cfg_attr(not(all(feature = "otel", feature = "cli-client")), allow(dead_code))]
    pem: String,
    /// Of the files.
    _directory: tempfile::TempDir,
}

fn start() -> Encrypted {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pem = made.cert.pem();
    let certificate = file("certificate.pem", &pem);
    let key = file("key.pem", &made.signing_key.serialize_pem());
    let guarded = Guarded::start(&["--tls-cert", &certificate, "--tls-key", &key]);
    Encrypted { guarded, certificate: made.cert.der().clone(), pem, _directory: directory }
}

impl Encrypted {
    async fn connect(&self, protocol: &str) -> TlsStream<tokio::net::TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = tokio::net::TcpStream::connect(&self.guarded.server.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    async fn get(&self, path: &str, key: Option<&str>) -> String {
        let mut stream = self.connect("http/1.1").await;
        let authorization = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_and_plain_text_is_not() {
    let encrypted = start();
    assert!(encrypted.get("/health", None).await.starts_with("HTTP/1.1 200"));
    assert!(encrypted.get("/metrics", None).await.starts_with("HTTP/1.1 401"));
    let answer = encrypted.get("/metrics", Some(&encrypted.guarded.read)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for protocol in ["h2", "http/1.1"] {
        let stream = encrypted.connect(protocol).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    }
    let address = encrypted.guarded.server.address.clone();
    // who never shakes hands is in nobody's way
    let silent = TcpStream::connect(&address).unwrap();
    let answer = exchange(&address, b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(!answer.contains("200"), "{answer}");
    assert!(encrypted.get("/health", None).await.starts_with("HTTP/1.1 200"));
    drop(silent);
}

#[cfg(all(feature = "otel", feature = "cli-client"))]
#[tokio::test(flavor = "multi_thread")]
async fn grpc_comes_encrypted_too() {
    use tonic::transport::{Certificate, Channel, ClientTlsConfig};
    let encrypted = start();
    let port = encrypted.guarded.server.otlp_grpc.rsplit_once(':').unwrap().1.to_owned();
    let trust =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&encrypted.pem)).domain_name("localhost");
    let endpoint =
        Channel::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(trust).unwrap();
    let mut channel = endpoint.connect().await.unwrap();
    assert_eq!(super::grpc::export(&mut channel, None).await, (200, Some("16".to_owned())));
    assert_eq!(super::grpc::export(&mut channel, Some(&encrypted.guarded.send)).await, (200, None));
}

#[test]
fn bad_files_stop_the_server_before_it_begins() {
    let place = Place::new();
    for flags in
        [&["--tls-cert", "/nowhere/a.pem", "--tls-key", "/nowhere/b.pem"][..], &["--tls-cert", "a.pem"]]
    {
        let output = place.command("serve").args(["--http", "127.0.0.1:0"]).args(flags).output().unwrap();
        assert!(!output.status.success());
        let stderr = text(&output.stderr);
        assert!(stderr.contains("/nowhere/a.pem can't be read") || stderr.contains("--tls-key"), "{stderr}");
    }
    assert!(!place.directory.path().join("catalog.sqlite").exists());
}
