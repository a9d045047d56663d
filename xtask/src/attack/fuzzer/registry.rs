//! What a server has: its functions with what they take, and its tables with their columns.

use super::kind::Kind;
use std::collections::BTreeMap;

/// What makes or deletes something, or looks at other queries, by how its name begins: such functions are not called.
const LEFT_OUT: &[&str] = &[
    "cancel_",
    "delete_",
    "deny_",
    "drop_",
    "import_",
    "materialize_",
    "regenerate_",
    "remove_query",
    "retire_",
];

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Scalar,
    Aggregate,
    Window,
    Table,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) returns: Kind,
    /// What it takes, as far as that is known.
    pub(super) overloads: Vec<Vec<Kind>>,
}

/// A table with its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<(String, Kind)>,
}

/// All of it, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Registry {
    pub(super) functions: Vec<Function>,
    pub(super) tables: Vec<Table>,
}

const ROUTINES: &str = "SELECT routine_name, function_type, data_type, \
                        replace(split_part(syntax_example, chr(10), 1), '\"', '') \
                        FROM information_schema.routines ORDER BY 1, 2, 3, 4";
const PARAMETERS: &str = "SELECT specific_name, rid, data_type FROM information_schema.parameters \
                          WHERE parameter_mode = 'IN' ORDER BY specific_name, rid, ordinal_position";
const COLUMNS: &str = "SELECT table_name, column_name, data_type FROM information_schema.columns \
                       WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";

impl Registry {
    /// Asks a server.
    pub(super) fn load(ask: impl Fn(&str) -> Result<Vec<Vec<String>>, String>) -> Result<Self, String> {
        let registry = Self::new(&ask(ROUTINES)?, &ask(PARAMETERS)?, &ask(COLUMNS)?);
        if registry.functions.is_empty() || registry.tables.is_empty() {
            return Err("the server has no functions, or no tables".to_owned());
        }
        Ok(registry)
    }

    fn new(routines: &[Vec<String>], parameters: &[Vec<String>], columns: &[Vec<String>]) -> Self {
        let field = |row: &[String], at: usize| row.get(at).cloned().unwrap_or_default();
        let mut taken: BTreeMap<String, BTreeMap<String, Vec<Kind>>> = BTreeMap::new();
        for row in parameters {
            let overloads = taken.entry(field(row, 0)).or_default();
            overloads.entry(field(row, 1)).or_default().push(Kind::of_type(&field(row, 2)));
        }
        let mut functions: BTreeMap<(String, Form), Function> = BTreeMap::new();
        for row in routines {
            let (name, returns, syntax) = (field(row, 0), field(row, 2), field(row, 3));
            let form = match field(row, 1).as_str() {
                "SCALAR" => Form::Scalar,
                "AGGREGATE" => Form::Aggregate,
                "WINDOW" => Form::Window,
                _ => Form::Table,
            };
            if LEFT_OUT.iter().any(|beginning| name.starts_with(beginning)) {
                continue;
            }
            functions.entry((name.clone(), form)).or_insert_with(|| {
                let mut overloads: Vec<Vec<Kind>> =
                    taken.get(&name).map(|of| of.values().cloned().collect()).unwrap_or_default();
                overloads.dedup();
                if overloads.is_empty() {
                    overloads = Kind::of_syntax(&name, &syntax);
                }
                let returns =
                    if returns.is_empty() { Kind::returned_by(&name) } else { Kind::of_type(&returns) };
                Function { name, form, returns, overloads }
            });
        }
        let mut tables: Vec<Table> = Vec::new();
        for row in columns {
            let (name, column) = (field(row, 0), (field(row, 1), Kind::of_type(&field(row, 2))));
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.columns.push(column),
                None => tables.push(Table { name, columns: vec![column] }),
            }
        }
        Self { functions: functions.into_values().collect(), tables }
    }
}

/// A small one, for tests.
#[cfg(test)]
pub(super) fn small() -> Registry {
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.trim().split('|').map(str::to_owned).collect()).collect()
    };
    let routines = "abs|SCALAR||abs(x)
        array_repeat|SCALAR||array_repeat(element, count)
        jsonb_parse|SCALAR||
        lpad|SCALAR|String|lpad(str, n)
        now|SCALAR||now()
        retire_partitions|TABLE||
        cancel_query|SCALAR||
        first_value|AGGREGATE||first_value(expression)
        first_value|WINDOW||first_value(expression)
        sum|AGGREGATE|Int64|sum(expression)
        rank|WINDOW||rank()
        generate_series|TABLE||";
    let parameters = "abs|0|Float64
        lpad|0|String
        lpad|0|Int64
        lpad|1|String
        lpad|1|Int64
        lpad|1|String";
    let columns = "log_entries|msg|Utf8
        log_entries|time|Timestamp(Nanosecond, \"+00:00\")
        log_entries|properties|Dictionary(Int32, Binary)
        measures|value|Float64";
    Registry::new(&rows(routines), &rows(parameters), &rows(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_change_something_are_left_out() {
        let names: Vec<_> = small().functions.into_iter().map(|function| function.name).collect();
        assert!(names.contains(&"lpad".to_owned()));
        assert!(!names.iter().any(|name| name.starts_with("retire") || name.starts_with("cancel")));
    }

    #[test]
    fn a_function_of_two_forms_is_two_and_has_what_each_overload_takes() {
        let small = small();
        let named =
            |name: &str| small.functions.iter().filter(|f| f.name == name).cloned().collect::<Vec<_>>();
        assert_eq!(named("first_value").len(), 2);
        let expected = vec![vec![Kind::Text, Kind::Int], vec![Kind::Text, Kind::Int, Kind::Text]];
        assert_eq!(named("lpad")[0].overloads, expected);
        assert_eq!(named("array_repeat")[0].overloads, [vec![Kind::Any, Kind::Int]]);
        assert_eq!(small.tables[0].columns[2], ("properties".to_owned(), Kind::Properties));
    }
}
