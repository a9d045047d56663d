//! The source of a command: a lake or a server.

use super::LakeArgs;
use clap::{ArgMatches, Args, FromArgMatches};
#[cfg(feature = "cli-client")]
use std::path::PathBuf;

/// The source of answers: a lake in this process, or a server.
#[derive(Debug, Clone)]
pub(crate) struct SourceArgs {
    pub(crate) lake: LakeArgs,
    #[cfg(feature = "cli-client")]
    pub(crate) server: ServerArgs,
}

/// A server to query instead of a lake in this process.
#[cfg(feature = "cli-client")]
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// Query a server over FlightSQL instead of opening the lake: grpc://host:50051, or grpc+tls://… if it uses TLS.
    /// An explicit --lake takes precedence over the variable.
    #[arg(long, value_name = "URL", env = "BELVEDERE_URL")]
    pub(crate) url: Option<String>,
    /// API key for the server, or token from an identity provider
    #[arg(long, value_name = "KEY", env = "BELVEDERE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// PEM file with the CA certificate that signed the server's certificate [default: the system's CA certificates]
    #[arg(long, value_name = "FILE", env = "BELVEDERE_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,
}

impl Args for SourceArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = LakeArgs::augment_args(command);
        #[cfg(feature = "cli-client")]
        let command = ServerArgs::augment_args(command);
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            lake: LakeArgs::from_arg_matches(matches)?,
            #[cfg(feature = "cli-client")]
            server: server(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The server to query, if one is given. Flags take precedence over variables, so with both variables set a flag still
/// chooses. Both flags together are an error.
#[cfg(feature = "cli-client")]
fn server(matches: &ArgMatches) -> Result<ServerArgs, clap::Error> {
    let is_typed = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    let typed = ["lake", "database", "objects"].into_iter().find(|name| is_typed(name));
    let mut server = ServerArgs::from_arg_matches(matches)?;
    // an empty variable is an unset one
    server.url = server.url.filter(|url| !url.is_empty());
    match typed {
        Some(name) if is_typed("url") => Err(clap::Error::raw(
            clap::error::ErrorKind::ArgumentConflict,
            format!("--url connects to a server, and --{name} opens a lake: use only one of them\n"),
        )),
        Some(_) => Ok(ServerArgs { url: None, ..server }),
        None => Ok(server),
    }
}
