//! `jsonb_each(j)` and `jsonb_array_elements(j)`

use crate::arg_column::ArgColumn;
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::{
    Array, ArrayBuilder, ArrayRef, BinaryBuilder, BinaryViewArray, ListArray, RecordBatch, StringBuilder,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use belvedere_core::query::Argument;
use belvedere_model::jsonb::Jsonb;
use belvedere_view::JSONB;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::sync::Arc;

/// Rows of a batch, give or take the members of one value.
const ROWS: usize = 8192;

/// The functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Members {
    /// `jsonb_each`
    OfAll,
    /// `jsonb_array_elements`
    OfArrays,
}

impl Members {
    fn name(self) -> &'static str {
        match self {
            Self::OfAll => "jsonb_each",
            Self::OfArrays => "jsonb_array_elements",
        }
    }

    fn schema(self) -> SchemaRef {
        let value = Field::new("value", DataType::Binary, false)
            .with_metadata(HashMap::from([(JSONB.to_owned(), "true".to_owned())]));
        Arc::new(Schema::new(match self {
            Self::OfAll => vec![Field::new("key", DataType::Utf8, false), value],
            Self::OfArrays => vec![value],
        }))
    }

    /// What makes a list of the rows of a value that stands in a column.
    fn lists(self) -> ScalarFunction {
        let (name, parameters) = (self.name(), &[("j", Kind::Jsonb)]);
        match self {
            Self::OfAll => ScalarFunction {
                name,
                parameters,
                result: |_| Self::OfAll.list_type(),
                evaluate: |inputs, _| Self::OfAll.list_rows(&inputs[0]),
            },
            Self::OfArrays => ScalarFunction {
                name,
                parameters,
                result: |_| Self::OfArrays.list_type(),
                evaluate: |inputs, _| Self::OfArrays.list_rows(&inputs[0]),
            },
        }
    }

    /// The columns, where they may be NULL: a LEFT JOIN has rows without any.
    fn nullable_schema(self) -> SchemaRef {
        let fields =
            self.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Fields>();
        Arc::new(Schema::new(fields))
    }

    fn list_item(self) -> Arc<Field> {
        Arc::new(Field::new_list_field(DataType::Struct(self.nullable_schema().fields().clone()), true))
    }

    fn list_type(self) -> DataType {
        DataType::List(self.list_item())
    }

    fn list_rows(self, input: &ArgColumn) -> Result<ArrayRef> {
        let mut out = Builders::default();
        let (mut lengths, mut are_there) = (Vec::new(), Vec::new());
        for value in input.bytes()?.iter() {
            let before = out.values.len();
            if let Some(value) = value {
                out.append(self, value).ok_or_else(|| self.wrong_kind())?;
            }
            lengths.push(out.values.len() - before);
            are_there.push(value.is_some());
        }
        let structs = StructArray::try_new(self.nullable_schema().fields().clone(), out.columns(self), None)?;
        let lists = ListArray::try_new(
            self.list_item(),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(structs),
            Some(NullBuffer::from(are_there)),
        )?;
        input.scatter(Arc::new(lists))
    }

    fn wrong_kind(self) -> DataFusionError {
        let wanted = match self {
            Self::OfAll => "a JSONB object or array",
            Self::OfArrays => "a JSONB array",
        };
        DataFusionError::Execution(format!("{}: input is not {wanted}", self.name()))
    }
}

impl TableFunctionImpl for Members {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let name = self.name();
        let [argument] = args.exprs() else {
            return Err(DataFusionError::Plan(format!(
                "{name} takes one JSONB argument, not {}",
                args.exprs().len()
            )));
        };
        let what = format!("argument of {name}");
        let (lists, schema) = (self.lists().into_udf(), self.nullable_schema());
        if let Some(table) = Argument::table_of_columns(argument, &what, lists, schema)? {
            return Ok(table);
        }
        let argument = Argument::new(argument, &what)?;
        let found = argument.data_type();
        if !Kind::Jsonb.accepts(found) {
            return Err(DataFusionError::Plan(format!(
                "{name} takes JSONB (jsonb_parse converts text), not {found}"
            )));
        }
        Ok(Arc::new(MembersTable { members: *self, schema: self.schema(), argument }))
    }
}

#[derive(Debug)]
struct MembersTable {
    members: Members,
    schema: SchemaRef,
    argument: Argument,
}

#[async_trait]
impl TableProvider for MembersTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let argument = self.argument.plan(state).await?;
        let rows = MembersRows { members: self.members, schema: self.schema.clone(), argument };
        StreamingTable::try_new(self.schema.clone(), vec![Arc::new(rows)])?
            .scan(state, projection, &[], limit)
            .await
    }
}

#[derive(Debug)]
struct MembersRows {
    members: Members,
    schema: SchemaRef,
    argument: Arc<dyn ExecutionPlan>,
}

impl PartitionStream for MembersRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (members, schema) = (self.members, self.schema.clone());
        let batches = match execute_stream(self.argument.clone(), context) {
            Ok(values) => values
                .map(move |batch| Expansion::new(members, schema.clone(), &batch?))
                .map_ok(stream::iter)
                .try_flatten()
                .boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

/// The members of the values of one batch, some values at a time.
struct Expansion {
    members: Members,
    schema: SchemaRef,
    input: ArgColumn,
    values: BinaryViewArray,
    rows: usize,
    next: usize,
}

impl Expansion {
    fn new(members: Members, schema: SchemaRef, batch: &RecordBatch) -> Result<Self> {
        let column = Argument::column(batch)?;
        let input = ArgColumn::from_array(column)?;
        let values = input.bytes()?;
        Ok(Self { members, schema, input, values, rows: column.len(), next: 0 })
    }

    fn some(&mut self) -> Result<RecordBatch> {
        let mut out = Builders::default();
        while self.next < self.rows && out.values.len() < ROWS {
            let place = self.input.value_index(self.next).filter(|place| self.values.is_valid(*place));
            self.next += 1;
            if let Some(place) = place {
                out.append(self.members, self.values.value(place))
                    .ok_or_else(|| self.members.wrong_kind())?;
            }
        }
        Ok(RecordBatch::try_new(self.schema.clone(), out.columns(self.members))?)
    }
}

impl Iterator for Expansion {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.rows {
            return None;
        }
        let batch = self.some();
        if batch.is_err() {
            self.next = self.rows;
        }
        Some(batch)
    }
}

/// Columns under construction.
#[derive(Default)]
struct Builders {
    keys: StringBuilder,
    values: BinaryBuilder,
}

impl Builders {
    fn columns(&mut self, members: Members) -> Vec<ArrayRef> {
        let values: ArrayRef = Arc::new(self.values.finish());
        match members {
            Members::OfAll => vec![Arc::new(self.keys.finish()), values],
            Members::OfArrays => vec![values],
        }
    }

    /// `None` if the value is not of the kind that is wanted.
    fn append(&mut self, members: Members, bytes: &[u8]) -> Option<()> {
        let value = Jsonb::new(bytes)?.raw();
        if let Some(elements) = value.array_values().ok()? {
            for (place, element) in elements.into_iter().enumerate() {
                if members == Members::OfAll {
                    self.keys.append_value(place.to_string());
                }
                self.values.append_value(element.as_raw());
            }
            return Some(());
        }
        if members == Members::OfArrays {
            return None;
        }
        for (name, member) in value.object_each().ok()?? {
            self.keys.append_value(name);
            self.values.append_value(member.as_raw());
        }
        Some(())
    }
}
