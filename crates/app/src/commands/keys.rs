//! `belvedere keys`

use super::lake::connect_existing;
use crate::args::{CreateKeyArgs, KeysAction, KeysArgs, ListKeysArgs, RevokeKeyArgs};
use crate::format::RowWriter;
use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use belvedere_lake::access::{ApiKey, Keys};
use belvedere_model::time::{now, to_rfc3339};
use std::io::Write;
use std::sync::Arc;

pub(crate) async fn keys(args: KeysArgs) -> Result<()> {
    match args.action {
        KeysAction::Create(args) => create(args).await,
        KeysAction::List(args) => list(args).await,
        KeysAction::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: CreateKeyArgs) -> Result<()> {
    let expires = match args.expires {
        Some(age) => {
            let at = i64::try_from(age.as_nanos()).ok().and_then(|age| now().checked_add(age));
            Some(at.context("--expires is too far in the future")?)
        }
        None => None,
    };
    let connection = connect_existing(&args.lake).await?;
    let made = Keys::new(connection.clone()).create(&args.name, args.rights, expires).await;
    connection.close().await;
    let (key, secret) = made?;
    let until = key.expires.map_or_else(|| "it is revoked".to_owned(), to_rfc3339);
    note!(
        "created the key '{}' ({}) with the rights {}, valid until {until}; it is shown only once:",
        key.name,
        key.key_id,
        key.rights
    );
    let mut output = std::io::stdout();
    writeln!(output, "{}", secret.reveal())?;
    Ok(output.flush()?)
}

async fn list(args: ListKeysArgs) -> Result<()> {
    let connection = connect_existing(&args.lake).await?;
    let keys = Keys::new(connection.clone()).list().await;
    connection.close().await;
    let keys = keys?;
    let at = now();
    let texts = |text: &dyn Fn(&ApiKey) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(keys.iter().map(text)))
    };
    let times = |time: &dyn Fn(&ApiKey) -> Option<i64>| -> ArrayRef {
        let times: TimestampNanosecondArray = keys.iter().map(time).collect();
        Arc::new(times.with_timezone("+00:00"))
    };
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("name", texts(&|key| key.name.clone()), false),
        ("state", texts(&|key| state(key, at).to_owned()), false),
        ("rights", texts(&|key| key.rights.to_string()), false),
        ("key_id", texts(&|key| key.key_id.to_string()), false),
        ("created", times(&|key| Some(key.created)), false),
        ("expires", times(&|key| key.expires), true),
        ("revoked", times(&|key| key.revoked), true),
        ("last_used", times(&|key| key.last_used), true),
    ])?;
    let mut writer = RowWriter::new(args.format, std::io::stdout(), rows.schema())?;
    writer.write(&rows)?;
    writer.finish()
}

fn state(key: &ApiKey, at: i64) -> &'static str {
    match (key.is_live(at), key.revoked) {
        (true, _) => "live",
        (false, Some(_)) => "revoked",
        (false, None) => "expired",
    }
}

async fn revoke(args: RevokeKeyArgs) -> Result<()> {
    let connection = connect_existing(&args.lake).await?;
    let revoked = Keys::new(connection.clone()).revoke(&args.key).await;
    connection.close().await;
    match revoked? {
        Some(key) => {
            note!(
                "revoked the key '{}' ({}): servers refuse it within {} seconds",
                key.name,
                key.key_id,
                Keys::MAX_REVOCATION_DELAY.as_secs()
            );
            Ok(())
        }
        None => bail!("no key '{}' to revoke: 'belvedere keys list' lists all keys", args.key),
    }
}
