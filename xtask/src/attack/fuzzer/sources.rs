//! What stands after `FROM`.

use super::grammar::Grammar;
use super::kind::Kind;

/// Columns, with the names of their tables.
pub(super) type Scope = Vec<(String, Kind)>;

const ENDS: &[&str] = &["0", "1", "10", "1000", "20000", "1000000", "10000000"];
const JOINS: &[&str] = &["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN", "LEFT SEMI JOIN", "LEFT ANTI JOIN"];

impl Grammar<'_> {
    /// A table, a series, a subquery or a join of two, and the columns that it has.
    pub(super) fn source(&mut self, depth: usize) -> (String, Scope) {
        match self.random.below(12) {
            0..=3 => self.series(),
            4..=6 => self.table(),
            7 => {
                let alias = self.alias();
                let list = self.expression(Kind::List, &Scope::new(), 1);
                (format!("(SELECT unnest({list}) AS u) {alias}"), vec![(format!("{alias}.u"), Kind::Any)])
            }
            8 => {
                let alias = self.alias();
                let row = |grammar: &mut Self| {
                    let text = grammar.expression(Kind::Text, &Scope::new(), 1);
                    format!("({text}, {})", grammar.expression(Kind::Float, &Scope::new(), 1))
                };
                let rows = [row(self), row(self)].join(", ");
                let scope = vec![(format!("{alias}.a"), Kind::Text), (format!("{alias}.b"), Kind::Float)];
                (format!("(VALUES {rows}) {alias}(a, b)"), scope)
            }
            9 if depth > 0 => {
                let (from, scope) = self.source(depth - 1);
                let kind = *self
                    .random
                    .pick(&[Kind::Text, Kind::Int, Kind::Float, Kind::List])
                    .unwrap_or(&Kind::Int);
                let (first, second) =
                    (self.expression(kind, &scope, 2), self.expression(Kind::Int, &scope, 1));
                let alias = self.alias();
                let columns = vec![(format!("{alias}.e"), kind), (format!("{alias}.i"), Kind::Int)];
                (format!("(SELECT {first} AS e, {second} AS i FROM {from}{}) {alias}", self.limit()), columns)
            }
            10 if depth > 0 => {
                let ((left, mut scope), (right, others)) = (self.source(depth - 1), self.source(0));
                let join = self.random.word(JOINS);
                if !join.contains("SEMI") && !join.contains("ANTI") {
                    scope.extend(others.iter().cloned());
                }
                let both: Scope = scope.iter().chain(&others).cloned().collect();
                let condition = self.expression(Kind::Bool, &both, 1);
                (format!("{left} {join} {right} ON {condition}"), scope)
            }
            11 if depth > 0 => {
                let ((left, mut scope), (right, others)) = (self.source(depth - 1), self.source(0));
                scope.extend(others);
                (format!("{left} CROSS JOIN {right}"), scope)
            }
            _ => self.series(),
        }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    fn series(&mut self) -> (String, Scope) {
        let (alias, end) = (self.alias(), self.random.word(ENDS));
        (format!("generate_series(1,{end}) {alias}"), vec![(format!("{alias}.value"), Kind::Int)])
    }

    fn table(&mut self) -> (String, Scope) {
        let registry = self.registry;
        let Some(table) = self.random.pick(&registry.tables) else { return self.series() };
        let alias = self.alias();
        let columns =
            table.columns.iter().map(|(name, kind)| (format!("{alias}.\"{name}\""), *kind)).collect();
        (format!("{} {alias}", table.name), columns)
    }
}
