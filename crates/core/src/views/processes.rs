//! `processes`: one row for each process that was announced.

use super::blocks::{parent_text, times};
use super::global_view_maker;
use crate::error::Result;
use crate::query::{Maker, Page, PagedSource, QueryContext};
use crate::scan::Conditions;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampNanosecondArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_lake::{ProcessActivity, ProcessFilter};
use belvedere_model::ProcessInfo;
use belvedere_view::properties::to_list;
use belvedere_view::{Column, Instances, Role, Unit, ViewSet};
use std::sync::Arc;
use uuid::Uuid;

belvedere_view::register_view_set! {
    ViewSet::new("processes")
        .about("Processes: runs of instrumented programs")
        .columns(&[
            Column::utf8("process_id", "id of the process, chosen by the process").role(Role::Process),
            Column::utf8("exe", "executable, with its path if the client knows it").role(Role::Name),
            Column::utf8("username", "login name of the user who ran the process"),
            Column::utf8("realname", "full name of the user who ran the process"),
            Column::utf8("computer", "machine that the process ran on"),
            Column::utf8("distro", "operating system of the machine"),
            Column::utf8("cpu_brand", "CPU of the machine"),
            Column::int64("tsc_frequency", "ticks per second; 0 if unknown").unit(Unit::Hertz),
            Column::time("start_time", "start of the process").event_begin(),
            Column::int64("start_ticks", "tick count at the start of the process"),
            Column::time("insert_time", "when the server received it"),
            Column::utf8("parent_process_id", "parent process, if it is instrumented; empty if unknown").role(Role::Process),
            Column::property_list("properties", "properties set by the program and its client library"),
            Column::time("last_update_time", "when the server received the latest block; NULL without blocks")
                .nullable(),
            Column::int64(
                "last_block_end_ticks",
                "end of the last block, in ticks since the start of the process; NULL without blocks",
            )
            .nullable(),
            Column::time("last_block_end_time", "end of the last block; NULL without blocks")
                .nullable()
                .event_end(),
        ])
        .instances(Instances::Global)
        .depends_on(&["blocks"])
        .made_by_maker()
        .example("SELECT exe, computer, start_time, last_block_end_time FROM processes ORDER BY start_time DESC")
}

crate::register_maker! {
    Maker::new("processes", |context| Ok(global_view_maker(&context, Processes)))
}

#[derive(Debug)]
struct Processes;

#[async_trait]
impl PagedSource for Processes {
    type Cursor = Uuid;

    async fn page(
        &self,
        context: &QueryContext,
        conditions: &Conditions,
        after: Option<Uuid>,
        limit: u32,
        schema: &SchemaRef,
    ) -> Result<Page<Uuid>> {
        let filter = ProcessFilter { process_id: conditions.uuid("process_id"), active: context.range() };
        let processes = context.connection().catalog().processes(&filter, after, limit).await?;
        let next = (processes.len() == limit as usize)
            .then(|| processes.last().map(|(p, _)| p.process_id))
            .flatten();
        Ok(Page { rows: rows(&processes, schema)?, next })
    }
}

fn rows(processes: &[(ProcessInfo, ProcessActivity)], schema: &SchemaRef) -> Result<RecordBatch> {
    let texts = |f: &dyn Fn(&ProcessInfo) -> String| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(processes.iter().map(|(p, _)| f(p))))
    };
    let int64s = |f: &dyn Fn(&ProcessInfo) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(processes.iter().map(|(p, _)| f(p))))
    };
    let last_times = |f: &dyn Fn(&ProcessActivity) -> Option<i64>| -> ArrayRef {
        let values = processes.iter().map(|(_, a)| f(a));
        Arc::new(TimestampNanosecondArray::from_iter(values).with_timezone("+00:00"))
    };
    let columns: Vec<ArrayRef> = vec![
        texts(&|p| p.process_id.to_string()),
        texts(&|p| p.exe.clone()),
        texts(&|p| p.username.clone()),
        texts(&|p| p.realname.clone()),
        texts(&|p| p.computer.clone()),
        texts(&|p| p.distro.clone()),
        texts(&|p| p.cpu_brand.clone()),
        int64s(&|p| p.tsc_frequency),
        times(processes.iter().map(|(p, _)| p.start_time)),
        int64s(&|p| p.start_ticks),
        times(processes.iter().map(|(p, _)| p.insert_time)),
        texts(&|p| parent_text(p.parent_process_id)),
        to_list(processes.iter().map(|(p, _)| p.properties.as_slice())),
        last_times(&|a| a.last_update_time),
        Arc::new(Int64Array::from_iter(processes.iter().map(|(_, a)| a.last_block_end_ticks))),
        last_times(&|a| a.last_block_end_time),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
