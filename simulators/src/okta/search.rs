//! The expressions of `search` and `filter`: the subset of SCIM filters that Okta documents.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::render;
use super::schema::Schema;
use super::users::User;

/// The two parameters have different rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Every profile attribute; values without case.
    Search,
    /// Seven properties, `eq` only; values with case.
    Filter,
}

/// A parsed expression.
#[derive(Debug)]
pub enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Term(Term),
}

#[derive(Debug)]
pub struct Term {
    dialect: Dialect,
    property: String,
    operator: Operator,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Sw,
    Co,
    Gt,
    Ge,
    Lt,
    Le,
    Pr,
}

const TIMES: [&str; 4] = ["created", "activated", "statusChanged", "lastUpdated"];

const CONTAINED: [&str; 4] =
    ["profile.firstName", "profile.lastName", "profile.email", "profile.login"];

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Open,
    Close,
    Word(String),
    Value(Value),
}

/// Splits an expression; `None` when a text has no end.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            '(' | ')' => {
                pieces.push(if first == '(' { Piece::Open } else { Piece::Close });
                rest = &rest[1..];
            }
            '"' => {
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let value = stream.next()?.ok()?;
                let used = stream.byte_offset();
                pieces.push(Piece::Value(json!(value)));
                rest = &rest[used..];
            }
            _ => {
                let end = rest
                    .find(|letter: char| letter.is_whitespace() || "()\"".contains(letter))
                    .unwrap_or(rest.len());
                pieces.push(Piece::Word(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        rest = rest.trim_start();
    }
    Some(pieces)
}

struct Reader<'a> {
    pieces: std::iter::Peekable<std::vec::IntoIter<Piece>>,
    schema: &'a Schema,
    dialect: Dialect,
}

/// Reads an expression; `None` when it is not one.
pub fn read(text: &str, schema: &Schema, dialect: Dialect) -> Option<Expression> {
    let pieces = pieces(text)?.into_iter().peekable();
    let mut reader = Reader { pieces, schema, dialect };
    let expression = reader.any()?;
    reader.pieces.next().is_none().then_some(expression)
}

/// Returns whether results can be sorted by a property.
pub fn is_property(name: &str, schema: &Schema) -> bool {
    matches!(name, "id" | "status" | "type.id")
        || TIMES.contains(&name)
        || name.strip_prefix("profile.").is_some_and(|name| schema.property(name).is_some())
}

impl Reader<'_> {
    fn takes(&mut self, word: &str) -> bool {
        self.pieces
            .next_if(
                |piece| matches!(piece, Piece::Word(given) if given.eq_ignore_ascii_case(word)),
            )
            .is_some()
    }

    fn any(&mut self) -> Option<Expression> {
        let mut parts = vec![self.all()?];
        while self.takes("or") {
            parts.push(self.all()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Option<Expression> {
        let mut parts = vec![self.one()?];
        while self.takes("and") {
            parts.push(self.one()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn one(&mut self) -> Option<Expression> {
        match self.pieces.next()? {
            Piece::Open => {
                let inner = self.any()?;
                (self.pieces.next()? == Piece::Close).then_some(inner)
            }
            Piece::Word(property) => self.term(property).map(Expression::Term),
            Piece::Close | Piece::Value(_) => None,
        }
    }

    fn term(&mut self, property: String) -> Option<Term> {
        let Piece::Word(operator) = self.pieces.next()? else { return None };
        let operator = match &*operator.to_ascii_lowercase() {
            "eq" => Operator::Eq,
            "sw" => Operator::Sw,
            "co" => Operator::Co,
            "gt" => Operator::Gt,
            "ge" => Operator::Ge,
            "lt" => Operator::Lt,
            "le" => Operator::Le,
            "pr" => Operator::Pr,
            // `ne` is not supported.
            _ => return None,
        };
        let value = if operator == Operator::Pr {
            Value::Null
        } else {
            match self.pieces.next()? {
                Piece::Value(value) => value,
                Piece::Word(word) => {
                    let value: Value = serde_json::from_str(&word).ok()?;
                    (value.is_boolean() || value.is_number()).then_some(value)?
                }
                Piece::Open | Piece::Close => return None,
            }
        };
        let term = Term { dialect: self.dialect, property, operator, value };
        self.is_allowed(&term).then_some(term)
    }

    fn is_allowed(&self, term: &Term) -> bool {
        let name = &*term.property;
        if TIMES.contains(&name)
            && term.operator != Operator::Pr
            && term.value.as_str().is_none_or(|text| text.parse::<Timestamp>().is_err())
        {
            return false;
        }
        match self.dialect {
            Dialect::Search => {
                is_property(name, self.schema)
                    && (term.operator != Operator::Co || CONTAINED.contains(&name))
            }
            Dialect::Filter if name == "lastUpdated" => {
                !matches!(term.operator, Operator::Sw | Operator::Co | Operator::Pr)
            }
            Dialect::Filter => {
                term.operator == Operator::Eq
                    && (matches!(name, "status" | "id") || CONTAINED.contains(&name))
            }
        }
    }
}

/// Returns a property of a user, as searches and sorting use it.
pub fn property(user: &User, name: &str) -> Value {
    match name.strip_prefix("profile.") {
        Some(name) => user.profile.get(name).cloned().unwrap_or_default(),
        None if name == "type.id" => json!(render::TYPE),
        None => render::bare(user).remove(name).unwrap_or_default(),
    }
}

/// Compares two values of one property: texts without case.
pub fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
        (Value::Number(one), Value::Number(other)) => one
            .as_f64()
            .zip(other.as_f64())
            .and_then(|(one, other)| one.partial_cmp(&other))
            .unwrap_or(Ordering::Equal),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (one, other) => one.to_string().cmp(&other.to_string()),
    }
}

impl Expression {
    pub fn holds(&self, user: &User) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(user)),
            Self::All(parts) => parts.iter().all(|part| part.holds(user)),
            Self::Term(term) => match property(user, &term.property) {
                Value::Array(all) => all.iter().any(|one| term.holds(one)),
                value => term.holds(&value),
            },
        }
    }
}

impl Term {
    fn holds(&self, value: &Value) -> bool {
        if self.operator == Operator::Pr {
            return !value.is_null();
        }
        let order = match (value, &self.value) {
            (Value::String(one), Value::String(other)) if TIMES.contains(&&*self.property) => {
                match (one.parse::<Timestamp>(), other.parse::<Timestamp>()) {
                    (Ok(one), Ok(other)) => one.cmp(&other),
                    _ => return false,
                }
            }
            (Value::String(one), Value::String(other)) => {
                let form = |text: &str| match self.dialect {
                    Dialect::Search => text.to_lowercase(),
                    Dialect::Filter => text.to_owned(),
                };
                let (one, other) = (form(one), form(other));
                match self.operator {
                    Operator::Sw => return one.starts_with(&other),
                    Operator::Co => return one.contains(&other),
                    _ => one.cmp(&other),
                }
            }
            (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => {
                compare(value, &self.value)
            }
            _ => return false,
        };
        match self.operator {
            Operator::Eq => order == Ordering::Equal,
            Operator::Gt => order == Ordering::Greater,
            Operator::Ge => order != Ordering::Less,
            Operator::Lt => order == Ordering::Less,
            Operator::Le => order != Ordering::Greater,
            Operator::Sw | Operator::Co | Operator::Pr => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::users::Status;
    use super::*;

    fn finds(text: &str) -> Option<bool> {
        let mut user = User::new("00u1".into(), "2026-11-24T09:00:00Z".parse().unwrap());
        user.status = Status::Active;
        for (name, value) in [("login", "Isaac.Brock@example.com"), ("employeeNumber", "017")] {
            user.profile.insert(name.into(), json!(value));
        }
        read(text, &Schema::default(), Dialect::Search).map(|found| found.holds(&user))
    }

    #[test]
    fn searches_compare_without_case_and_with_accents() {
        for text in [
            r#"profile.login eq "isaac.brock@EXAMPLE.com""#,
            r#"profile.login sw "isaac" and status eq "active""#,
            r#"profile.login co "brock" or id eq "x""#,
            r#"(status lt "STAGED" or status gt "STAGED") and profile.employeeNumber eq "017""#,
            r#"lastUpdated ge "2026-11-24T09:00:00.000Z""#,
            r"profile.employeeNumber pr",
        ] {
            assert_eq!(finds(text), Some(true), "{text}");
        }
        for text in [
            r#"profile.login eq "isáàc.bröck@example.com""#,
            r#"profile.employeeNumber eq "17""#,
            "activated pr",
            r#"lastUpdated gt "2026-11-24T09:00:00.000Z""#,
        ] {
            assert_eq!(finds(text), Some(false), "{text}");
        }
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for text in [
            "",
            "profile.login",
            r#"profile.login ne "x""#,
            r#"profile.Login eq "x""#,
            r#"login eq "x""#,
            r#"profile.department co "x""#,
            r#"profile.login eq "x"#,
            "profile.login eq x",
            r#"(profile.login eq "x""#,
            r#"profile.login eq "x" and"#,
            r#"lastUpdated gt "yesterday""#,
        ] {
            assert_eq!(finds(text), None, "{text}");
        }
    }

    #[test]
    fn filters_know_seven_properties() {
        let read = |text| read(text, &Schema::default(), Dialect::Filter).is_some();
        assert!(read(r#"status eq "DEPROVISIONED" and profile.login eq "x""#));
        assert!(read(r#"lastUpdated gt "2026-11-24T09:00:00.000Z""#));
        assert!(!read(r#"profile.department eq "x""#));
        assert!(!read(r#"profile.login sw "x""#));
    }
}
