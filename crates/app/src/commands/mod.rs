//! The commands, one file each.

#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "demo")]
mod demo_program;
mod faults;
#[cfg(feature = "spans")]
mod flame;
mod fsck;
mod keys;
mod lake;
mod maintain;
mod output;
mod paths;
mod plan;
mod query;
mod query_worker;
mod readiness;
mod root;
mod schema;
mod serve;
#[cfg(feature = "cli-client")]
mod server;
mod source;
#[cfg(feature = "prompt")]
mod sql;
#[cfg(feature = "spans")]
mod trace;
mod views;

use crate::args::Command;

/// Runs one command to its end.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::serve(args).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::demo(args).await,
        #[cfg(feature = "demo")]
        Command::DemoProgram(args) => demo_program::run(&args.url).await,
        Command::Maintain(args) => maintain::maintain(args).await,
        Command::Fsck(args) => fsck::fsck(args).await,
        Command::Query(args) => query::query(args).await,
        #[cfg(feature = "prompt")]
        Command::Sql(args) => sql::sql(args).await,
        #[cfg(feature = "spans")]
        Command::Trace(args) => trace::trace(args).await,
        #[cfg(feature = "spans")]
        Command::Flame(args) => flame::flame(args).await,
        Command::Views(args) => views::views(args).await,
        Command::Plan(args) => plan::plan(args).await,
        Command::Schema(args) => schema::schema(args),
        Command::Keys(args) => keys::keys(args).await,
        Command::QueryWorker => query_worker::run().await,
    }
}
