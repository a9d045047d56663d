//! `belvedere demo`: a server, a program that sends to it, and first answers.

use super::lake::open_for_server;
use super::query::answer;
use super::query_worker::workers;
use super::root::Root;
use super::serve::{Server, Serving, listen, stopped};
use super::source::Source;
use crate::access::Security;
use crate::args::DemoArgs;
use crate::budget::Budget;
use crate::format::Format;
use anyhow::{Context, Result, bail};
use belvedere_core::Lake;
use belvedere_core::isolation::Scratch;
use belvedere_core::lake::MaintenanceConfig;
use belvedere_core::service::QueryLimits;
use belvedere_lake::ingest::IngestLimits;
use belvedere_lake::{BlockFilter, OpenProgress};
use belvedere_model::time::TimeRange;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the demo waits for its first rows.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Blocks that the program sends first: logs, measures, one of the library's own, and spans.
const FIRST_BLOCKS: u32 = 4;

/// Questions and their queries; `{process}` is the id of the demo's program.
const QUERIES: &[(&str, &str)] = &[
    ("Which processes have sent data?", "SELECT exe, computer, start_time FROM processes"),
    #[cfg(feature = "log")]
    (
        "What do they log?",
        "SELECT time, level, property_get(properties, 'wood') AS wood, msg FROM log_entries \
         ORDER BY time DESC LIMIT 8",
    ),
    #[cfg(feature = "metrics")]
    (
        "What do they measure?",
        "SELECT name, unit, count(*) AS count, min(value) AS min, avg(value) AS avg, max(value) AS max \
         FROM measures GROUP BY name, unit ORDER BY count DESC, name LIMIT 8",
    ),
    #[cfg(feature = "spans")]
    (
        "Where does their time go?",
        "SELECT depth, name, count(*) AS calls, sum(duration) / 1e6 AS milliseconds \
         FROM process_spans('{process}', 'thread') WHERE depth > 0 GROUP BY depth, name ORDER BY depth, name",
    ),
];

pub(crate) async fn demo(args: DemoArgs) -> Result<()> {
    let began = belvedere_model::time::now();
    let listener = match args.http {
        Some(address) => {
            if !address.ip().is_loopback() {
                bail!(
                    "other machines can reach {address}, and the demo does not authenticate callers: use a loopback address, \
                     or run 'belvedere serve'"
                );
            }
            listen("http", address).await?
        }
        // the default port may be taken: any other will do
        None => match listen("http", ([127, 0, 0, 1], 9000).into()).await {
            Ok(listener) => listener,
            Err(_) => listen("http", ([127, 0, 0, 1], 0).into()).await?,
        },
    };
    let address = listener.local_addr()?;
    let serving = Serving::start(vec![("http", listener)], None, &OpenProgress::default())?;
    let budget = Budget::new(args.lake.memory(), None);
    let scratch = Arc::new(Scratch::new(args.lake.spill_directory().as_deref())?);
    let lake = open_for_server(&args.lake, &budget, &scratch, &OpenProgress::default()).await?;
    let workers = workers(&args.lake, &budget, scratch)?;
    let root = Root::new(
        true,
        #[cfg(feature = "web")]
        args.web.clone(),
        &serving,
        &lake,
    );
    let page = root.page(false, Some(&address));
    let server = Server::start(
        lake.clone(),
        serving,
        Some(IngestLimits::default()),
        Some((QueryLimits { memory_bytes: budget.operators, ..QueryLimits::default() }, workers)),
        Some(MaintenanceConfig::default()),
        Security::default(),
        root,
    )?;
    let url = format!("http://{}", address);
    note!("listening http {}", address);

    let (stop, stop_received) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = stop_received.await;
    }));
    let mut program = Program::start(&url)?;
    note!("a small instrumented program is sending to {url}\n");
    let outcome = async {
        let process = first_rows(&lake, &mut program, began).await?;
        let source = Source::Lake(lake.clone());
        for (question, sql) in QUERIES {
            let sql = &sql.replace("{process}", &process.to_string());
            writeln!(std::io::stdout(), "-- {question}\n{sql};")?;
            // not the rows of an earlier demo
            let range = TimeRange { begin: Some(began), end: None };
            answer(&source, sql, range, Format::Table, std::io::stdout(), false).await?;
            writeln!(std::io::stdout())?;
        }
        if !args.once {
            say_what_next(&args, &url, process, page.as_deref())?;
            stopped().await;
        }
        Ok(())
    };
    let outcome = outcome.await;
    drop(program);
    let _ = stop.send(());
    serving.await??;
    outcome
}

/// Waits until the program's first blocks are in the lake. Returns its process id.
async fn first_rows(lake: &Lake, program: &mut Program, since: i64) -> Result<Uuid> {
    let filter =
        BlockFilter { inserted: TimeRange { begin: Some(since), end: None }, ..BlockFilter::default() };
    let began = Instant::now();
    loop {
        let blocks = lake.connection().catalog().blocks(&filter, 0, FIRST_BLOCKS).await?;
        if blocks.len() == FIRST_BLOCKS as usize {
            return Ok(blocks[0].info.process_id);
        }
        program.check()?;
        if began.elapsed() > START_TIMEOUT {
            bail!(
                "the demo's program sent nothing for {START_TIMEOUT:?}; run with BELVEDERE_LOG=debug to see more"
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn say_what_next(args: &DemoArgs, url: &str, process: Uuid, page: Option<&str>) -> std::io::Result<()> {
    let program = std::env::args().next().unwrap_or_else(|| "belvedere".to_owned());
    let lake = args.lake.lake.display();
    let trace = if cfg!(feature = "spans") {
        format!("\n  {program} trace {process} --lake {lake} -o demo.pftrace")
    } else {
        String::new()
    };
    writeln!(
        std::io::stdout(),
        "The program keeps sending until you press Ctrl-C. Meanwhile, try these in another terminal:\n\n  \
         {program} sql --lake {lake}\n  \
         {program} query --lake {lake} \"SELECT count(*) FROM log_entries WHERE level <= 3\"\n  \
         {program} schema log_entries{trace}\n\n\
         To see a program of your own, start it with MICROMEGAS_TELEMETRY_URL={url}."
    )?;
    match page {
        Some(page) => writeln!(std::io::stdout(), "\nLook at all of it in a browser: {page}"),
        None => Ok(()),
    }
}

/// The instrumented program; it ends with the demo.
struct Program(Child);

impl Program {
    fn start(url: &str) -> Result<Self> {
        let program = std::env::current_exe().context("the path of this executable is unknown")?;
        Command::new(program)
            .args(["demo-program", url])
            // variables of the environment are meant for other programs
            .env_remove("MICROMEGAS_TELEMETRY_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map(Self)
            .context("the demo program could not be started")
    }

    fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("the demo program ended early: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // it may have exited already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
