//! The steps of a run, and what is looked at after each.

use super::Run;
use super::ledger::{Answer, Ledger, Table};
use super::programs::{NUMBERS, Programs};
use super::world::{Backends, World};
use crate::faults::{Fault, FaultRates};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use belvedere_core::Lake;
use belvedere_core::lake::{Keep, Retention};
use belvedere_lake::with_causes;
use belvedere_model::time::{TimeRange, now};
use futures::future::join_all;
use futures::{FutureExt, TryStreamExt};
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What happens in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    /// Messages are sent, side by side or one after the other.
    Send {
        messages: Vec<Message>,
        at_once: bool,
    },
    /// Everything is materialized and merged.
    Maintain,
    /// Two programs do so at once.
    MaintainTwice,
    /// Partitions of a table become larger ones.
    Merge(Table),
    /// Partitions of a table are made of all blocks.
    Fill(Table),
    /// Partitions of a table are taken away by SQL, or made anew.
    Retire(Table),
    Regenerate(Table),
    /// Retention, of what was received before a moment or is too large; of partitions too, or of blocks alone.
    Expire {
        moment: Option<i64>,
        bytes: u64,
        with_rows: bool,
    },
    /// A check, which repairs.
    Repair,
    /// A table is asked for while requests fail.
    Ask(Table),
    /// The program ends and begins again; well, suddenly, by a power cut or without its catalog.
    Restart,
    Crash,
    CutPower,
    LoseCatalog,
    /// An object is deleted, cut, or changed for good.
    DamagePartition {
        is_cut: bool,
    },
    DamageRecords,
    /// Objects become two days older.
    Pass,
    /// All objects that are said not to be there are there again.
    Heal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Process(usize),
    Stream(usize),
    Block(usize),
}

const ALWAYS: &str = "'2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z'";
/// Steps of a run, apart from the last ones.
const STEPS: usize = 30;

impl Run {
    /// Goes through all steps.
    pub(super) async fn live(&mut self) -> Result<(), String> {
        self.world.open().await.map_err(|e| format!("the lake can't be opened: {e}"))?;
        for _ in 0..STEPS {
            let action = self.choose();
            self.step(action).await?;
            if self.random.chance(30) {
                self.world.take_snapshot()?;
            }
        }
        self.end_well().await?;
        self.world.close(false).await;
        Ok(())
    }

    fn choose(&mut self) -> Action {
        let is_directory = self.world.backends == Backends::Directory;
        loop {
            let table = self.choose_table();
            let has_lost_blocks = self.ledger().has_lost_blocks();
            return match self.random.below(100) {
                0..=29 => self.choose_messages(),
                30..=41 => Action::Maintain,
                42..=44 => Action::MaintainTwice,
                45..=49 => Action::Merge(table),
                50..=54 => Action::Fill(table),
                55..=57 => Action::Retire(table),
                58..=60 => Action::Regenerate(table),
                61..=66 => self.choose_retention(),
                67..=71 => Action::Repair,
                72..=78 => Action::Ask(table),
                79..=80 => Action::Restart,
                81..=84 => Action::Crash,
                85..=87 if is_directory && !self.is_damaged => Action::CutPower,
                // what retention took can't be told from what is lost
                88..=89 if is_directory && !self.is_damaged && !has_lost_blocks => Action::LoseCatalog,
                // rows that only a partition has would be lost
                90..=92 if !has_lost_blocks && !self.is_damaged => {
                    Action::DamagePartition { is_cut: self.random.chance(50) }
                }
                93 => Action::DamageRecords,
                94..=96 => Action::Pass,
                97..=98 => Action::Heal,
                _ => continue,
            };
        }
    }

    fn choose_table(&mut self) -> Table {
        let process = self.random.below(self.programs.processes.len());
        match self.random.below(6) {
            0 | 1 => Table::Ticks,
            2 | 3 => Table::Stats,
            4 => Table::OfProcess(process),
            _ => Table::Chained(process),
        }
    }

    /// A few messages, those first that are first in their streams, more or less; and some that were sent before.
    fn choose_messages(&mut self) -> Action {
        let mut left = self.unsent(false);
        left.truncate(12);
        let mut again = self.unsent(true);
        let mut messages = Vec::new();
        for _ in 0..1 + self.random.below(8) {
            let from = if self.random.chance(85) { &mut left } else { &mut again };
            messages.extend(self.random.take(from));
        }
        Action::Send { messages, at_once: self.random.chance(60) }
    }

    /// Messages without a 200 so far, or those with one.
    fn unsent(&self, is_acknowledged: bool) -> Vec<Message> {
        let ledger = self.ledger();
        let processes = (0..self.programs.processes.len()).map(Message::Process);
        let streams = (0..self.programs.streams.len()).map(Message::Stream);
        let blocks = (0..self.programs.blocks.len()).map(Message::Block);
        let announcements = processes.chain(streams).filter(|m| ledger.is_done(*m) == is_acknowledged);
        let blocks = blocks.filter(|m| ledger.is_done(*m) == is_acknowledged);
        // announcements may come late
        let blocks: Vec<Message> = blocks.collect();
        let mut all: Vec<Message> = announcements.collect();
        all.extend(blocks);
        all
    }

    fn choose_retention(&mut self) -> Action {
        let moment = match self.random.below(3) {
            0 => Some(i64::MAX),
            1 if !self.moments.is_empty() => Some(self.moments[self.random.below(self.moments.len())]),
            _ => None,
        };
        let bytes = if moment.is_none() { self.random.below(2000) as u64 } else { u64::MAX };
        Action::Expire { moment, bytes, with_rows: self.random.chance(25) }
    }

    async fn step(&mut self, action: Action) -> Result<(), String> {
        self.summary.steps += 1;
        self.moments.push(now());
        let rates = match self.random.below(4) {
            0 => FaultRates::NONE,
            1 => FaultRates { per_mille: 15, kinds: Fault::ALL },
            2 => FaultRates { per_mille: 80, kinds: Fault::ALL },
            _ => FaultRates { per_mille: 60, kinds: &[Fault::Before, Fault::NotFound, Fault::Slow] },
        };
        self.trace.push(format!("{}: {action:?}", self.summary.steps));
        self.faults.begin_step(rates);
        let pick = self.random.next();
        let outcome = {
            let did = act(&self.world, &self.programs, &self.ledger, &action);
            let did = AssertUnwindSafe(did).catch_unwind();
            tokio::select! {
                biased;
                did = did => Some(did.map_err(|_| "it panicked".to_owned())?),
                () = self.faults.struck() => None,
            }
        };
        self.faults.end_step();
        let faults = self.faults.trace();
        self.summary.faults += faults.len() as u64;
        self.trace.extend(faults.into_iter().map(|fault| format!("    {fault}")));
        let is_done = matches!(outcome, Some(Ok(_)));
        let asked = match outcome {
            Some(Ok(asked)) => asked,
            Some(Err(e)) => {
                self.trace.push(format!("    failed: {e}"));
                None
            }
            None => {
                self.trace.push("    given up".to_owned());
                None
            }
        };
        if let Action::Expire { moment, with_rows, .. } = &action {
            let before = moment.map_or(i64::MAX, |moment| moment.saturating_add(now() - self.moment()));
            self.ledger().may_have_expired(before, *with_rows);
        }
        let is_maintained = matches!(action, Action::Maintain | Action::MaintainTwice) && is_done;
        self.has_files_in_doubt =
            self.faults.has_objects_away() || (self.has_files_in_doubt && !is_maintained);
        if let Some((table, answer)) = asked {
            self.compare(table, &answer, true)?;
        }
        self.change_world(&action, pick).await?;
        if action == Action::Repair && rates.per_mille == 0 {
            self.has_damaged_files = false;
        }
        self.look().await
    }

    /// When the step began.
    fn moment(&self) -> i64 {
        self.moments.last().copied().unwrap_or_default()
    }

    /// What happens outside of the program.
    async fn change_world(&mut self, action: &Action, pick: u64) -> Result<(), String> {
        match action {
            Action::Pass => self.faults.pass(2 * 24 * 3600),
            Action::Heal => self.faults.heal(),
            Action::DamagePartition { is_cut } => {
                let change = |bytes: &mut Vec<u8>| {
                    bytes.truncate(bytes.len() / 2);
                    *is_cut
                };
                self.has_damaged_files |= self.world.damage("partitions", pick, change).await?;
            }
            Action::DamageRecords => {
                let change = |bytes: &mut Vec<u8>| {
                    let place = (pick >> 20) as usize % bytes.len().max(1);
                    bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (pick % 8));
                    true
                };
                self.is_damaged |= self.world.damage("records", pick >> 8, change).await?;
                self.ledger().forget_seen();
            }
            _ => {}
        }
        let is_crash = matches!(action, Action::Crash | Action::CutPower | Action::LoseCatalog);
        if is_crash || *action == Action::Restart || self.faults.has_ended() {
            let is_crash = is_crash || self.faults.has_ended();
            self.summary.crashes += u64::from(is_crash);
            self.world.close(is_crash).await;
            match action {
                Action::CutPower => self.world.cut_power(pick)?,
                Action::LoseCatalog => self.world.delete_catalog()?,
                _ => {}
            }
            self.has_damaged_files = false;
        }
        if !self.world.is_open() {
            self.reopen().await?;
        }
        Ok(())
    }

    /// Opens the lake again: first while requests fail, then without.
    async fn reopen(&mut self) -> Result<(), String> {
        for per_mille in [100, 0] {
            if per_mille == 0 {
                self.faults.heal();
            }
            self.faults.begin_step(FaultRates { per_mille, kinds: Fault::ALL });
            let faults = self.faults.clone();
            let opened = tokio::select! {
                biased;
                opened = self.world.open() => opened,
                () = faults.struck() => Err("given up".to_owned()),
            };
            self.faults.end_step();
            self.trace.extend(self.faults.trace().into_iter().map(|fault| format!("    opening: {fault}")));
            match opened {
                Ok(()) if !self.faults.has_ended() => return Ok(()),
                Ok(()) => self.trace.push("    opened, and ended".to_owned()),
                Err(e) if per_mille == 0 => return Err(format!("the lake can't be opened again: {e}")),
                Err(e) => self.trace.push(format!("    not opened: {e}")),
            }
            self.world.close(true).await;
        }
        Ok(())
    }

    /// Asks all tables while nothing fails.
    async fn look(&mut self) -> Result<(), String> {
        let mut tables = vec![Table::Ticks, Table::Stats];
        let process = self.random.below(self.programs.processes.len());
        if self.ledger().knows_process(process) {
            tables.extend([Table::OfProcess(process), Table::Chained(process)]);
        }
        for table in tables {
            let asked = AssertUnwindSafe(ask(self.world.lake()?, &self.programs, table)).catch_unwind().await;
            match asked.map_err(|_| format!("a query of {table:?} panicked"))? {
                Ok(answer) => self.compare(table, &answer, false)?,
                // a file that can't be read makes a query fail, which is not silent
                Err(_) if self.faults.has_objects_away() || self.has_damaged_files => {}
                Err(e) => return Err(format!("{table:?} can't be asked for: {e}")),
            }
        }
        Ok(())
    }

    fn compare(&mut self, table: Table, answer: &Answer, while_failing: bool) -> Result<(), String> {
        self.summary.answers += 1;
        let is_in_doubt = self.has_files_in_doubt && self.is_damaged;
        let may_lack = while_failing || is_in_doubt || self.faults.has_objects_away();
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).check(
            &self.programs,
            table,
            answer,
            may_lack,
        )
    }

    /// Nothing fails any more: all is sent, all is made, and nothing may be missing.
    async fn end_well(&mut self) -> Result<(), String> {
        self.faults.heal();
        self.trace.push("all is sent, and nothing fails".to_owned());
        let messages = self.unsent(false);
        act(&self.world, &self.programs, &self.ledger, &Action::Send { messages, at_once: false }).await?;
        self.has_damaged_files = false;
        for _ in 0..2 {
            let repaired = act(&self.world, &self.programs, &self.ledger, &Action::Repair).await;
            repaired.map_err(|e| format!("a repair fails although nothing else does: {e}"))?;
            let made = act(&self.world, &self.programs, &self.ledger, &Action::Maintain).await;
            if let Err(e) = made
                && !self.is_damaged
            {
                return Err(format!("maintenance fails although nothing else does: {e}"));
            }
            self.has_files_in_doubt = false;
            self.look().await?;
        }
        if self.is_damaged {
            return Ok(());
        }
        let lake = self.world.lake()?;
        let report =
            lake.check_and_tell(None, false, false, &|_, _| ()).await.map_err(|e| with_causes(&e))?;
        if let Some(finding) = report.findings.iter().find(|f| !f.is_repaired) {
            return Err(format!("a check finds something in the end: {}", finding.text));
        }
        for table in [Table::Ticks, Table::Stats] {
            let answer = ask(lake, &self.programs, table).await?;
            if answer.faults > 0 {
                return Err(format!("{table:?} says in the end that {} blocks are missing", answer.faults));
            }
        }
        Ok(())
    }
}

impl Ledger {
    fn is_done(&self, message: Message) -> bool {
        match message {
            Message::Process(process) => self.knows_process(process),
            Message::Stream(stream) => self.knows_stream(stream),
            Message::Block(block) => self.is_acknowledged(block),
        }
    }
}

type Asked = Option<(Table, Answer)>;

/// Does what the program does in a step. What was asked for is returned.
async fn act(
    world: &World,
    programs: &Programs,
    ledger: &Mutex<Ledger>,
    action: &Action,
) -> Result<Asked, String> {
    let lake = world.lake()?;
    let words = |e: belvedere_core::Error| with_causes(&e);
    match action {
        Action::Send { messages, at_once: true } => {
            let sent = join_all(messages.iter().map(|m| send(lake, programs, ledger, *m))).await;
            sent.into_iter().collect::<Result<(), _>>()?;
        }
        Action::Send { messages, .. } => {
            let mut outcome = Ok(());
            for message in messages {
                outcome = send(lake, programs, ledger, *message).await.and(outcome);
            }
            outcome?;
        }
        Action::Maintain => maintain(lake, &Retention::default()).await?,
        Action::MaintainTwice => {
            let other = world.another(true).await?;
            let all = Retention::default();
            let (first, second) = tokio::join!(maintain(lake, &all), maintain(&other, &all));
            other.close().await;
            first.and(second)?;
        }
        Action::Merge(table) => {
            let (set, instance) = table.names(programs);
            lake.instance_partitions(set, &instance).map_err(words)?.merge().await.map_err(words)?;
        }
        Action::Fill(table) => {
            let (set, instance) = table.names(programs);
            let kept = lake.instance_partitions(set, &instance).map_err(words)?;
            kept.fill(kept.blocks().await.map_err(words)?).await.map_err(words)?;
        }
        Action::Retire(table) => {
            let (set, instance) = table.names(programs);
            sql(lake, &format!("SELECT * FROM retire_partitions('{set}', '{instance}', {ALWAYS})")).await?;
        }
        Action::Regenerate(table) => {
            let (set, _) = table.names(programs);
            let regenerate = format!("SELECT * FROM regenerate_partitions('{set}', {ALWAYS}, 2524608000)");
            sql(lake, &regenerate).await?;
        }
        Action::Expire { moment, bytes, with_rows } => {
            let age = moment.map(|moment| Duration::from_nanos((now().saturating_sub(moment)).max(0) as u64));
            let keep = Keep { age, bytes: (*bytes < u64::MAX).then_some(*bytes) };
            let views = if *with_rows { keep } else { Keep::default() };
            maintain(lake, &Retention { blocks: keep, views, ..Retention::default() }).await?;
        }
        Action::Repair => {
            lake.check_and_tell(None, true, false, &|_, _| ()).await.map_err(words)?;
        }
        Action::Ask(table) => return Ok(Some((*table, ask(lake, programs, *table).await?))),
        // done to the program, not by it
        Action::Restart
        | Action::Crash
        | Action::CutPower
        | Action::LoseCatalog
        | Action::DamagePartition { .. }
        | Action::DamageRecords
        | Action::Pass
        | Action::Heal => {}
    }
    Ok(None)
}

async fn send(
    lake: &Lake,
    programs: &Programs,
    ledger: &Mutex<Ledger>,
    message: Message,
) -> Result<(), String> {
    let connection = lake.connection();
    let known = || ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let sent = match message {
        Message::Process(process) => connection.insert_process(programs.processes[process].clone()).await,
        Message::Stream(stream) => connection.insert_stream(programs.streams[stream].clone().into()).await,
        Message::Block(block) => {
            known().block_sent(block, now());
            connection.insert_block(programs.blocks[block].request.clone()).await
        }
    };
    sent.map_err(|e| with_causes(&e))?;
    match message {
        Message::Process(process) => known().process_acknowledged(process),
        Message::Stream(stream) => known().stream_acknowledged(stream),
        Message::Block(block) => known().block_acknowledged(block),
    }
    Ok(())
}

async fn maintain(lake: &Lake, retention: &Retention) -> Result<(), String> {
    let failed = Mutex::new(String::new());
    let listen = |progress| {
        if let belvedere_core::lake::Progress::Failed { instance, reason } = progress {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = format!("{instance}: {reason}");
        }
    };
    match lake.maintain_once(retention, &listen).await {
        Ok(0) => Ok(()),
        Ok(count) => {
            let why = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
            Err(format!("{count} instances failed, {why}"))
        }
        Err(e) => Err(with_causes(&e)),
    }
}

async fn sql(lake: &Lake, sql: &str) -> Result<(), String> {
    lake.sql(sql).await.map(drop).map_err(|e| with_causes(&e))
}

impl Table {
    /// View set and instance.
    fn names(self, programs: &Programs) -> (&'static str, String) {
        match self {
            Self::Ticks => ("ticks", "global".to_owned()),
            Self::Stats => ("tick_stats", "global".to_owned()),
            Self::OfProcess(process) => ("ticks", programs.process_id(process).to_string()),
            Self::Chained(process) => ("chained_ticks", programs.process_id(process).to_string()),
        }
    }
}

/// Asks for a table by SQL: how many rows of which blocks.
async fn ask(lake: &Lake, programs: &Programs, table: Table) -> Result<Answer, String> {
    let (set, instance) = table.names(programs);
    let sql = match table {
        Table::Stats => "SELECT CAST(max(greatest) AS BIGINT), CAST(sum(ticks) AS BIGINT) FROM tick_stats \
                         GROUP BY bin, process_id"
            .to_owned(),
        Table::Ticks => "SELECT number, CAST(1 AS BIGINT) FROM ticks".to_owned(),
        _ => format!("SELECT number, CAST(1 AS BIGINT) FROM view_instance('{set}', '{instance}')"),
    };
    let result = lake.query(&sql, TimeRange::ALL).await.map_err(|e| with_causes(&e))?;
    let report = result.report.clone();
    let batches: Vec<_> = result.rows.try_collect().await.map_err(|e| e.to_string())?;
    let mut answer = Answer::default();
    for batch in &batches {
        let columns = [0, 1].map(|i| batch.column(i).as_primitive::<Int64Type>());
        for (number, count) in columns[0].values().iter().zip(columns[1].values()) {
            *answer.rows.entry(*number as usize / NUMBERS).or_default() += *count as usize;
        }
    }
    answer.faults = report.fault_count();
    Ok(answer)
}
