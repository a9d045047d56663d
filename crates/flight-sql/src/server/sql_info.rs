//! SqlInfo: what tools ask about the server and its SQL. JDBC fails if an info is missing, so all of the protocol's infos
//! are here.

use arrow_flight::error::FlightError;
use arrow_flight::sql::SqlInfo as Info;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions, SupportedSqlGrammar,
};
use belvedere_core::arrow::ARROW_VERSION;
use belvedere_core::datafusion::execution::SessionState;
use belvedere_core::datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use std::collections::BTreeMap;

/// Flags that hold.
const YES: &[Info] = &[
    Info::FlightSqlServerReadOnly,
    Info::FlightSqlServerSql,
    Info::FlightSqlServerCancel,
    Info::SqlAllTablesAreSelectable,
    Info::SqlSupportsColumnAliasing,
    Info::SqlNullPlusNullIsNull,
    Info::SqlSupportsTableCorrelationNames,
    Info::SqlSupportsExpressionsInOrderBy,
    Info::SqlSupportsOrderByUnrelated,
    Info::SqlSupportsLikeEscapeClause,
    Info::SqlSupportsNonNullableColumns,
    Info::SqlCatalogAtStart,
    Info::SqlCorrelatedSubqueriesSupported,
];

/// Flags that don't. Only a lake's own tables are taken in bulk, which is not what tools mean by it.
const NO: &[Info] = &[
    Info::FlightSqlServerSubstrait,
    Info::FlightSqlServerBulkIngestion,
    Info::FlightSqlServerIngestTransactionsSupported,
    Info::SqlDdlCatalog,
    Info::SqlDdlSchema,
    Info::SqlDdlTable,
    Info::SqlSupportsDifferentTableCorrelationNames,
    Info::SqlSupportsIntegrityEnhancementFacility,
    Info::SqlSelectForUpdateSupported,
    Info::SqlStoredProceduresSupported,
    Info::SqlMaxRowSizeIncludesBlobs,
    Info::SqlTransactionsSupported,
    Info::SqlDataDefinitionCausesTransactionCommit,
    Info::SqlDataDefinitionsInTransactionsIgnored,
    Info::SqlBatchUpdatesSupported,
    Info::SqlSavepointsSupported,
    Info::SqlNamedParametersSupported,
    Info::SqlLocatorsUpdateCopy,
    Info::SqlStoredFunctionsUsingCallSyntaxSupported,
];

/// Lengths and counts that have no fixed limit, which is 0.
const UNLIMITED: &[Info] = &[
    Info::SqlMaxBinaryLiteralLength,
    Info::SqlMaxCharLiteralLength,
    Info::SqlMaxColumnNameLength,
    Info::SqlMaxColumnsInGroupBy,
    Info::SqlMaxColumnsInIndex,
    Info::SqlMaxColumnsInOrderBy,
    Info::SqlMaxColumnsInSelect,
    Info::SqlMaxColumnsInTable,
    Info::SqlMaxConnections,
    Info::SqlMaxCursorNameLength,
    Info::SqlMaxIndexLength,
    Info::SqlDbSchemaNameLength,
    Info::SqlMaxProcedureNameLength,
    Info::SqlMaxCatalogNameLength,
    Info::SqlMaxRowSize,
    Info::SqlMaxStatementLength,
    Info::SqlMaxStatements,
    Info::SqlMaxTableNameLength,
    Info::SqlMaxTablesInSelect,
    Info::SqlMaxUsernameLength,
];

/// Bit sets, and numbers of enums. The bit of a value is at the value's number.
const NUMBERS: &[(Info, i32)] = &[
    (Info::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32),
    (Info::FlightSqlServerStatementTimeout, 0),
    (Info::FlightSqlServerTransactionTimeout, 0),
    (Info::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32),
    (Info::SqlQuotedIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32),
    (Info::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32),
    (Info::SqlSupportedGroupBy, 1 << SqlSupportedGroupBy::SqlGroupByUnrelated as i32),
    (Info::SqlSupportedGrammar, 1 << SupportedSqlGrammar::SqlMinimumGrammar as i32),
    (Info::SqlAnsi92SupportedLevel, 0),
    (Info::SqlOuterJoinsSupportLevel, SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32),
    (Info::SqlSchemasSupportedActions, 0),
    (Info::SqlCatalogsSupportedActions, 0),
    (Info::SqlSupportedPositionedCommands, 0),
    (
        Info::SqlSupportedSubqueries,
        1 << SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInExists as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
    ),
    (
        Info::SqlSupportedUnions,
        1 << SqlSupportedUnions::SqlUnion as i32 | 1 << SqlSupportedUnions::SqlUnionAll as i32,
    ),
    (Info::SqlSupportedTransactionsIsolationLevels, 0),
    // forward only, read only
    (Info::SqlSupportedResultSetTypes, 1 << 1),
    (Info::SqlSupportedConcurrenciesForResultSetUnspecified, 0),
    (Info::SqlSupportedConcurrenciesForResultSetForwardOnly, 1 << 1),
    (Info::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0),
    (Info::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0),
];

/// All infos. The functions are those of a session, so those of plug-ins are among them.
pub(super) fn build(session: &SessionState) -> Result<SqlInfoData, FlightError> {
    let mut infos = SqlInfoDataBuilder::new();
    for (name, text) in [
        (Info::FlightSqlServerName, "Belvedere"),
        (Info::FlightSqlServerVersion, env!("CARGO_PKG_VERSION")),
        (Info::FlightSqlServerArrowVersion, ARROW_VERSION),
        (Info::SqlIdentifierQuoteChar, "\""),
        (Info::SqlSearchStringEscape, "\\"),
        (Info::SqlExtraNameCharacters, ""),
        (Info::SqlSchemaTerm, "schema"),
        (Info::SqlProcedureTerm, "procedure"),
        (Info::SqlCatalogTerm, "catalog"),
    ] {
        infos.append(name, text);
    }
    for (flags, value) in [(YES, true), (NO, false)] {
        for name in flags {
            infos.append(*name, value);
        }
    }
    for name in UNLIMITED {
        infos.append(*name, 0_i64);
    }
    for (name, value) in NUMBERS {
        infos.append(*name, *value);
    }
    infos.append(Info::SqlDefaultTransactionIsolation, 0_i32);
    infos.append(Info::SqlSupportsConvert, BTreeMap::<i32, Vec<i32>>::new());
    infos.append(Info::SqlKeywords, ALL_KEYWORDS.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    for (name, functions) in functions(session) {
        infos.append(name, functions);
    }
    infos.build()
}

/// Sorted names of functions by kind. Functions without a more specific section count as system functions.
fn functions(session: &SessionState) -> [(Info, Vec<String>); 4] {
    let mut kinds = [
        (Info::SqlNumericFunctions, Vec::new()),
        (Info::SqlStringFunctions, Vec::new()),
        (Info::SqlDatetimeFunctions, Vec::new()),
        (Info::SqlSystemFunctions, Vec::new()),
    ];
    for (name, function) in session.scalar_functions() {
        let section = function.documentation().map_or("", |about| about.doc_section.label);
        let kind = match section {
            "Math Functions" => 0,
            "String Functions" | "Regular Expression Functions" | "Binary String Functions" => 1,
            "Time and Date Functions" => 2,
            _ => 3,
        };
        kinds[kind].1.push(name.clone());
    }
    for (_, names) in &mut kinds {
        names.sort_unstable();
    }
    kinds
}
