//! Statements that are too large to plan. The engine parses, plans and drops expressions by recursion, and plans many
//! relations in more than linear time: what is behind these limits would end the process, or keep it busy for minutes.
//!
//! Counted are words and signs before anything is parsed: each level that an expression can nest takes at least one.
//!
//! An overflow of the stack ends the process. Four things stand before it, and none does the work of another:
//!
//! - The parser refuses more than 50 levels of parentheses, calls and subqueries (`datafusion.sql_parser.recursion_limit`). It
//!   does not see chains such as `a + a + …`, `a OR a OR …`, `a IS NULL IS NULL …`: it reads them in a loop, and they become
//!   trees that are as deep as the chain is long.
//! - The limits here bound chains. Nothing else does: issues 22229, "panic: deep binary expression in SELECT projection
//!   aborts with stack overflow", and 22936, "Deep `WHERE` clause overflow stack in `select_to_plan` via derived
//!   `expr::clone`", of apache/datafusion are open.
//! - The planning stack, in `planning`, has room for what is let through: the engine clones, compares and drops expressions
//!   by derived code that checks nothing.
//! - The engine's feature `recursive_protection` adds stack where its own walks recurse. It can't do so in derived code (pull
//!   request 23198, "fix: drop a deep `BinaryExpr` chain iteratively to avoid a stack overflow", was closed), so it can't
//!   replace the planning stack. Without it, the planning stack is too small in debug builds, and SQL of views, which is
//!   planned by background work too, has no protection.
//!
//! Measured with DataFusion 55.2 in a debug build, at the limit of 4000 words and signs: planning takes 23 MB of stack for
//! `OR`, 45 MB for `+`, 56 MB for `||`; `::INT` and `IS NULL` fill all 64 MiB and go on in what `recursive_protection` adds.
//! The plan of the chain of `+` is then evaluated and dropped on a thread of a query, where it takes 15.6 of 16 MiB.
//!
//! The limit on expressions and the planning stack can go when the engine refuses deep chains itself, or keeps them flat
//! (issue 23264, "Flatter representation of deeply nested `AND` / `OR` Expressions"). The limit on relations can go with
//! issue 19795, "[EPIC] Improve query planning speed".

use super::QueryError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Bytes of a statement.
const MOST_BYTES: usize = 1 << 20;
/// Words and signs of a statement.
const MOST_TOKENS: usize = 200_000;
/// Words and signs of one expression, what is in parentheses counted by its longest part.
const LONGEST_EXPRESSION: usize = 4000;
/// Subqueries, members of a union and joined tables.
const MOST_RELATIONS: usize = 500;

/// Whether a statement is short enough to be looked at: taking a text apart costs a hundred times its size. An error is the
/// asker's, [`QueryError::Sql`].
pub(crate) fn check_length(sql: &str) -> Result<(), QueryError> {
    match sql.len() {
        bytes if bytes > MOST_BYTES => Err(QueryError::Sql(format!(
            "the statement has {bytes} bytes; the maximum is {MOST_BYTES}: send values as rows or parameters"
        ))),
        _ => Ok(()),
    }
}

/// Whether a statement is small enough to be planned. What can't be read is for the parser to refuse.
pub(super) fn check(sql: &str) -> Result<(), QueryError> {
    check_length(sql)?;
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let mut statement = Statement::default();
    let mut count = 0;
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        count += 1;
        statement.add(token);
    }
    let too_large = |what: &str, count: usize, of: &str, most: usize, hint: &str| {
        Err(QueryError::Sql(format!("{what} has {count} {of}; the maximum is {most}: {hint}")))
    };
    match (count, statement.depth(), statement.relations) {
        (count, _, _) if count > MOST_TOKENS => {
            too_large("the statement", count, "tokens", MOST_TOKENS, "split it into several statements")
        }
        (_, longest, _) if longest > LONGEST_EXPRESSION => too_large(
            "an expression in the statement",
            longest,
            "tokens",
            LONGEST_EXPRESSION,
            "write x IN (…) for x = … OR x = …, or ask in several statements",
        ),
        (_, _, relations) if relations > MOST_RELATIONS => too_large(
            "the statement",
            relations,
            "subqueries and tables",
            MOST_RELATIONS,
            "split it into several statements",
        ),
        _ => Ok(()),
    }
}

/// A statement as far as it was read.
#[derive(Debug, Default)]
struct Statement {
    /// What is open, the outermost first; empty means one that has nothing yet.
    groups: Vec<Group>,
    relations: usize,
    /// Of what was closed without having been opened.
    deepest: usize,
}

/// What is between parentheses or brackets, in CASE … END, or the whole.
#[derive(Debug, Default)]
struct Group {
    /// Words and signs of the expression that is being read.
    length: usize,
    /// The deepest group in it.
    inner: usize,
    /// The longest expression before.
    longest: usize,
    lists_tables: bool,
}

impl Group {
    fn close_expression(&mut self) {
        self.longest = self.depth();
        (self.length, self.inner) = (0, 0);
    }

    fn depth(&self) -> usize {
        self.longest.max(self.length + self.inner)
    }
}

impl Statement {
    fn add(&mut self, token: &Token) {
        let keyword = match token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match (token, keyword) {
            (Token::LParen | Token::LBracket | Token::LBrace, _) | (_, Keyword::CASE) => self.open(),
            (Token::RParen | Token::RBracket | Token::RBrace, _) | (_, Keyword::END) => self.close(),
            (Token::Comma, _) => {
                self.relations += usize::from(self.group().lists_tables);
                self.group().close_expression();
            }
            // these begin no part of an expression but in a group of its own
            (_, Keyword::SELECT | Keyword::WHERE | Keyword::HAVING | Keyword::ORDER) => {
                self.relations += usize::from(keyword == Keyword::SELECT);
                let group = self.group();
                group.close_expression();
                group.lists_tables = false;
            }
            (_, Keyword::WHEN | Keyword::THEN | Keyword::ELSE) => self.group().close_expression(),
            (_, Keyword::FROM) => {
                self.group().lists_tables = true;
                self.group().length += 1;
            }
            (_, Keyword::JOIN) => {
                self.relations += 1;
                self.group().length += 1;
            }
            _ => self.group().length += 1,
        }
    }

    fn group(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn open(&mut self) {
        // the outermost is there before what is in it
        self.group().length += 1;
        self.groups.push(Group::default());
    }

    fn close(&mut self) {
        let depth = self.groups.pop().map_or(0, |group| group.depth());
        match self.groups.last_mut() {
            Some(outer) => outer.inner = outer.inner.max(depth),
            None => self.deepest = self.deepest.max(depth),
        }
    }

    /// The most that can nest, with all that is still open.
    fn depth(&self) -> usize {
        let open = self
            .groups
            .iter()
            .rev()
            .fold(0, |inner, group| group.longest.max(group.length + group.inner.max(inner)));
        self.deepest.max(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(sql: &str) -> usize {
        let mut statement = Statement::default();
        for token in Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap() {
            if !matches!(token, Token::Whitespace(_)) {
                statement.add(&token);
            }
        }
        statement.depth()
    }

    #[test]
    fn the_longest_expression_counts_and_lists_do_not() {
        assert_eq!(depth("SELECT a, b + 1, c"), 3);
        assert_eq!(depth("SELECT f(a + b, c) + 1 WHERE x"), 7);
        assert_eq!(depth("x IN (1, 2, 3, 4, 5, 6)"), 4);
        assert_eq!(depth("CASE WHEN a THEN b WHEN c + d THEN e END"), 4);
        assert_eq!(depth("))) a ("), 2);
        assert_eq!(depth(""), 0);
    }

    #[test]
    fn what_nests_without_end_is_refused_in_every_shape() {
        let many = 5000;
        let chains = [
            ("1", "+1"),
            ("a", " AND b"),
            ("a", "::INT"),
            ("a", " IS NULL"),
            ("a", " IS DISTINCT FROM a"),
            ("a", "[1]"),
            ("f(a)", "||f(a)"),
            ("a", " NOT IN (1)"),
            ("CASE WHEN a THEN b END", " + CASE WHEN a THEN b END"),
            ("count(*) FILTER (WHERE a)", " + count(*) FILTER (WHERE a)"),
            ("a", " AT TIME ZONE 'UTC'"),
        ];
        let mut statements: Vec<String> = chains
            .iter()
            .map(|(first, more)| format!("SELECT x, {first}{}, y FROM t WHERE z", more.repeat(many)))
            .collect();
        statements.push(format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(many)));
        statements.push(format!("SELECT 1 FROM t {}", "JOIN t USING (a) ".repeat(many)));
        statements.push(format!("SELECT 1 FROM t {}", ", t".repeat(many)));
        statements.push(format!("SELECT {}1{}", "(SELECT ".repeat(many), ")".repeat(many)));
        statements.push(format!("SELECT {}1{}", "f(".repeat(many), ")".repeat(many)));
        statements.push(format!("SELECT {}", "CASE WHEN ".repeat(many)));
        statements.push(format!("SELECT 1 IN (1{})", ", 1".repeat(100 * 1000)));
        statements.push(format!("SELECT '{}'", "x".repeat(MOST_BYTES)));
        for sql in &statements {
            let error = check(sql).unwrap_err();
            assert!(matches!(&error, QueryError::Sql(why) if why.contains("the maximum")), "{}", &sql[..40]);
        }
    }

    #[test]
    fn what_people_and_programs_write_is_let_through() {
        for sql in [
            format!("SELECT {} FROM log_entries", vec!["a + 1 AS b"; 6000].join(", ")),
            format!("SELECT * FROM log_entries WHERE msg IN ({})", vec!["'x'"; 50_000].join(", ")),
            format!("SELECT * FROM log_entries WHERE {}", vec!["exe = 'x'"; 900].join(" OR ")),
            format!("SELECT CASE {} END FROM t", "WHEN a = 1 THEN 'b' ".repeat(5000)),
            format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(400)),
            format!("INSERT INTO t VALUES {}", vec!["(1, 'a', NULL)"; 10_000].join(", ")),
            "SELECT 'not closed".to_owned(),
        ] {
            assert!(check(&sql).is_ok(), "{}", &sql[..40.min(sql.len())]);
        }
    }
}
