//! Metadata: what tools ask about tables.
//!
//! Catalog and schema are those of `information_schema.tables`, so that the names that tools build work in SQL:
//! `datafusion.public.log_entries`. The micromegas server has empty names there, and its clients filter by them, so an
//! empty name is no filter.
//!
//! Every table is of the type `table`. Grafana asks for `BASE TABLE` and `table`, other tools for `TABLE`: in a filter
//! all three mean the same, in whatever case. `VIEW` means none: tools that list views beside tables would show all
//! of them twice.

use super::runtime::on_query_runtime;
use super::service::{FlightSql, unsupported};
use super::sql_type::SqlType;
use super::{sql_info, status, table_keys};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder, XdbcTypeInfo, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    Command, CommandGetDbSchemas, CommandGetTables, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode,
};
use belvedere_core::Lake;
use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::datatypes::{Field, Schema};
use belvedere_core::assembly::{Assembly, View};
use belvedere_core::query::AnswerTypes;
use belvedere_model::time::TimeRange;
use tonic::Status;

/// The engine's names.
const CATALOG: &str = "datafusion";
const SCHEMA: &str = "public";
const TABLE: &str = "table";

impl FlightSql {
    /// Answers a command that runs no query. The work runs on the runtime of queries: listing all tables with their schemas
    /// takes a while.
    pub(super) async fn metadata(&self, command: Command) -> Result<RecordBatch, Status> {
        let lake = self.queries().lake().clone();
        on_query_runtime(self.queries().runtime(), move || answer(&lake, command)).await
    }
}

fn answer(lake: &Lake, command: Command) -> Result<RecordBatch, Status> {
    let batch = match command {
        Command::CommandGetCatalogs(_) => {
            let mut catalogs = GetCatalogsBuilder::new();
            catalogs.append(CATALOG);
            catalogs.build()
        }
        Command::CommandGetDbSchemas(command) => schemas(command),
        Command::CommandGetTables(command) => tables(lake, command),
        Command::CommandGetTableTypes(command) => {
            let mut types = command.into_builder();
            types.append(TABLE);
            types.build()
        }
        Command::CommandGetSqlInfo(command) => {
            let context = lake.context(TimeRange::ALL);
            let session = context.session().map_err(status::unencodable)?;
            sql_info::build(&session.state()).and_then(|infos| infos.record_batch(command.info))
        }
        Command::CommandGetXdbcTypeInfo(command) => types(command.data_type),
        Command::CommandGetPrimaryKeys(_) => Ok(table_keys::no_primary_keys()),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(table_keys::no_foreign_keys()),
        other => return Err(unsupported(&other)),
    };
    batch.map_err(status::unencodable)
}

fn tables(lake: &Lake, command: CommandGetTables) -> Result<RecordBatch, FlightError> {
    let is_asked_for = command.table_types.is_empty()
        || command
            .table_types
            .iter()
            .any(|t| ["table", "base table"].iter().any(|name| t.trim().eq_ignore_ascii_case(name)));
    let mut tables = GetTablesBuilder::new(
        non_empty(command.catalog),
        non_empty(command.db_schema_filter_pattern),
        command.table_name_filter_pattern,
        Vec::<String>::new(),
        command.include_schema,
    );
    if is_asked_for {
        let context = lake.context(TimeRange::ALL);
        for view in context.factory().get_global_views() {
            let schema = documented_schema(view.as_ref(), context.assembly());
            tables.append(CATALOG, SCHEMA, view.get_view_set_name(), TABLE, &schema)?;
        }
    }
    tables.build()
}

fn schemas(command: CommandGetDbSchemas) -> Result<RecordBatch, FlightError> {
    let mut schemas =
        GetDbSchemasBuilder::new(non_empty(command.catalog), non_empty(command.db_schema_filter_pattern));
    schemas.append(CATALOG, SCHEMA);
    schemas.build()
}

fn non_empty(filter: Option<String>) -> Option<String> {
    filter.filter(|text| !text.is_empty())
}

/// The types that clients get unless they ask for dictionaries, with the documented descriptions.
fn documented_schema(view: &dyn View, assembly: &Assembly) -> Schema {
    let schema = AnswerTypes::Plain.schema(&view.get_schema());
    let set = assembly.view_sets().find(|set| set.name == view.get_view_set_name());
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let mut metadata = field.metadata().clone();
            let column = set.and_then(|set| set.columns.iter().find(|c| c.name == field.name()));
            if let Some(column) = column {
                metadata.insert("ARROW:FLIGHT:SQL:REMARKS".to_owned(), column.about.to_owned());
                metadata.insert("COMMENT".to_owned(), column.about.to_owned());
            }
            metadata.extend([
                ("ARROW:FLIGHT:SQL:CATALOG_NAME".to_owned(), CATALOG.to_owned()),
                ("ARROW:FLIGHT:SQL:SCHEMA_NAME".to_owned(), SCHEMA.to_owned()),
                ("ARROW:FLIGHT:SQL:TABLE_NAME".to_owned(), view.get_view_set_name().to_owned()),
            ]);
            metadata.extend(SqlType::of(field.data_type()).metadata(field.is_nullable()));
            Field::clone(field).with_metadata(metadata)
        })
        .collect();
    Schema::new(fields)
}

/// The types of columns, in the terms of ODBC and JDBC.
fn types(only: Option<i32>) -> Result<RecordBatch, FlightError> {
    use XdbcDataType::{
        XdbcBigint, XdbcBinary, XdbcBit, XdbcDate, XdbcDatetime, XdbcDecimal, XdbcDouble, XdbcInteger,
        XdbcReal, XdbcSmallint, XdbcTimestamp, XdbcTinyint, XdbcVarbinary, XdbcVarchar,
    };
    let numbers = [
        ("TINYINT", XdbcTinyint, 8),
        ("SMALLINT", XdbcSmallint, 16),
        ("INTEGER", XdbcInteger, 32),
        ("BIGINT", XdbcBigint, 64),
        ("REAL", XdbcReal, 24),
        ("DOUBLE", XdbcDouble, 53),
    ];
    let others = [
        ("VARCHAR", XdbcVarchar, None),
        ("VARBINARY", XdbcVarbinary, None),
        ("BINARY", XdbcBinary, None),
        ("TIMESTAMP", XdbcTimestamp, Some(29)),
        ("DATE", XdbcDate, Some(10)),
        ("BOOLEAN", XdbcBit, Some(1)),
    ];
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for (name, data_type, bits) in numbers {
        builder.append(XdbcTypeInfo {
            unsigned_attribute: Some(false),
            num_prec_radix: Some(2),
            ..type_of(name, data_type, Some(bits), None)
        });
    }
    builder.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        unsigned_attribute: Some(false),
        fixed_prec_scale: true,
        minimum_scale: Some(0),
        maximum_scale: Some(76),
        num_prec_radix: Some(10),
        ..type_of("DECIMAL", XdbcDecimal, Some(76), None)
    });
    for (name, data_type, size) in others {
        let quote = (data_type != XdbcBit).then_some("'");
        let subcode = match data_type {
            // the number of dates: the protocol has two names for it
            XdbcDate => Some(XdbcDatetimeSubcode::XdbcSubcodeYear),
            XdbcTimestamp => Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
            _ => None,
        };
        let digits = (data_type == XdbcTimestamp).then_some(9);
        builder.append(XdbcTypeInfo {
            case_sensitive: data_type == XdbcVarchar,
            // dates and times share a type, which the subcode divides
            sql_data_type: if subcode.is_some() { XdbcDatetime } else { data_type },
            datetime_subcode: subcode,
            minimum_scale: digits.map(|_| 0),
            maximum_scale: digits,
            ..type_of(name, data_type, size, quote)
        });
    }
    builder.build()?.record_batch(only)
}

fn type_of(name: &str, data_type: XdbcDataType, size: Option<i32>, quote: Option<&str>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: size,
        literal_prefix: quote.map(str::to_owned),
        literal_suffix: quote.map(str::to_owned),
        create_params: None,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: false,
        searchable: Searchable::Full,
        unsigned_attribute: None,
        fixed_prec_scale: false,
        auto_increment: Some(false),
        local_type_name: Some(name.to_owned()),
        minimum_scale: None,
        maximum_scale: None,
        sql_data_type: data_type,
        datetime_subcode: None,
        num_prec_radix: None,
        interval_precision: None,
    }
}
