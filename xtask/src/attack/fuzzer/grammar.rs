//! Statements by chance: each is about one function, and functions take turns, so that none waits for luck.

use super::kind::Kind;
use super::random::Random;
use super::registry::{Form, Function, Registry};
use super::sources::Scope;
use super::values::{SQL_TYPES, literal};

/// How deep expressions nest.
pub(super) const DEPTH: usize = 3;

const FRAMES: &[&str] = &[
    "",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " ROWS BETWEEN 3 PRECEDING AND 1000000 FOLLOWING",
    " ROWS BETWEEN 9223372036854775807 PRECEDING AND 9223372036854775807 FOLLOWING",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    " RANGE BETWEEN 10 PRECEDING AND 10 FOLLOWING",
    " GROUPS BETWEEN 2 PRECEDING AND 2 FOLLOWING",
];
const LIMITS: &[&str] =
    &["", " LIMIT 0", " LIMIT 5", " LIMIT 100", " LIMIT 1000 OFFSET 10", " LIMIT 9223372036854775807"];

/// Makes statements.
#[derive(Debug)]
pub(super) struct Grammar<'a> {
    pub(super) registry: &'a Registry,
    pub(super) random: Random,
    /// Functions of this round, in the order of their turns.
    turns: Vec<usize>,
    /// How many names have been given to tables of the statement.
    pub(super) aliases: usize,
}

impl<'a> Grammar<'a> {
    pub(super) fn new(registry: &'a Registry, seed: u64) -> Self {
        Self { registry, random: Random::new(seed), turns: Vec::new(), aliases: 0 }
    }

    /// The next statement. Long texts are written in short: see `statements::expand`.
    pub(super) fn statement(&mut self) -> String {
        if self.turns.is_empty() {
            self.turns = (0..self.registry.functions.len()).collect();
            self.random.shuffle(&mut self.turns);
        }
        self.aliases = 0;
        let registry = self.registry;
        let Some(function) = self.turns.pop().and_then(|turn| registry.functions.get(turn)) else {
            return "SELECT 1".to_owned();
        };
        let query = self.about(function);
        self.wrapped(query)
    }

    /// A query in which this function is called.
    fn about(&mut self, function: &Function) -> String {
        match function.form {
            Form::Table => {
                let call = self.call(function, &Scope::new(), 1);
                let what = self.random.word(&["*", "count(*)", "*"]);
                format!("SELECT {what} FROM {call}{}", self.limit())
            }
            Form::Scalar if self.random.one_in(3) => {
                format!("SELECT {} AS c0", self.call(function, &Scope::new(), DEPTH))
            }
            Form::Scalar => {
                let (from, scope) = self.source(1);
                let call = self.call(function, &scope, DEPTH);
                let call = if self.random.one_in(4) { self.around(&call, function, &scope) } else { call };
                let distinct = if self.random.one_in(6) { "DISTINCT " } else { "" };
                let filter = self.filter(&scope);
                let order = if self.random.one_in(4) { " ORDER BY 1" } else { "" };
                format!("SELECT {distinct}{call} AS c0 FROM {from}{filter}{order}{}", self.limit())
            }
            Form::Aggregate => self.aggregated(function),
            Form::Window => {
                let (from, scope) = self.source(1);
                let call = self.call(function, &scope, 1);
                format!("SELECT {call}{} AS c0 FROM {from}{}", self.window(&scope), self.limit())
            }
        }
    }

    fn aggregated(&mut self, function: &Function) -> String {
        let (from, scope) = self.source(1);
        let arguments = self.arguments(function, &scope, 2);
        let distinct = if self.random.one_in(5) { "DISTINCT " } else { "" };
        let order = match self.random.one_in(6) {
            true => format!(" ORDER BY {}", self.expression(Kind::Any, &scope, 1)),
            false => String::new(),
        };
        let filter = match self.random.one_in(8) {
            true => format!(" FILTER (WHERE {})", self.expression(Kind::Bool, &scope, 1)),
            false => String::new(),
        };
        let call = format!("{}({distinct}{}{order}){filter}", function.name, arguments.join(", "));
        if self.random.one_in(4) {
            return format!("SELECT {call}{} AS c0 FROM {from}{}", self.window(&scope), self.limit());
        }
        let filter = self.filter(&scope);
        if self.random.one_in(2) {
            return format!("SELECT {call} AS c0 FROM {from}{filter}");
        }
        let key = self.expression(Kind::Any, &scope, 1);
        let groups = match self.random.below(8) {
            0 => format!("CUBE ({key}, {})", self.expression(Kind::Any, &scope, 0)),
            1 => format!("ROLLUP ({key}, {})", self.expression(Kind::Int, &scope, 0)),
            _ => key,
        };
        let having = if self.random.one_in(6) { " HAVING count(*) > 1" } else { "" };
        format!("SELECT {call} AS c0 FROM {from}{filter} GROUP BY {groups}{having}{}", self.limit())
    }

    /// Another query around it, sometimes.
    fn wrapped(&mut self, query: String) -> String {
        match self.random.below(24) {
            0 | 1 => format!("SELECT count(*) FROM ({query}) w"),
            2 => format!("WITH w AS ({query}) SELECT a.c0, b.c0 FROM w a, w b{}", self.limit()),
            3 => {
                let set = self.random.word(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
                format!("({query}) {set} ({query})")
            }
            4 => format!("SELECT DISTINCT c0 FROM ({query}) w ORDER BY c0 DESC{}", self.limit()),
            5 => {
                let registry = self.registry;
                let other = self.random.pick(&registry.functions).filter(|other| other.form == Form::Scalar);
                let scope = vec![("c0".to_owned(), Kind::Any)];
                let call = other.map_or_else(|| "c0".to_owned(), |other| self.call(other, &scope, 1));
                format!("SELECT {call} FROM ({query}) w")
            }
            6 => {
                let step = self.random.word(&["n + 1", "n * 2", "n", "n + (SELECT count(*) FROM w)"]);
                let most = self.random.word(&["10", "1000", "9223372036854775807"]);
                format!(
                    "WITH RECURSIVE w AS ({query}), r AS (SELECT 1 AS n UNION ALL SELECT {step} FROM r WHERE n < {most}) \
                     SELECT count(*), max(n) FROM r"
                )
            }
            7 => format!("SELECT w.c0, (SELECT max(v.c0) FROM ({query}) v) FROM ({query}) w{}", self.limit()),
            _ => query,
        }
    }

    /// Something that takes the result of a call.
    fn around(&mut self, call: &str, function: &Function, scope: &Scope) -> String {
        match self.random.below(6) {
            0 => format!("CAST({call} AS {})", self.random.word(SQL_TYPES)),
            1 => format!("CASE WHEN {} THEN {call} ELSE NULL END", self.expression(Kind::Bool, scope, 1)),
            2 => format!("[{call}, {call}]"),
            3 => format!("coalesce({call}, {})", self.expression(function.returns, scope, 1)),
            4 => format!("({call})::VARCHAR || {}", self.expression(Kind::Text, scope, 1)),
            _ => format!("({call}) IS DISTINCT FROM ({call})"),
        }
    }

    pub(super) fn call(&mut self, function: &Function, scope: &Scope, depth: usize) -> String {
        format!("{}({})", function.name, self.arguments(function, scope, depth).join(", "))
    }

    fn arguments(&mut self, function: &Function, scope: &Scope, depth: usize) -> Vec<String> {
        let known = self.random.pick(&function.overloads).cloned();
        let mut kinds = match known {
            Some(kinds) if !self.random.one_in(8) => kinds,
            // too many, too few, and others
            _ => (0..self.random.below(5)).map(|_| Kind::Any).collect(),
        };
        if let Some(kind) =
            self.random.one_in(10).then(|| self.random.below(kinds.len())).and_then(|at| kinds.get_mut(at))
        {
            *kind = Kind::Any;
        }
        kinds.into_iter().map(|kind| self.expression(kind, scope, depth.saturating_sub(1))).collect()
    }

    /// An expression of this kind.
    pub(super) fn expression(&mut self, kind: Kind, scope: &Scope, depth: usize) -> String {
        let columns: Vec<&String> =
            scope.iter().filter(|(_, of)| *of == kind || kind == Kind::Any).map(|(name, _)| name).collect();
        if depth == 0 || self.random.one_in(3) {
            return match self.random.pick(&columns) {
                Some(column) if !self.random.one_in(3) => (*column).clone(),
                _ => literal(kind, &mut self.random).to_owned(),
            };
        }
        let depth = depth - 1;
        match self.random.below(10) {
            0 => {
                let condition = self.expression(Kind::Bool, scope, depth);
                let (yes, no) = (self.expression(kind, scope, depth), self.expression(kind, scope, depth));
                format!("CASE WHEN {condition} THEN {yes} ELSE {no} END")
            }
            1 => self.operator(kind, scope, depth),
            2 | 3 => self.operator(kind, scope, 0),
            4 if kind == Kind::Any => {
                let inner = self.expression(Kind::Any, scope, depth);
                format!("CAST({inner} AS {})", self.random.word(SQL_TYPES))
            }
            _ => {
                let registry = self.registry;
                let fits: Vec<&Function> = registry
                    .functions
                    .iter()
                    .filter(|f| f.form == Form::Scalar && (f.returns == kind || kind == Kind::Any))
                    .collect();
                match self.random.pick(&fits) {
                    Some(function) => self.call(function, scope, depth),
                    None => literal(kind, &mut self.random).to_owned(),
                }
            }
        }
    }

    fn operator(&mut self, kind: Kind, scope: &Scope, depth: usize) -> String {
        let mut two =
            |kind, other| (self.expression(kind, scope, depth), self.expression(other, scope, depth));
        let ((left, right), signs): (_, &[&str]) = match kind {
            Kind::Text => (two(Kind::Text, Kind::Text), &["||"]),
            Kind::Int => (two(Kind::Int, Kind::Int), &["+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>"]),
            Kind::Float => (two(Kind::Float, Kind::Float), &["+", "-", "*", "/", "%"]),
            Kind::Decimal => (two(Kind::Decimal, Kind::Int), &["+", "-", "*", "/", "%"]),
            Kind::Time => (two(Kind::Time, Kind::Interval), &["+", "-"]),
            Kind::Date => (two(Kind::Date, Kind::Interval), &["+", "-"]),
            Kind::Interval => (two(Kind::Time, Kind::Time), &["-"]),
            Kind::Bool => {
                let of = *self
                    .random
                    .pick(&[Kind::Int, Kind::Text, Kind::Float, Kind::Time, Kind::List])
                    .unwrap_or(&Kind::Int);
                let signs: &[&str] = match of {
                    Kind::Text => {
                        &["=", "<", "LIKE", "ILIKE", "~", "~*", "!~", "SIMILAR TO", "IS DISTINCT FROM"]
                    }
                    Kind::List => &["=", "<>", "@>", "<@"],
                    _ => &["=", "<", ">=", "<>", "IS NOT DISTINCT FROM"],
                };
                let mut two =
                    |kind| (self.expression(kind, scope, depth), self.expression(kind, scope, depth));
                (two(of), signs)
            }
            Kind::List => (two(Kind::List, Kind::List), &["||"]),
            other => return literal(other, &mut self.random).to_owned(),
        };
        format!("({left} {} {right})", self.random.word(signs))
    }

    fn filter(&mut self, scope: &Scope) -> String {
        match self.random.one_in(4) {
            true => format!(" WHERE {}", self.expression(Kind::Bool, scope, 2)),
            false => String::new(),
        }
    }

    fn window(&mut self, scope: &Scope) -> String {
        let partition = match self.random.one_in(3) {
            true => format!("PARTITION BY {} ", self.expression(Kind::Any, scope, 1)),
            false => String::new(),
        };
        let order = self.expression(Kind::Int, scope, 0);
        format!(" OVER ({partition}ORDER BY {order}{})", self.random.word(FRAMES))
    }

    pub(super) fn limit(&mut self) -> &'static str {
        self.random.word(LIMITS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::small;
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_statements_and_another_one_others() {
        let registry = small();
        let statements = |seed| {
            let mut grammar = Grammar::new(&registry, seed);
            (0..200).map(|_| grammar.statement()).collect::<Vec<_>>()
        };
        assert_eq!(statements(5), statements(5));
        assert_ne!(statements(5), statements(6));
    }

    #[test]
    fn every_function_appears_within_one_round() {
        let registry = small();
        let mut grammar = Grammar::new(&registry, 11);
        let round: Vec<String> = registry.functions.iter().map(|_| grammar.statement()).collect();
        for function in &registry.functions {
            let call = format!("{}(", function.name);
            assert!(round.iter().any(|statement| statement.contains(&call)), "{call} is missing: {round:?}");
        }
    }

    #[test]
    fn statements_have_every_clause_that_the_grammar_knows() {
        let registry = small();
        let mut grammar = Grammar::new(&registry, 1);
        let all: String = (0..4000).map(|_| grammar.statement() + "\n").collect();
        for clause in [
            " GROUP BY ",
            " ORDER BY ",
            "DISTINCT ",
            " UNION ",
            " OVER (",
            " ROWS BETWEEN ",
            "WITH RECURSIVE ",
            " JOIN ",
            " LIMIT ",
            "CAST(",
            "CASE WHEN ",
            "unnest(",
            "VALUES ",
            " FILTER (",
            " HAVING ",
            "CUBE (",
            " WHERE ",
        ] {
            assert!(all.contains(clause), "{clause} is missing");
        }
    }
}
