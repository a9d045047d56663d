//! Providers that change their keys, are slow, lie, or are not there.

use super::*;
use axum::Router;
use axum::routing::get;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::sleep;

/// A provider on this machine.
struct Provider {
    issuer: String,
    keys: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(delay: Duration, claimed: Option<&str>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(String::new()));
        let asked = Arc::new(AtomicUsize::new(0));
        let claimed = claimed.unwrap_or(&issuer);
        let discovery = json!({"issuer": claimed, "jwks_uri": format!("{issuer}/keys")}).to_string();
        let (shown, counted) = (keys.clone(), asked.clone());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { discovery }))
            .route(
                "/keys",
                get(move || async move {
                    counted.fetch_add(1, Ordering::SeqCst);
                    sleep(delay).await;
                    locked(&shown).clone()
                }),
            );
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { issuer, keys, asked }
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.published.clone()).collect();
        *locked(&self.keys) = json!({ "keys": keys }).to_string();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn oidc(&self, intervals: RefreshIntervals) -> Arc<Oidc> {
        let config = OidcConfig {
            issuer: self.issuer.clone(),
            audience: "lake".to_owned(),
            admins: Vec::new(),
            rights: "read".parse().unwrap(),
        };
        Arc::new(Oidc::new(config, intervals).unwrap())
    }
}

struct Signer {
    id: &'static str,
    key: EncodingKey,
    published: Value,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let pair = rcgen::KeyPair::generate().unwrap();
        let (x, y) = pair.public_key_raw()[1..].split_at(32);
        let published = json!({
            "kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        Self { id, key: EncodingKey::from_ec_der(&pair.serialize_der()), published }
    }

    fn token(&self, provider: &Provider, subject: &str, seconds: i64) -> String {
        self.token_with(provider, subject, seconds, None)
    }

    fn token_with(
        &self,
        provider: &Provider,
        subject: &str,
        seconds: i64,
        critical: Option<&[&str]>,
    ) -> String {
        let crit = critical.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let header = Header { kid: Some(self.id.to_owned()), crit, ..Header::new(Algorithm::ES256) };
        let expires = now() / SECOND + seconds;
        let claims = json!({"iss": provider.issuer, "aud": "lake", "sub": subject, "exp": expires});
        encode(&header, &claims, &self.key).unwrap()
    }
}

const SHORT: Duration = Duration::from_millis(200);

fn hasty() -> RefreshIntervals {
    RefreshIntervals { min_interval: SHORT, retry_after: SHORT, ..RefreshIntervals::default() }
}

async fn knows(oidc: &Arc<Oidc>, token: &str) -> bool {
    oidc.authenticate(token).await.unwrap().is_some()
}

#[tokio::test]
async fn a_new_key_is_asked_for_when_a_token_names_it_but_not_often() {
    let provider = Provider::start(Duration::ZERO, None).await;
    let (old, new, stranger) = (Signer::new("old"), Signer::new("new"), Signer::new("stranger"));
    provider.publish(&[&old]);
    let oidc = provider.oidc(hasty());
    assert!(knows(&oidc, &old.token(&provider, "a", 600)).await);
    assert_eq!(provider.asked(), 1);
    provider.publish(&[&old, &new]);
    sleep(SHORT + SHORT / 2).await;
    assert!(knows(&oidc, &new.token(&provider, "a", 600)).await);
    assert_eq!(provider.asked(), 2);
    let began = Instant::now();
    for i in 0..50 {
        assert!(!knows(&oidc, &stranger.token(&provider, &i.to_string(), 600)).await);
    }
    let allowed = 3 + (began.elapsed().as_millis() / SHORT.as_millis()) as usize;
    assert!(provider.asked() <= allowed, "{} {allowed}", provider.asked());
}

#[tokio::test]
async fn who_signs_with_a_key_of_the_same_name_is_refused() {
    let provider = Provider::start(Duration::ZERO, None).await;
    let (real, forged) = (Signer::new("k"), Signer::new("k"));
    provider.publish(&[&real]);
    let oidc = provider.oidc(hasty());
    assert!(knows(&oidc, &real.token(&provider, "a", 600)).await);
    assert!(!knows(&oidc, &forged.token(&provider, "a", 600)).await);
}

#[tokio::test]
async fn a_token_with_critical_headers_is_refused_whatever_they_are() {
    let provider = Provider::start(Duration::ZERO, None).await;
    let signer = Signer::new("k");
    provider.publish(&[&signer]);
    let oidc = provider.oidc(hasty());
    assert!(knows(&oidc, &signer.token(&provider, "a", 600)).await);
    for critical in [&["exp"][..], &["b64", "http://example.com/x"], &[]] {
        assert!(!knows(&oidc, &signer.token_with(&provider, "a", 600, Some(critical))).await, "{critical:?}");
    }
}

#[tokio::test]
async fn a_token_counts_a_little_longer_than_it_says_and_is_then_remembered_no_more() {
    let provider = Provider::start(Duration::ZERO, None).await;
    let signer = Signer::new("k");
    provider.publish(&[&signer]);
    let oidc = provider.oidc(hasty());
    let token = |seconds| signer.token(&provider, "a", seconds);
    for (seconds, counts, is_remembered) in
        [(600, true, true), (20, true, false), (-10, true, false), (-60, false, false)]
    {
        let token = token(seconds);
        locked(&oidc.verified).clear();
        assert_eq!(knows(&oidc, &token).await, counts, "{seconds}");
        assert_eq!(locked(&oidc.verified).len() == 1, is_remembered, "{seconds}");
    }
}

#[tokio::test]
async fn keys_stay_while_the_provider_is_away_but_not_for_ever() {
    let provider = Provider::start(Duration::ZERO, None).await;
    let signer = Signer::new("k");
    provider.publish(&[&signer]);
    let oidc = provider.oidc(RefreshIntervals { renew_after: Duration::ZERO, max_age: 3 * SHORT, ..hasty() });
    assert!(knows(&oidc, &signer.token(&provider, "a", 600)).await);
    *locked(&provider.keys) = "gone".to_owned();
    assert!(knows(&oidc, &signer.token(&provider, "b", 600)).await);
    sleep(4 * SHORT).await;
    assert!(oidc.authenticate(&signer.token(&provider, "c", 600)).await.is_err());
}

#[tokio::test]
async fn what_a_provider_answers_is_bounded_and_not_believed_blindly() {
    let signer = Signer::new("k");
    let impatient = RefreshIntervals { request_timeout: SHORT, ..RefreshIntervals::default() };
    let failure = async |provider: &Provider| {
        let token = signer.token(provider, "a", 600);
        format!("{:#}", provider.oidc(impatient.clone()).authenticate(&token).await.unwrap_err())
    };
    let endless = Provider::start(Duration::ZERO, None).await;
    *locked(&endless.keys) = " ".repeat(MAX_RESPONSE_BYTES + 1);
    assert!(failure(&endless).await.contains("answers with more than"));
    *locked(&endless.keys) =
        json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}, 7, {"kty": "RSA"}]}).to_string();
    assert!(failure(&endless).await.contains("has no supported key"));
    let slow = Provider::start(Duration::from_secs(60), None).await;
    failure(&slow).await;
    let liar = Provider::start(Duration::ZERO, Some("https://other")).await;
    liar.publish(&[&signer]);
    assert!(failure(&liar).await.contains("is 'https://other', not"));
    let nobody = Provider { issuer: "http://127.0.0.1:1".to_owned(), ..liar };
    failure(&nobody).await;
}

#[test]
fn only_a_provider_on_this_machine_goes_without_tls() {
    for good in ["https://id.example.com", "http://localhost:1", "http://127.0.0.1:1/a", "http://[::1]:1"] {
        assert!(checked_url(good).is_ok(), "{good}");
    }
    for bad in [
        "http://id.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "ftp://localhost",
        "id",
    ] {
        assert!(checked_url(bad).is_err(), "{bad}");
    }
}
