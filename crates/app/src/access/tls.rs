//! Certificates.

use crate::listener::Tls;
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An acceptor with the certificates of one file and the private key of another.
pub(crate) fn acceptor(certificates: &Path, key: &Path) -> Result<Tls> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{} can't be read", path.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(certificates)?)
        .collect::<Result<_, _>>()
        .map_err(|e| not_pem(certificates, &e))?;
    if chain.is_empty() {
        bail!(
            "{} has no certificate: expected PEM, '-----BEGIN CERTIFICATE-----', the server's own first",
            certificates.display()
        );
    }
    let private = match PrivateKeyDer::from_pem_slice(&read(key)?) {
        Ok(private) => private,
        Err(PemError::NoItemsFound) => bail!(
            "{} has no private key: expected PEM without a password, '-----BEGIN PRIVATE KEY-----'",
            key.display()
        ),
        Err(e) => return Err(not_pem(key, &e)),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS can't be set up")?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| {
            format!(
                "the certificate {} and the key {} don't match or can't be used",
                certificates.display(),
                key.display()
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)).into())
}

fn not_pem(path: &Path, error: &PemError) -> anyhow::Error {
    anyhow!("{} is not PEM: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_files_are_named_with_what_is_wrong_with_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = file("cert.pem", &made.cert.pem());
        let key = file("key.pem", &made.signing_key.serialize_pem());
        let wrong_key = file("other.pem", &other.signing_key.serialize_pem());
        let text = file("text", "hello");
        let none = directory.path().join("none");
        assert!(acceptor(&certificate, &key).is_ok());
        for (certificate, key, expected) in [
            (&none, &key, "none can't be read"),
            (&certificate, &none, "none can't be read"),
            (&text, &key, "text has no certificate"),
            (&certificate, &text, "text has no private key"),
            (&key, &key, "key.pem has no certificate"),
            (&certificate, &wrong_key, "don't match or can't be used"),
        ] {
            let error = format!("{:#}", acceptor(certificate, key).err().unwrap());
            assert!(error.contains(expected), "{error}");
        }
    }
}
