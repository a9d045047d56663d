//! Tokens of an identity provider, good ones and all sorts of others.

use super::*;
use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A provider on this machine with an RSA key and one on P-256.
struct Provider {
    _runtime: tokio::runtime::Runtime,
    issuer: String,
    rsa: EncodingKey,
    rsa_public: String,
    ec: EncodingKey,
    ec_public: Vec<u8>,
}

impl Provider {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let pair = rcgen::KeyPair::generate().unwrap();
        let ec_public = pair.public_key_raw().to_vec();
        let (x, y) = ec_public[1..].split_at(32);
        let rsa: Value =
            serde_json::from_str(&std::fs::read_to_string(testdata("oidc/rsa.json")).unwrap()).unwrap();
        let keys = json!({"keys": [
            rsa["jwk"],
            {"kty": "EC", "crv": "P-256", "kid": "ec", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)},
            // one that could sign as well as verify: never used
            {"kty": "oct", "kid": "secret", "k": URL_SAFE_NO_PAD.encode("secret")},
        ]})
        .to_string();
        let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { discovery }))
            .route("/keys", get(move || async move { keys }));
        runtime.spawn(axum::serve(listener, router).into_future());
        Self {
            _runtime: runtime,
            issuer,
            rsa: EncodingKey::from_rsa_der(
                &STANDARD.decode(rsa["private_pkcs1_base64"].as_str().unwrap()).unwrap(),
            ),
            rsa_public: rsa["public_pem"].as_str().unwrap().to_owned(),
            ec: EncodingKey::from_ec_der(&pair.serialize_der()),
            ec_public,
        }
    }

    /// The usual claims, with some of them replaced; `null` takes one away.
    fn claims(&self, changes: Value) -> Value {
        let now = belvedere_model::time::now() / 1_000_000_000;
        let mut claims = json!({
            "iss": self.issuer, "aud": "lake", "sub": "42", "exp": now + 600, "nbf": now - 10, "iat": now - 10,
            "email": "somebody@example.com", "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn sign(&self, algorithm: Algorithm, id: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
        let key = match algorithm {
            Algorithm::ES256 => &self.ec,
            _ => &self.rsa,
        };
        encode(&header, claims, key).unwrap()
    }
}

fn serve(provider: &Provider, place: &Place, flags: &[&str]) -> Server {
    let own = ["--oidc-issuer", &provider.issuer, "--oidc-audience", "lake"];
    place.serve(&[&own[..], flags].concat())
}

fn metrics(server: &Server, token: &str) -> u16 {
    let authorization = bearer(token);
    server.connect().send("GET", "/metrics", &[("authorization", &authorization)], b"").0
}

#[test]
fn tokens_let_in_beside_keys_and_may_no_more_than_said() {
    let provider = Provider::start();
    let place = Place::new();
    // no key is needed for a start
    let server = serve(&provider, &place, &[]);
    assert_eq!(server.connect().get("/metrics").0, 401);
    for (algorithm, id) in [
        (Algorithm::RS256, Some("rsa")),
        (Algorithm::RS256, None),
        (Algorithm::ES256, Some("ec")),
        (Algorithm::ES256, None),
    ] {
        for aud in [json!("lake"), json!(["other", "lake"])] {
            let token = provider.sign(algorithm, id, &provider.claims(json!({ "aud": aud })));
            for _ in 0..2 {
                assert_eq!(metrics(&server, &token), 200, "{algorithm:?} {id:?}");
            }
            let authorization = bearer(&token);
            let headers = [("authorization", authorization.as_str())];
            let (status, body) = server.connect().send("POST", "/ingestion/insert_process", &headers, b"x");
            assert!(status == 403 && body.contains("'42' lacks the right 'send'"), "{status} {body}");
        }
    }
    let key = make_key(&place, "key", "read");
    assert_eq!(metrics(&server, &key), 200);
}

#[test]
fn tokens_that_are_old_early_for_others_or_of_others_are_refused() {
    let provider = Provider::start();
    let place = Place::new();
    let server = serve(&provider, &place, &[]);
    let now = belvedere_model::time::now() / 1_000_000_000;
    for changes in [
        json!({"exp": now - 60}),
        json!({"exp": null}),
        json!({"exp": "never"}),
        json!({"exp": -1}),
        json!({"nbf": now + 300}),
        json!({"aud": "other"}),
        json!({"aud": ["other"]}),
        json!({"aud": null}),
        json!({"iss": "https://other"}),
        json!({"iss": [provider.issuer]}),
        json!({"iss": null}),
        json!({"sub": null}),
        json!({"sub": ""}),
    ] {
        let token = provider.sign(Algorithm::ES256, Some("ec"), &provider.claims(changes.clone()));
        assert_eq!(metrics(&server, &token), 401, "{changes}");
    }
    let good = provider.sign(Algorithm::ES256, Some("ec"), &provider.claims(json!({})));
    assert_eq!(metrics(&server, &good), 200);
}

#[test]
fn tokens_that_are_not_signed_by_the_provider_are_refused() {
    let provider = Provider::start();
    let place = Place::new();
    let server = serve(&provider, &place, &[]);
    let claims = provider.claims(json!({}));
    let good = provider.sign(Algorithm::RS256, Some("rsa"), &claims);
    let parts: Vec<&str> = good.split('.').collect();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut wrong = Vec::new();
    // no signature
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = part(&json!({"alg": alg, "typ": "JWT"}));
        wrong.push(format!("{header}.{}.", part(&claims)));
        wrong.push(format!("{header}.{}.{}", part(&claims), parts[2]));
    }
    wrong.push(format!("{}.{}.", parts[0], parts[1]));
    // other claims under the same signature
    let changed = provider.claims(json!({"sub": "root"}));
    wrong.push(format!("{}.{}.{}", parts[0], part(&changed), parts[2]));
    // what everybody knows, used as a secret
    let rsa = &provider.rsa_public;
    let der = STANDARD.decode(rsa.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    for secret in [rsa.as_bytes(), rsa.trim_end().as_bytes(), &der, &provider.ec_public, b"secret", b""] {
        for id in ["rsa", "ec", "secret"] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let header = Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
                wrong.push(encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap());
            }
        }
    }
    // keys for something else: RS256 is all that the RSA key is for
    wrong.push(provider.sign(Algorithm::RS512, Some("rsa"), &claims));
    wrong.push(provider.sign(Algorithm::RS256, Some("ec"), &claims));
    wrong.push(provider.sign(Algorithm::ES256, Some("rsa"), &claims));
    // somebody else's key, also when the token brings it along
    let stranger = rcgen::KeyPair::generate().unwrap();
    let stranger = EncodingKey::from_ec_der(&stranger.serialize_der());
    for id in [Some("ec".to_owned()), None] {
        let header =
            Header { kid: id, jku: Some("http://127.0.0.1:1/".to_owned()), ..Header::new(Algorithm::ES256) };
        wrong.push(encode(&header, &claims, &stranger).unwrap());
    }
    wrong.extend(["..", "a.b.c", "a.b", &format!("{good}.")].map(str::to_owned));
    for token in wrong {
        assert_eq!(metrics(&server, &token), 401, "{token}");
    }
    assert_eq!(metrics(&server, &good), 200);
}

#[test]
fn a_provider_that_is_away_makes_tokens_wait_and_not_fail() {
    let provider = Provider::start();
    let place = Place::new();
    place.serve(&[]).stop();
    let key = make_key(&place, "key", "read");
    let away = Provider { issuer: "http://127.0.0.1:1".to_owned(), ..provider };
    let server = serve(&away, &place, &[]);
    let token = away.sign(Algorithm::ES256, Some("ec"), &away.claims(json!({})));
    assert_eq!(metrics(&server, &token), 503);
    assert_eq!(metrics(&server, &key), 200);
    for flags in [
        &["--oidc-issuer", "http://id.example.com", "--oidc-audience", "lake"][..],
        &["--oidc-issuer", "https://id.example.com"],
    ] {
        let output = place.command("serve").args(["--http", "127.0.0.1:0"]).args(flags).output().unwrap();
        assert!(!output.status.success(), "{flags:?}");
    }
}
