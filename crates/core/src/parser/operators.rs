//! Which operators bind how tightly: as in PostgreSQL, so that an expression means what it means there.
//!
//! The engine's own dialect reads `a || b + c` as `(a || b) + c`, `a -> b = c` as `a -> (b = c)`, `-a ^ b` as `-(a ^ b)` and
//! `a IS DISTINCT FROM b AND c` as `a IS DISTINCT FROM (b AND c)`.
//!
//! | from the tightest | |
//! | --- | --- |
//! | `.` `::` `[]` | |
//! | `+` `-` | of one operand |
//! | `AT TIME ZONE` | |
//! | `^` | power |
//! | `*` `/` `%` | |
//! | `+` `-` | |
//! | any other operator | `\|\|`, `->`, `&`, `#`, `<<`, `~`, `@>` … and `~` of one operand |
//! | `BETWEEN` `IN` `LIKE` `ILIKE` `SIMILAR TO` | |
//! | `<` `>` `=` `<=` `>=` `<>` | |
//! | `IS` | |
//! | `NOT` | |
//! | `AND` | |
//! | `OR` | |

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use datafusion::sql::sqlparser::dialect::Precedence;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

const CAST: u8 = 140;
const SIGN: u8 = 115;
const AT_TIME_ZONE: u8 = 110;
const POWER: u8 = 100;
const PRODUCT: u8 = 90;
const SUM: u8 = 80;
const OTHER: u8 = 70;
const BETWEEN: u8 = 60;
const COMPARISON: u8 = 50;
const IS: u8 = 40;
const NOT: u8 = 30;
const AND: u8 = 20;
const OR: u8 = 10;

/// The lower bound of BETWEEN ends only at its AND: comparisons may stand in it.
pub(super) const LOWER_BOUND: u8 = IS - 1;

/// The engine takes the pattern for a regular expression that may match anywhere.
const SIMILAR: &str = "SIMILAR TO is not known: write LIKE, or a regular expression, as in x ~ '^(a|b)$'";

/// Bytes of stack for a copy of an expression that is as deep as `statement_limits` allows.
const COPY_STACK: usize = 16 << 20;

/// The number of a level; greater binds tighter.
pub(super) fn precedence(level: Precedence) -> u8 {
    match level {
        Precedence::Period => 200,
        Precedence::DoubleColon => CAST,
        Precedence::AtTz => AT_TIME_ZONE,
        Precedence::Caret => POWER,
        Precedence::MulDivModOp => PRODUCT,
        Precedence::PlusMinus => SUM,
        Precedence::Xor
        | Precedence::Ampersand
        | Precedence::Pipe
        | Precedence::Colon
        | Precedence::PgOther => OTHER,
        Precedence::Between | Precedence::Like => BETWEEN,
        Precedence::Eq => COMPARISON,
        Precedence::Is => IS,
        Precedence::UnaryNot => NOT,
        Precedence::And => AND,
        Precedence::Or => OR,
    }
}

/// The level of the operator that comes next, where the parser would take another.
pub(super) fn of_next(parser: &Parser) -> Option<u8> {
    Some(match &parser.peek_token_ref().token {
        Token::Caret => POWER,
        Token::StringConcat
        | Token::Tilde
        | Token::TildeAsterisk
        | Token::ExclamationMarkTilde
        | Token::ExclamationMarkTildeAsterisk
        | Token::DoubleTilde
        | Token::DoubleTildeAsterisk
        | Token::ExclamationMarkDoubleTilde
        | Token::ExclamationMarkDoubleTildeAsterisk
        | Token::CaretAt
        | Token::Sharp
        | Token::ShiftLeft
        | Token::ShiftRight => OTHER,
        Token::Word(word) if word.keyword == Keyword::OPERATOR => OTHER,
        Token::Word(word) if word.keyword == Keyword::OVERLAPS => OTHER,
        token if short_test(token).is_some() => IS,
        _ => return None,
    })
}

/// PostgreSQL's `a ISNULL` and `a NOTNULL`; elsewhere the word would give `a` another name.
fn short_test(token: &Token) -> Option<fn(Box<Expr>) -> Expr> {
    match token {
        Token::Word(word) if word.quote_style.is_some() => None,
        Token::Word(word) if word.value.eq_ignore_ascii_case("isnull") => Some(Expr::IsNull),
        Token::Word(word) if word.value.eq_ignore_ascii_case("notnull") => Some(Expr::IsNotNull),
        _ => None,
    }
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword)
}

/// Whether BETWEEN or NOT BETWEEN comes next.
pub(super) fn is_between(parser: &Parser) -> bool {
    let next = &parser.peek_token_ref().token;
    is_keyword(next, Keyword::BETWEEN)
        || (is_keyword(next, Keyword::NOT)
            && is_keyword(&parser.peek_nth_token_ref(1).token, Keyword::BETWEEN))
}

fn refused(text: String) -> Option<Result<Expr, ParserError>> {
    Some(Err(ParserError::ParserError(text)))
}

fn unary(op: UnaryOperator, expr: Expr) -> Expr {
    Expr::UnaryOp { op, expr: Box::new(expr) }
}

/// What begins with an operator of one operand.
pub(super) fn prefix(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let (op, level) = match &parser.peek_token_ref().token {
        Token::Minus => (UnaryOperator::Minus, SIGN),
        Token::Plus => (UnaryOperator::Plus, SIGN),
        Token::Tilde => (UnaryOperator::BitwiseNot, OTHER),
        Token::Word(word) if word.keyword == Keyword::NOT => (UnaryOperator::Not, NOT),
        Token::AtSign => return refused("there is no operator @ of one operand: write abs(x)".to_owned()),
        Token::PGSquareRoot => return refused("there is no operator |/: write sqrt(x)".to_owned()),
        Token::PGCubeRoot => return refused("there is no operator ||/: write cbrt(x)".to_owned()),
        _ => return None,
    };
    parser.advance_token();
    Some(parser.parse_subexpr(level).map(|operand| match (op, operand) {
        (UnaryOperator::Not, Expr::Exists { subquery, negated: false }) => {
            Expr::Exists { subquery, negated: true }
        }
        // all bits turned over, for which the engine has no operator
        (UnaryOperator::BitwiseNot, operand) => Expr::BinaryOp {
            left: Box::new(operand),
            op: BinaryOperator::PGBitwiseXor,
            right: Box::new(unary(UnaryOperator::Minus, Expr::value(Value::Number("1".to_owned(), false)))),
        },
        (op, operand) => unary(op, operand),
    }))
}

/// What goes on with an operator that the parser lacks, or whose right side it reads too far.
pub(super) fn infix(parser: &mut Parser, left: &Expr) -> Option<Result<Expr, ParserError>> {
    let copy = || Box::new(stacker::maybe_grow(COPY_STACK, COPY_STACK, || left.clone()));
    let next = &parser.peek_token_ref().token;
    if let Some(test) = short_test(next) {
        parser.advance_token();
        return Some(Ok(test(copy())));
    }
    match next {
        Token::Sharp => {
            parser.advance_token();
            let right = parser.parse_subexpr(OTHER);
            Some(right.map(|right| Expr::BinaryOp {
                left: copy(),
                op: BinaryOperator::PGBitwiseXor,
                right: Box::new(right),
            }))
        }
        Token::Word(word) if word.keyword == Keyword::SIMILAR => refused(SIMILAR.to_owned()),
        Token::Word(word)
            if word.keyword == Keyword::NOT
                && is_keyword(&parser.peek_nth_token_ref(1).token, Keyword::SIMILAR) =>
        {
            refused(SIMILAR.to_owned())
        }
        Token::Word(word) if word.keyword == Keyword::IS => {
            if matches!(left, Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..)) {
                return refused(
                    "IS can't follow IS DISTINCT FROM: put one of the two in parentheses".to_owned(),
                );
            }
            let is_negated = is_keyword(&parser.peek_nth_token_ref(1).token, Keyword::NOT);
            let at = 1 + usize::from(is_negated);
            if !is_keyword(&parser.peek_nth_token_ref(at).token, Keyword::DISTINCT)
                || !is_keyword(&parser.peek_nth_token_ref(at + 1).token, Keyword::FROM)
            {
                return None;
            }
            (0..at + 2).for_each(|_| parser.advance_token());
            Some(parser.parse_subexpr(IS).map(|right| match is_negated {
                true => Expr::IsNotDistinctFrom(copy(), Box::new(right)),
                false => Expr::IsDistinctFrom(copy(), Box::new(right)),
            }))
        }
        _ => None,
    }
}
