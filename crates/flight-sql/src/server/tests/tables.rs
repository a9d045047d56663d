//! What tools ask about tables.

use super::*;
use arrow_flight::IpcMessage;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use belvedere_core::arrow::datatypes::{Int32Type, Schema};

async fn tables(client: &mut Client, command: CommandGetTables) -> RecordBatch {
    let info = client.get_tables(command).await.unwrap();
    let rows = fetch(client, &info).await.unwrap();
    assert_eq!(info.try_decode_schema().unwrap(), *rows.schema());
    rows
}

#[tokio::test]
async fn the_walk_of_a_jdbc_tool_comes_to_its_end() {
    let (_lake, mut client) = talker().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&fetch(&mut client, &info).await.unwrap(), "catalog_name"), ["datafusion"]);
    let command =
        CommandGetDbSchemas { catalog: Some("datafusion".to_owned()), db_schema_filter_pattern: None };
    let info = client.get_db_schemas(command).await.unwrap();
    assert_eq!(texts(&fetch(&mut client, &info).await.unwrap(), "db_schema_name"), ["public"]);
    let info = client.get_table_types().await.unwrap();
    assert_eq!(texts(&fetch(&mut client, &info).await.unwrap(), "table_type"), ["table"]);

    let command = CommandGetTables {
        catalog: Some("datafusion".to_owned()),
        db_schema_filter_pattern: Some("public".to_owned()),
        table_name_filter_pattern: Some("%".to_owned()),
        table_types: vec![],
        include_schema: true,
    };
    let rows = tables(&mut client, command).await;
    assert_eq!(texts(&rows, "table_name"), ["blocks", "processes", "streams"]);
    let schemas = rows.column_by_name("table_schema").unwrap().as_binary::<i32>();
    for bytes in schemas.iter().flatten() {
        let schema = Schema::try_from(IpcMessage(bytes.to_vec().into())).unwrap();
        for field in schema.fields() {
            assert!(!matches!(field.data_type(), DataType::Dictionary(..)), "{field}");
            let said =
                |key: &str| field.metadata().get(&format!("ARROW:FLIGHT:SQL:{key}")).map(String::as_str);
            assert!(said("REMARKS").is_some() && said("TABLE_NAME").is_some(), "{field}");
            let type_name = match field.data_type() {
                DataType::Utf8 => "VARCHAR",
                DataType::Int32 => "INTEGER",
                DataType::Int64 => "BIGINT",
                DataType::Timestamp(..) => "TIMESTAMP",
                DataType::List(item) if item.data_type() == &DataType::Utf8 => "VARCHAR ARRAY",
                DataType::List(_) => "ROW ARRAY",
                DataType::Binary => "VARBINARY",
                other => panic!("{field}: {other}"),
            };
            assert_eq!(said("TYPE_NAME"), Some(type_name), "{field}");
            let said_to_adbc = |key: &str| field.metadata().get(&format!("XDBC_{key}")).map(String::as_str);
            assert_eq!(said_to_adbc("TYPE_NAME"), Some(type_name), "{field}");
            let nullable = if field.is_nullable() { ("1", "YES") } else { ("0", "NO") };
            assert_eq!(said_to_adbc("NULLABLE").zip(said_to_adbc("IS_NULLABLE")), Some(nullable), "{field}");
            if type_name == "TIMESTAMP" {
                assert_eq!((said("PRECISION"), said("SCALE")), (Some("29"), Some("9")));
            }
        }
    }

    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    assert!(texts(&fetch(&mut client, &info).await.unwrap(), "type_name").contains(&"VARCHAR".to_owned()));
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(-5) }).await.unwrap();
    assert_eq!(texts(&fetch(&mut client, &info).await.unwrap(), "type_name"), ["BIGINT"]);

    let table = "blocks".to_owned();
    let keys = [
        client.get_primary_keys(CommandGetPrimaryKeys { table: table.clone(), ..Default::default() }).await,
        client.get_exported_keys(CommandGetExportedKeys { table: table.clone(), ..Default::default() }).await,
        client.get_imported_keys(CommandGetImportedKeys { table, ..Default::default() }).await,
        client.get_cross_reference(CommandGetCrossReference::default()).await,
    ];
    for (info, columns) in keys.into_iter().zip([6, 13, 13, 13]) {
        let rows = fetch(&mut client, &info.unwrap()).await.unwrap();
        assert_eq!((rows.num_rows(), rows.num_columns()), (0, columns));
    }
}

#[tokio::test]
async fn tables_are_filtered_by_pattern_and_by_type_in_the_words_of_each_tool() {
    let (_lake, mut client) = talker().await;
    let of_types = |types: &[&str]| CommandGetTables {
        table_types: types.iter().map(|t| (*t).to_owned()).collect(),
        ..Default::default()
    };
    for (types, count) in
        [(&["BASE TABLE", "table"][..], 3), (&["TABLE"], 3), (&["VIEW"], 0), (&["SYSTEM TABLE", "Table"], 3)]
    {
        assert_eq!(tables(&mut client, of_types(types)).await.num_rows(), count, "{types:?}");
    }
    let of = |catalog: &str, pattern: &str| CommandGetTables {
        catalog: Some(catalog.to_owned()),
        table_name_filter_pattern: Some(pattern.to_owned()),
        ..Default::default()
    };
    assert_eq!(texts(&tables(&mut client, of("", "pro_esses")).await, "table_name"), ["processes"]);
    assert_eq!(tables(&mut client, of("elsewhere", "%")).await.num_rows(), 0);
}

#[tokio::test]
async fn names_that_tools_put_together_work_in_sql() {
    let (_lake, mut client) = talker().await;
    let rows = tables(&mut client, CommandGetTables::default()).await;
    let columns = ["catalog_name", "db_schema_name", "table_name"].map(|name| texts(&rows, name));
    #[allow(clippy::needless_range_loop, reason = "rows of several columns")]
    for i in 0..rows.num_rows() {
        let [catalog, schema, table] = [0, 1, 2].map(|c: usize| columns[c][i].clone());
        ask(&mut client, &format!("SELECT * FROM \"{catalog}\".\"{schema}\".\"{table}\"")).await.unwrap();
    }
}

#[tokio::test]
async fn the_server_says_what_it_is_and_knows() {
    let (_lake, mut client) = talker().await;
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    let rows = fetch(&mut client, &info).await.unwrap();
    assert_eq!(rows.num_rows(), 1);
    let values = rows.column(1).as_union();
    assert_eq!(values.value(0).as_string::<i32>().value(0), "Belvedere");
    let info = client.get_sql_info(vec![]).await.unwrap();
    let rows = fetch(&mut client, &info).await.unwrap();
    let names = cast(rows.column(0), &DataType::Int32).unwrap();
    let names: Vec<i32> = names.as_primitive::<Int32Type>().values().to_vec();
    for id in (0..=11).chain(500..=576).filter(|id| ![6, 7].contains(id)) {
        assert!(names.contains(&id), "JDBC fails without {id}");
    }
}
