//! From flags to a connection.

use crate::args::ServerArgs;
use anyhow::{Context, Result};
use belvedere_flight_sql::client::{Client, ClientOptions};

/// Connects to the server that the flags name.
pub(crate) async fn connect(url: &str, args: &ServerArgs) -> Result<Client> {
    let ca_certificate = match &args.tls_ca {
        Some(path) => Some(std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?),
        None => None,
    };
    let options = ClientOptions {
        // an empty variable counts as unset
        api_key: args.api_key.clone().filter(|key| !key.is_empty()),
        ca_certificate,
        client_type: "cli".to_owned(),
    };
    Ok(Client::connect(url, &options).await?)
}
