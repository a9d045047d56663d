//! Keys over lakes in memory.

use super::*;
use crate::{DenyRuleRecord, LakeOptions};

const LONG: Duration = Duration::from_secs(3600);

async fn lake() -> Arc<LakeConnection> {
    LakeConnection::open(&LakeOptions::in_memory()).await.unwrap()
}

fn rights(text: &str) -> Rights {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_key_opens_until_it_is_revoked_and_its_text_is_kept_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let connection = LakeConnection::open(&LakeOptions::directory(directory.path())).await.unwrap();
    let keys = Keys::with_revocation_delay(connection.clone(), Duration::ZERO);
    let (key, secret) = keys.create("grafana", rights("read"), None).await.unwrap();
    assert!(secret.reveal().starts_with("bvk_") && secret.reveal().len() == 4 + 43);
    assert!(!format!("{secret:?} {key:?}").contains(&secret.reveal()[4..]));
    let caller = keys.authenticate(secret.reveal()).await.unwrap().unwrap();
    assert_eq!((caller.name.as_str(), caller.rights), ("grafana", rights("read")));
    assert!(caller.may_speak_for_others);
    assert!(keys.is_any_live().await.unwrap());
    assert_eq!(keys.revoke("grafana").await.unwrap().unwrap().key_id, key.key_id);
    assert_eq!(keys.revoke("grafana").await.unwrap(), None);
    assert_eq!(keys.authenticate(secret.reveal()).await.unwrap(), None);
    assert!(!keys.is_any_live().await.unwrap());
    assert!(!keys.list().await.unwrap()[0].is_live(now()));
    connection.close().await;
    for file in std::fs::read_dir(directory.path()).unwrap().map(|f| f.unwrap().path()) {
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            let needle = &secret.reveal().as_bytes()[4..];
            assert!(!bytes.windows(needle.len()).any(|w| w == needle), "{}", file.display());
        }
    }
}

/// Another process revokes: what this one remembers counts no longer than it promises.
#[tokio::test]
async fn a_revoked_key_is_refused_after_the_revocation_delay() {
    let connection = lake().await;
    let other = Keys::new(connection.clone());
    let (_, secret) = other.create("sender", rights("send"), None).await.unwrap();
    let patient = Keys::with_revocation_delay(connection.clone(), LONG);
    let hasty = Keys::with_revocation_delay(connection, Duration::from_millis(100));
    for keys in [&patient, &hasty] {
        let caller = keys.authenticate(secret.reveal()).await.unwrap().unwrap();
        assert!(!caller.may_speak_for_others && caller.check(Right::Read).is_err());
    }
    other.revoke("sender").await.unwrap().unwrap();
    assert!(other.authenticate(secret.reveal()).await.unwrap().is_none());
    assert!(patient.authenticate(secret.reveal()).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert!(hasty.authenticate(secret.reveal()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_no_key_is_refused_whatever_it_is() {
    let connection = lake().await;
    let keys = Keys::new(connection);
    let (_, secret) = keys.create("a", rights("read"), None).await.unwrap();
    let other = format!("bvk_{}", "A".repeat(43));
    let text = secret.reveal();
    for wrong in [
        "",
        "bvk_",
        &other,
        &text[..text.len() - 1],
        &format!("{text}A"),
        &text.to_uppercase(),
        &text[4..],
        &format!(" {text}"),
        &"A".repeat(100_000),
        "bvk_' OR '1' = '1",
    ] {
        for _ in 0..2 {
            assert_eq!(keys.authenticate(wrong).await.unwrap(), None, "{wrong:.60}");
        }
    }
    assert!(keys.authenticate(text).await.unwrap().is_some());
}

#[tokio::test]
async fn a_key_expires_even_while_it_is_remembered() {
    let keys = Keys::with_revocation_delay(lake().await, LONG);
    let expires = now() + 500_000_000;
    let (key, secret) = keys.create("short", rights("read,send"), Some(expires)).await.unwrap();
    assert!(key.is_live(now()));
    assert!(keys.authenticate(secret.reveal()).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(550)).await;
    assert!(keys.authenticate(secret.reveal()).await.unwrap().is_none());
    assert!(!keys.is_any_live().await.unwrap());
    // its name is free again
    keys.create("short", rights("read"), None).await.unwrap();
}

#[tokio::test]
async fn names_are_unique_among_live_keys_and_never_look_like_ids() {
    let keys = Keys::new(lake().await);
    let (first, _) = keys.create("one", rights("admin"), None).await.unwrap();
    assert!(matches!(keys.create("one", rights("read"), None).await, Err(KeyError::Taken(_))));
    assert!(keys.revoke(&first.key_id.to_string()).await.unwrap().is_some());
    keys.create("one", rights("read"), None).await.unwrap();
    assert_eq!(keys.list().await.unwrap().len(), 2);
    for name in ["", " a", "a\nb", &Uuid::new_v4().to_string(), &"x".repeat(129)] {
        assert!(matches!(keys.create(name, rights("read"), None).await, Err(KeyError::Name(_))), "{name}");
    }
    assert!(matches!(keys.create("two", Rights::NONE, None).await, Err(KeyError::NoRight)));
    assert!(matches!(keys.create("two", rights("read"), Some(1)).await, Err(KeyError::Expired)));
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_once_a_minute() {
    let keys = Keys::with_revocation_delay(lake().await, Duration::ZERO);
    let (_, secret) = keys.create("used", rights("read"), None).await.unwrap();
    let last_used = async || keys.list().await.unwrap()[0].last_used;
    assert_eq!(last_used().await, None);
    keys.authenticate(secret.reveal()).await.unwrap().unwrap();
    let noted = loop {
        match last_used().await {
            Some(at) => break at,
            None => tokio::task::yield_now().await,
        }
    };
    for _ in 0..5 {
        keys.authenticate(secret.reveal()).await.unwrap().unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(last_used().await, Some(noted));
}

#[tokio::test]
async fn a_store_that_is_down_is_an_error_and_no_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let connection = LakeConnection::open(&LakeOptions::directory(directory.path())).await.unwrap();
    let keys = Keys::new(connection.clone());
    let (_, secret) = keys.create("a", rights("read"), None).await.unwrap();
    connection.close().await;
    assert!(keys.authenticate(secret.reveal()).await.is_err());
}

#[tokio::test]
async fn rules_against_queries_are_kept_in_the_order_they_were_made_in() {
    let connection = lake().await;
    let catalog = connection.catalog();
    let rule = |n: u128| DenyRuleRecord {
        rule_id: Uuid::from_u128(n),
        created: 10 - n as i64,
        created_by: "me".to_owned(),
        reason: "too much".to_owned(),
        match_expr: "client = 'web'".to_owned(),
        last_hit: None,
    };
    for n in [1, 2, 3] {
        assert!(catalog.insert_deny_rule(&rule(n), 3).await.unwrap());
    }
    assert!(!catalog.insert_deny_rule(&rule(4), 3).await.unwrap());
    assert_eq!(catalog.deny_rules(2).await.unwrap(), [rule(3), rule(2)]);
    catalog.touch_deny_rule(Uuid::from_u128(2), 77).await.unwrap();
    assert!(catalog.delete_deny_rule(Uuid::from_u128(3)).await.unwrap());
    assert!(!catalog.delete_deny_rule(Uuid::from_u128(3)).await.unwrap());
    assert_eq!(catalog.deny_rules(10).await.unwrap()[0], DenyRuleRecord { last_hit: Some(77), ..rule(2) });
}
