//! Filters (RFC 7644, 3.4.2.2).

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::errors::{Checked, Refused};
use super::paths;
use super::schema::{Access, Attribute, Kind, Schemas};

/// A condition on a resource, or on one value of a multi-valued attribute.
#[derive(Debug)]
pub enum Filter<'s> {
    And(Box<Filter<'s>>, Box<Filter<'s>>),
    Or(Box<Filter<'s>>, Box<Filter<'s>>),
    Not(Box<Filter<'s>>),
    Compare(Place<'s>, Operator, Value),
    Present(Place<'s>),
    /// One value of the attribute fulfils the whole condition.
    Each(Place<'s>, Box<Filter<'s>>),
}

/// Where the compared values are.
#[derive(Debug)]
pub struct Place<'s> {
    urn: Option<&'s str>,
    attribute: &'s Attribute,
    part: Option<&'s Attribute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

const OPERATORS: [(&str, Operator); 9] = [
    ("eq", Operator::Equal),
    ("ne", Operator::NotEqual),
    ("co", Operator::Contains),
    ("sw", Operator::StartsWith),
    ("ew", Operator::EndsWith),
    ("gt", Operator::Greater),
    ("ge", Operator::GreaterOrEqual),
    ("lt", Operator::Less),
    ("le", Operator::LessOrEqual),
];

impl Operator {
    fn name(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| *name)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Sign(char),
    Word(String),
    Literal(String),
}

fn tokens(text: &str) -> Checked<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == ' ' {
            rest = &rest[1..];
        } else if "()[]".contains(first) {
            found.push(Token::Sign(first));
            rest = &rest[1..];
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            let end = end.ok_or_else(|| Refused::filter("A quotation mark is missing"))? + 2;
            let text = serde_json::from_str(&rest[..end])
                .map_err(|_| Refused::filter("A text in the filter is not valid"))?;
            found.push(Token::Literal(text));
            rest = &rest[end..];
        } else {
            let end = rest.find([' ', '(', ')', '[', ']', '"']).unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Ok(found)
}

/// What the names in a filter mean.
#[derive(Clone, Copy)]
enum Scope<'s> {
    Users(&'s Schemas),
    Parts(&'s Attribute),
}

struct Reader<'s> {
    tokens: std::vec::IntoIter<Token>,
    scope: Scope<'s>,
}

impl<'s> Reader<'s> {
    fn new(text: &str, scope: Scope<'s>) -> Checked<Self> {
        Ok(Self { tokens: tokens(text)?.into_iter(), scope })
    }

    fn next_is(&self, word: &str) -> bool {
        matches!(self.tokens.as_slice().first(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word))
    }

    fn sign(&mut self, sign: char) -> Checked<()> {
        match self.tokens.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            _ => Err(Refused::filter(format!("{sign} is missing in the filter"))),
        }
    }

    /// Reads the whole text.
    fn all(mut self) -> Checked<Filter<'s>> {
        let filter = self.either()?;
        match self.tokens.next() {
            None => Ok(filter),
            Some(_) => Err(Refused::filter("The filter has more than one expression")),
        }
    }

    fn either(&mut self) -> Checked<Filter<'s>> {
        let mut filter = self.both()?;
        while self.next_is("or") {
            self.tokens.next();
            filter = Filter::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    fn both(&mut self) -> Checked<Filter<'s>> {
        let mut filter = self.one()?;
        while self.next_is("and") {
            self.tokens.next();
            filter = Filter::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Checked<Filter<'s>> {
        match self.tokens.next() {
            Some(Token::Sign('(')) => {
                let filter = self.either()?;
                self.sign(')')?;
                Ok(filter)
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("not") => {
                self.sign('(')?;
                let filter = self.either()?;
                self.sign(')')?;
                Ok(Filter::Not(Box::new(filter)))
            }
            Some(Token::Word(name)) => self.condition(&name),
            _ => Err(Refused::filter("An attribute is missing in the filter")),
        }
    }

    fn place(&self, name: &str) -> Option<Place<'s>> {
        match self.scope {
            Scope::Users(schemas) => {
                let target = paths::plain(schemas, name)?;
                let urn = target.extension.map(|extension| extension.urn.as_str());
                Some(Place { urn, attribute: target.attribute?, part: target.part })
            }
            Scope::Parts(attribute) => {
                Some(Place { urn: None, attribute: attribute.part(name)?, part: None })
            }
        }
    }

    fn condition(&mut self, name: &str) -> Checked<Filter<'s>> {
        let place = self
            .place(name)
            .ok_or_else(|| Refused::filter(format!("There is no attribute {name}")))?;
        if place.attribute.access == Access::WriteOnly {
            return Err(Refused::sensitive(format!("{name} cannot be filtered")));
        }
        match self.tokens.next() {
            Some(Token::Sign('[')) if place.attribute.many && place.part.is_none() => {
                let outer = std::mem::replace(&mut self.scope, Scope::Parts(place.attribute));
                let inner = self.either()?;
                self.scope = outer;
                self.sign(']')?;
                Ok(Filter::Each(place, Box::new(inner)))
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("pr") => {
                Ok(Filter::Present(place))
            }
            Some(Token::Word(word)) => {
                let operator = OPERATORS
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(&word))
                    .map(|(_, operator)| *operator)
                    .ok_or_else(|| Refused::filter(format!("There is no operator {word}")))?;
                let value = match self.tokens.next() {
                    Some(Token::Literal(text)) => Value::String(text),
                    Some(Token::Word(word)) => serde_json::from_str(&word).map_err(|_| {
                        Refused::filter(format!("{word} is neither quoted nor a number"))
                    })?,
                    _ => return Err(Refused::filter("A value is missing in the filter")),
                };
                compared(place, operator, value)
            }
            _ => Err(Refused::filter("An operator is missing in the filter")),
        }
    }
}

/// Checks that the attribute can be compared in this way.
fn compared(mut place: Place<'_>, operator: Operator, value: Value) -> Checked<Filter<'_>> {
    if place.part.is_none() && place.attribute.kind == Kind::Complex {
        // A multi-valued attribute is compared by its values.
        place.part = place.attribute.part("value").filter(|_| place.attribute.many);
    }
    let kind = place.kind();
    let ordered = matches!(kind, Kind::Text | Kind::Reference | Kind::Integer | Kind::DateTime);
    let fits = match operator {
        Operator::Equal | Operator::NotEqual => kind != Kind::Complex,
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            matches!(kind, Kind::Text | Kind::Reference)
        }
        _ => ordered,
    };
    let typed = match kind {
        _ if value.is_null() => matches!(operator, Operator::Equal | Operator::NotEqual),
        Kind::Boolean => value.is_boolean(),
        Kind::Integer => value.is_number(),
        Kind::DateTime => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        _ => value.is_string(),
    };
    if fits && typed {
        Ok(Filter::Compare(place, operator, value))
    } else {
        Err(Refused::filter(format!("{} cannot be compared in this way", place.name())))
    }
}

impl Place<'_> {
    fn kind(&self) -> Kind {
        self.part.unwrap_or(self.attribute).kind
    }

    /// Returns the path, such as `emails.value`.
    fn name(&self) -> String {
        let prefix = self.urn.map(|urn| format!("{urn}:")).unwrap_or_default();
        let part = self.part.map(|part| format!(".{}", part.name)).unwrap_or_default();
        format!("{prefix}{}{part}", self.attribute.name)
    }

    fn values<'v>(&self, resource: &'v Map<String, Value>) -> Vec<&'v Value> {
        let holder = match self.urn {
            Some(urn) => resource.get(urn).and_then(Value::as_object),
            None => Some(resource),
        };
        let value = holder.and_then(|holder| holder.get(&self.attribute.name));
        let all = match value {
            Some(Value::Array(all)) => all.iter().collect(),
            Some(value) => vec![value],
            None => Vec::new(),
        };
        match self.part {
            Some(part) => all.into_iter().filter_map(|value| value.get(&part.name)).collect(),
            None => all,
        }
    }

    fn holds(&self, operator: Operator, wanted: &Value, value: &Value, exact: bool) -> bool {
        let order = match (self.kind(), value, wanted) {
            (Kind::DateTime, Value::String(a), Value::String(b)) => {
                match (a.parse::<Timestamp>(), b.parse::<Timestamp>()) {
                    (Ok(a), Ok(b)) => a.cmp(&b),
                    _ => return false,
                }
            }
            (_, Value::String(a), Value::String(b)) => {
                let (a, b) = if exact || self.part.unwrap_or(self.attribute).exact {
                    (a.clone(), b.clone())
                } else {
                    (a.to_lowercase(), b.to_lowercase())
                };
                match operator {
                    Operator::Contains => return a.contains(&b),
                    Operator::StartsWith => return a.starts_with(&b),
                    Operator::EndsWith => return a.ends_with(&b),
                    _ => a.cmp(&b),
                }
            }
            (_, Value::Number(a), Value::Number(b)) => {
                match a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)) {
                    Some(order) => order,
                    None => return false,
                }
            }
            (_, a, b) if a == b => Ordering::Equal,
            _ => return false,
        };
        match operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            _ => false,
        }
    }
}

impl<'s> Filter<'s> {
    /// Reads a filter of users.
    pub fn of_users(schemas: &'s Schemas, text: &str) -> Checked<Self> {
        Reader::new(text, Scope::Users(schemas))?.all()
    }

    /// Reads a filter of the values of a multi-valued attribute.
    pub fn of_parts(attribute: &'s Attribute, text: &str) -> Checked<Self> {
        Reader::new(text, Scope::Parts(attribute))?.all()
    }

    /// Returns whether it holds. With `exact` upper and lower case differ in every attribute.
    pub fn holds(&self, resource: &Map<String, Value>, exact: bool) -> bool {
        match self {
            Self::And(one, other) => one.holds(resource, exact) && other.holds(resource, exact),
            Self::Or(one, other) => one.holds(resource, exact) || other.holds(resource, exact),
            Self::Not(one) => !one.holds(resource, exact),
            Self::Present(place) => place.values(resource).into_iter().any(is_something),
            Self::Each(place, inner) => place
                .values(resource)
                .into_iter()
                .filter_map(Value::as_object)
                .any(|value| inner.holds(value, exact)),
            Self::Compare(place, operator, wanted) => {
                let equal = |wanted: &Value| {
                    let values = place.values(resource);
                    if wanted.is_null() {
                        return values.is_empty();
                    }
                    values.iter().any(|value| place.holds(Operator::Equal, wanted, value, exact))
                };
                match operator {
                    Operator::Equal => equal(wanted),
                    Operator::NotEqual => !equal(wanted),
                    _ => place
                        .values(resource)
                        .iter()
                        .any(|value| place.holds(*operator, wanted, value, exact)),
                }
            }
        }
    }

    /// Calls `seen` with the path and the operator of every condition, and with every `and`, `or`
    /// and `not`.
    pub fn visit(&self, seen: &mut dyn FnMut(Option<String>, &str)) {
        match self {
            Self::And(one, other) => {
                seen(None, "and");
                one.visit(seen);
                other.visit(seen);
            }
            Self::Or(one, other) => {
                seen(None, "or");
                one.visit(seen);
                other.visit(seen);
            }
            Self::Not(one) => {
                seen(None, "not");
                one.visit(seen);
            }
            Self::Compare(place, operator, _) => seen(Some(place.name()), operator.name()),
            Self::Present(place) => seen(Some(place.name()), "pr"),
            Self::Each(place, _) => seen(Some(place.name()), "[]"),
        }
    }

    /// Returns the parts that a value must have to fulfil a filter of equalities.
    pub fn equalities(&self) -> Option<Map<String, Value>> {
        match self {
            Self::Compare(place, Operator::Equal, value) if !value.is_null() => {
                Some(Map::from_iter([(place.attribute.name.clone(), value.clone())]))
            }
            Self::And(one, other) => {
                let mut parts = one.equalities()?;
                parts.extend(other.equalities()?);
                Some(parts)
            }
            _ => None,
        }
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ann() -> Map<String, Value> {
        let ann = json!({
            "id": "1", "userName": "Ann@example.com", "externalId": "Key-1", "active": true,
            "name": {"familyName": "O'Malley \"Q\""},
            "emails": [{"type": "work", "value": "ann@example.com"}, {"type": "home", "value": "ann@example.org"}],
            "meta": {"lastModified": "2026-11-24T09:00:00.5Z"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Ops", "manager": {"value": "2"}},
            "urn:example:params:scim:schemas:extension:company:2.0:User": {"floor": 3},
        });
        ann.as_object().unwrap().clone()
    }

    #[test]
    fn filters_hold_as_the_standard_says() {
        let schemas = Schemas::default();
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let holds = [
            "userName eq \"ann@EXAMPLE.com\"",
            "USERNAME Eq \"ann@example.com\"",
            "externalId eq \"Key-1\"",
            "not (externalId eq \"key-1\")",
            "externalId ne \"key-1\"",
            "name.familyName co \"\\\"q\"",
            "userName sw \"ann\" and userName ew \".com\"",
            "title pr or active eq true",
            "title pr and title pr or active eq true",
            "active eq true or title pr and title pr",
            "title eq null",
            "emails co \"example.org\"",
            "emails.type eq \"home\"",
            "emails[type eq \"work\" and value ew \".com\"]",
            "not (emails[type eq \"work\" and value ew \".org\"])",
            "(userName pr and (active eq true))",
            "meta.lastModified ge \"2026-11-24T09:00:00.500Z\"",
            "meta.lastModified lt \"2026-11-24T10:00:00+00:00\"",
            &format!("{urn}:department eq \"ops\""),
            &format!("{urn}:manager.value eq \"2\""),
            "urn:ietf:params:scim:schemas:core:2.0:User:userName pr",
            "urn:example:params:scim:schemas:extension:company:2.0:User:floor gt 2.5",
        ];
        for text in holds {
            let filter = Filter::of_users(&schemas, text);
            assert!(
                filter.unwrap_or_else(|why| panic!("{text}: {why:?}")).holds(&ann(), false),
                "{text}"
            );
        }
        let never = "userName eq \"ann@example.com\"";
        assert!(!Filter::of_users(&schemas, never).unwrap().holds(&ann(), true));
    }

    #[test]
    fn a_filter_that_is_not_in_the_grammar_is_refused() {
        let schemas = Schemas::default();
        for text in [
            "",
            "userName",
            "userName eq",
            "userName eq ann",
            "userName eq 'ann'",
            "userName is \"ann\"",
            "nothing eq \"ann\"",
            "userName eq \"ann",
            "userName eq \"ann\" and",
            "userName eq \"a\" userName eq \"b\"",
            "not userName eq \"ann\"",
            "(userName pr",
            "active gt true",
            "active eq \"true\"",
            "name eq \"ann\"",
            "emails[type eq \"work\"",
            "title[type eq \"work\"]",
            "meta.lastModified gt \"yesterday\"",
            "userName eq true",
        ] {
            let refused = Filter::of_users(&schemas, text).expect_err(text);
            assert_eq!((refused.status, refused.kind), (400, Some("invalidFilter")), "{text}");
        }
        let secret = Filter::of_users(&schemas, "password eq \"x\"").unwrap_err();
        assert_eq!((secret.status, secret.kind), (403, Some("sensitive")));
    }
}
