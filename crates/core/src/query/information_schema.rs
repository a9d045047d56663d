//! `information_schema`, `DESCRIBE` and `SHOW COLUMNS` as the engine has them, with what is documented of views: the
//! types that clients see, and descriptions.
//!
//! The engine's own schema can't be added to while it is switched on: it goes before one of that name in the catalog.
//! So it is off, and ours hands on what the engine's gives. DataFusion's pull request 17734, "add column descriptions to
//! info schemas", would have had descriptions in the metadata of fields, but was closed. This can go when the engine's
//! tables, DESCRIBE and SHOW COLUMNS give descriptions, and types as clients see them.

use crate::registry::Assembly;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use belvedere_view::{Column, ViewSet};
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, InformationSchemaProvider};
use datafusion::catalog::{
    CatalogProviderList, MemTable, SchemaProvider, Session, TableFunction, TableFunctionArgs, TableProvider,
};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, col, lit, when};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    DescribeAlias, ObjectName, ObjectNamePart, ShowStatementOptions, Statement,
};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The catalog and the schema that the engine has tables in.
const CATALOG: &str = "datafusion";
const SCHEMA: &str = "public";

/// Gives a session that has its tables and functions the schema `information_schema`.
pub(super) fn register(session: &SessionContext, assembly: &Arc<Assembly>) -> Result<()> {
    let state = session.state();
    let schema = InformationSchema {
        catalogs: Arc::downgrade(state.catalog_list()),
        functions: state.table_functions().clone(),
        assembly: assembly.clone(),
    };
    let catalog = session
        .catalog(CATALOG)
        .ok_or_else(|| DataFusionError::Internal(format!("there is no catalog {CATALOG}")))?;
    catalog.register_schema(INFORMATION_SCHEMA, Arc::new(schema))?;
    Ok(())
}

/// A statement that asks for the columns of a view set. The engine would answer it too, but with its own types, and
/// without descriptions.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnList {
    set: &'static str,
    /// `SHOW COLUMNS` also names the table in each row.
    names_table: bool,
}

impl ColumnList {
    /// `None` if the statement is anything else, also if it describes what is no view set: that is the engine's business.
    pub(super) fn new(statement: &EngineStatement, assembly: &Assembly) -> Option<Self> {
        let EngineStatement::Statement(statement) = statement else { return None };
        let (table, names_table) = match statement.as_ref() {
            Statement::ExplainTable {
                describe_alias: DescribeAlias::Describe | DescribeAlias::Desc,
                table_name,
                ..
            } => (table_name, false),
            Statement::ShowColumns { extended: false, full: false, show_options } => {
                (shown(show_options)?, true)
            }
            _ => return None,
        };
        Some(Self { set: view_set(table, assembly)?.name, names_table })
    }

    /// The answer: from `list_columns()`, so that who may not call that learns nothing here either.
    pub(super) fn frame(self, session: &SessionContext) -> Result<DataFrame> {
        let state = session.state();
        let columns = session
            .table_function("list_columns")?
            .create_table_provider_with_args(TableFunctionArgs::new(&[], &state))?;
        let mut answer = Vec::new();
        if self.names_table {
            answer.extend([
                lit(CATALOG).alias("table_catalog"),
                lit(SCHEMA).alias("table_schema"),
                col("view_set_name").alias("table_name"),
            ]);
        }
        answer.extend([
            col("column_name"),
            col("data_type"),
            when(col("is_nullable"), lit("YES")).otherwise(lit("NO"))?.alias("is_nullable"),
            col("description"),
        ]);
        session
            .read_table(columns)?
            .filter(col("view_set_name").eq(lit(self.set)))?
            .sort(vec![col("ordinal").sort(true, false)])?
            .select(answer)
    }
}

/// The table of `SHOW COLUMNS`, if nothing else is said.
fn shown(options: &ShowStatementOptions) -> Option<&ObjectName> {
    match options {
        ShowStatementOptions {
            show_in: Some(show_in),
            starts_with: None,
            limit: None,
            limit_from: None,
            filter_position: None,
        } => show_in.parent_name.as_ref(),
        _ => None,
    }
}

/// The view set that a name stands for.
fn view_set(name: &ObjectName, assembly: &Assembly) -> Option<&'static ViewSet> {
    let part = |part: &ObjectNamePart| {
        let ident = part.as_ident()?;
        Some(match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_ascii_lowercase(),
        })
    };
    let parts: Vec<String> = name.0.iter().map(part).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ([name] | [SCHEMA, name] | [CATALOG, SCHEMA, name]) = parts.as_slice() else { return None };
    assembly.view_sets().find(|set| set.name == *name)
}

#[derive(Debug)]
struct InformationSchema {
    /// This is in them: they must not be held by it.
    catalogs: Weak<dyn CatalogProviderList>,
    functions: HashMap<String, Arc<TableFunction>>,
    assembly: Arc<Assembly>,
}

impl InformationSchema {
    fn of_engine(&self) -> Option<InformationSchemaProvider> {
        let catalogs = self.catalogs.upgrade()?;
        Some(InformationSchemaProvider::new(catalogs).with_table_functions(self.functions.clone()))
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        self.of_engine().map(|engine| engine.table_names()).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(engine) = self.of_engine() else { return Ok(None) };
        let Some(table) = engine.table(name).await? else { return Ok(None) };
        let about = match name.to_ascii_lowercase().as_str() {
            "tables" => About::Tables,
            "columns" => About::Columns,
            _ => return Ok(Some(table)),
        };
        let mut fields = table.schema().fields().to_vec();
        fields.push(Arc::new(Field::new("description", DataType::Utf8, true)));
        Ok(Some(Arc::new(Described {
            table,
            about,
            schema: Arc::new(Schema::new(fields)),
            assembly: self.assembly.clone(),
        })))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.of_engine().is_some_and(|engine| engine.table_exist(name))
    }
}

/// What the rows of a table are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Tables,
    Columns,
}

/// A table of the engine's with one more column.
#[derive(Debug)]
struct Described {
    table: Arc<dyn TableProvider>,
    about: About,
    schema: SchemaRef,
    assembly: Arc<Assembly>,
}

impl Described {
    fn view_set(&self, schema: Option<&str>, name: Option<&str>) -> Option<&'static ViewSet> {
        let name = name.filter(|_| schema == Some(SCHEMA))?;
        self.assembly.view_sets().find(|set| set.name == name)
    }

    fn with_description(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let texts = |name: &str| {
            let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| DataFusionError::Internal(format!("information_schema has no texts {name}")))
        };
        let (schemas, tables) = (texts("table_schema")?, texts("table_name")?);
        let set = |i: usize| self.view_set(value(schemas, i), value(tables, i));
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        let descriptions: StringArray = match self.about {
            About::Tables => (0..rows.num_rows()).map(|i| Some(set(i)?.about)).collect(),
            About::Columns => {
                let names = texts("column_name")?;
                let documented: Vec<Option<&Column>> = (0..rows.num_rows())
                    .map(|i| set(i)?.columns.iter().find(|column| Some(column.name) == value(names, i)))
                    .collect();
                // as answers leave, not as the engine has them inside
                let types = texts("data_type")?;
                let shown = documented.iter().enumerate().map(|(i, column)| match column {
                    Some(column) => Some(column.column_type.to_text()),
                    None => value(types, i).map(str::to_owned),
                });
                columns[rows.schema_ref().index_of("data_type")?] = Arc::new(shown.collect::<StringArray>());
                documented.iter().map(|column| column.map(|column| column.about)).collect()
            }
        };
        columns.push(Arc::new(descriptions));
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

fn value(texts: &StringArray, i: usize) -> Option<&str> {
    texts.is_valid(i).then(|| texts.value(i))
}

#[async_trait]
impl TableProvider for Described {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // names of tables and columns: a few hundred rows that are in memory anyway
        let plan = self.table.scan(state, None, &[], None).await?;
        let rows = collect(plan, state.task_ctx()).await?;
        let rows = rows.iter().map(|batch| self.with_description(batch)).collect::<Result<_>>()?;
        let table = MemTable::try_new(self.schema.clone(), vec![rows])?;
        table.scan(state, projection, filters, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::QueryError;

    #[tokio::test]
    async fn only_statements_that_ask_for_columns_of_a_view_set_are_answered_here() {
        let lake = crate::fixture::lake().await;
        let assembly = lake.assembly();
        let asked = |sql: &str| {
            let mut statements = crate::parser::engine_statements(sql).unwrap();
            assert_eq!(statements.len(), 1, "{sql}");
            ColumnList::new(&statements.pop_front().unwrap(), &assembly)
        };
        for (sql, names_table) in [
            ("DESCRIBE blocks", false),
            ("desc Blocks;", false),
            ("-- what is there?\nDESCRIBE public.blocks", false),
            ("SHOW COLUMNS FROM blocks", true),
            ("show columns in datafusion.public.\"blocks\"", true),
        ] {
            let list = asked(sql).unwrap();
            assert_eq!((list.set, list.names_table), ("blocks", names_table), "{sql}");
        }
        for sql in [
            "SELECT 1",
            "DESCRIBE SELECT 1",
            "DESCRIBE nope",
            "DESCRIBE \"Blocks\"",
            "DESCRIBE information_schema.tables",
            "EXPLAIN SELECT 1",
            "SHOW TABLES",
            "SHOW FULL COLUMNS FROM blocks",
        ] {
            assert!(asked(sql).is_none(), "{sql}");
        }
    }

    #[tokio::test]
    async fn columns_of_a_view_set_come_in_order_and_as_texts_without_null() {
        let lake = crate::fixture::lake().await;
        let names = |rows: &[RecordBatch]| -> Vec<String> {
            let schema = rows[0].schema();
            assert!(schema.fields().iter().all(|f| *f.data_type() == DataType::Utf8 && !f.is_nullable()));
            schema.fields().iter().map(|f| f.name().clone()).collect()
        };
        let texts = |rows: &[RecordBatch], name: &str| -> Vec<String> {
            let column = |batch: &RecordBatch| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            rows.iter()
                .flat_map(|b| column(b).iter().map(|t| t.unwrap().to_owned()).collect::<Vec<_>>())
                .collect()
        };
        let blocks = lake.assembly().view_sets().find(|set| set.name == "blocks").unwrap().columns;
        let described = lake.sql("DESCRIBE blocks").await.unwrap();
        assert_eq!(names(&described), ["column_name", "data_type", "is_nullable", "description"]);
        assert!(texts(&described, "column_name").iter().eq(blocks.iter().map(|column| column.name)));
        assert!(texts(&described, "description").iter().eq(blocks.iter().map(|column| column.about)));
        let shown = lake.sql("SHOW COLUMNS FROM blocks").await.unwrap();
        assert_eq!(names(&shown)[..3], ["table_catalog", "table_schema", "table_name"]);
        assert_eq!(names(&shown)[3..], names(&described));
        assert_eq!(texts(&shown, "column_name"), texts(&described, "column_name"));
        assert!(texts(&shown, "table_name").iter().all(|name| name == "blocks"));
    }

    #[tokio::test]
    async fn one_statement_is_answered_and_only_if_it_changes_nothing() {
        let lake = crate::fixture::lake().await;
        for sql in [
            "DESCRIBE blocks; DESCRIBE blocks",
            "describeblocks",
            "/* nothing */",
            "",
            "CREATE TABLE t AS SELECT 1",
            "DROP TABLE blocks",
            "INSERT INTO blocks VALUES (1)",
            "SET datafusion.execution.batch_size = 1",
        ] {
            let error = lake.sql(sql).await.unwrap_err();
            assert!(matches!(error, QueryError::Sql(_) | QueryError::Unsupported(_)), "{sql}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_session_that_is_dropped_leaves_nothing_behind() {
        let lake = crate::fixture::lake().await;
        let session = lake.context(belvedere_model::time::TimeRange::ALL).session().unwrap();
        let catalogs = Arc::downgrade(session.state().catalog_list());
        session.sql("SELECT * FROM information_schema.columns").await.unwrap().collect().await.unwrap();
        drop(session);
        assert!(catalogs.upgrade().is_none());
    }
}
