//! Pages, filters, searches and selected fields.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::state::State;
use super::users::{User, Users};
use crate::front::{Answer, Call};

type Checked<T> = Result<T, Answer>;

/// A sibling route refuses more, and the published parameter says "Limited to 100".
const MOST: usize = 100;
const USUAL: usize = 10;

/// One condition on a member.
struct Term {
    field: String,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Operator {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "$eq" => Self::Eq,
            "$ne" => Self::Ne,
            "$gt" => Self::Gt,
            "$gte" => Self::Gte,
            "$lt" => Self::Lt,
            "$lte" => Self::Lte,
            _ => return None,
        })
    }
}

/// Returns a member as filters and sorting use it, with upper and lower case.
fn text_of(user: &User, field: &str) -> String {
    match field {
        "_id" | "id" => user.id.clone(),
        _ => match user.members.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        },
    }
}

/// Returns whether a filter accepts this member: not an array, and not an object.
fn is_field(name: &str) -> bool {
    let keys = [
        "_id",
        "id",
        "email",
        "username",
        "state",
        "suspended",
        "password_expiration_date",
        "unix_uid",
        "unix_guid",
    ];
    let defaults = Users::defaults(Timestamp::UNIX_EPOCH);
    keys.contains(&name)
        || defaults.get(name).is_some_and(|value| !value.is_array() && !value.is_object())
}

impl Term {
    /// Reads `<field>:<operator>:<value>`. Without the dollar sign the behaviour is undefined, so
    /// it is refused here.
    fn read(state: &State, text: &str) -> Checked<Self> {
        let bad = || state.refuse(400, "Bad Request: filter is invalid");
        let mut parts = text.splitn(3, ':');
        let (Some(field), Some(operator), Some(value)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let operator = Operator::read(operator).ok_or_else(bad)?;
        if !is_field(field) {
            return Err(bad());
        }
        Ok(Self { field: field.to_owned(), operator, value: value.to_owned() })
    }

    /// Reads a condition of a search: `{"field": "value"}` or `{"field": {"$gt": "value"}}`.
    fn of_search(state: &State, field: &str, value: &Value) -> Checked<Vec<Self>> {
        let bad = || state.refuse(400, "Bad Request: filter is invalid");
        if !is_field(field) {
            return Err(bad());
        }
        let plain = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        };
        let term = |operator, value| {
            Ok(Self { field: field.to_owned(), operator, value: plain(value).ok_or_else(bad)? })
        };
        match value {
            Value::Object(operators) => operators
                .iter()
                .map(|(operator, value)| term(Operator::read(operator).ok_or_else(bad)?, value))
                .collect(),
            value => Ok(vec![term(Operator::Eq, value)?]),
        }
    }

    fn holds(&self, user: &User) -> bool {
        let order = text_of(user, &self.field).cmp(&self.value);
        match self.operator {
            Operator::Eq => order == Ordering::Equal,
            Operator::Ne => order != Ordering::Equal,
            Operator::Gt => order == Ordering::Greater,
            Operator::Gte => order != Ordering::Less,
            Operator::Lt => order == Ordering::Less,
            Operator::Lte => order != Ordering::Greater,
        }
    }
}

/// The parameters of a listing or a search.
#[derive(Default)]
struct Asked {
    all: Vec<Term>,
    any: Vec<Term>,
    limit: usize,
    skip: usize,
    sort: Vec<(bool, String)>,
    fields: Vec<String>,
    /// Members that are never shown.
    hidden: &'static [&'static str],
    /// The words, and the members in which they may be.
    words: Option<(Vec<String>, Vec<String>)>,
}

impl Asked {
    fn number(state: &State, name: &str, value: &str) -> Checked<usize> {
        let number = value.parse().map_err(|_| {
            state
                .refuse(400, &format!("Bad Request: request parameter \"{name}\" must be a number"))
        })?;
        if name == "limit" && number > MOST {
            return Err(state.refuse(
                400,
                "Bad Request: request parameter \"limit\" exceeds maximum value of 100",
            ));
        }
        Ok(number)
    }

    fn words(text: &str) -> Vec<String> {
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn sorted_by(text: &str) -> Vec<(bool, String)> {
        Self::words(text)
            .into_iter()
            .map(|word| {
                word.strip_prefix('-').map_or((false, word.clone()), |name| (true, name.to_owned()))
            })
            .collect()
    }

    fn of_query(state: &State, call: &Call) -> Checked<Self> {
        let mut asked = Self { limit: USUAL, ..Self::default() };
        for (name, value) in call.pairs() {
            match name.as_str() {
                "limit" => asked.limit = Self::number(state, "limit", &value)?,
                "skip" => asked.skip = Self::number(state, "skip", &value)?,
                "sort" => asked.sort = Self::sorted_by(&value),
                "fields" => asked.fields = Self::words(&value),
                name if name.starts_with("filter[or]") => {
                    asked.any.push(Term::read(state, &value)?)
                }
                name if name == "filter" || name.starts_with("filter[") => {
                    if !value.is_empty() {
                        asked.all.push(Term::read(state, &value)?);
                    }
                }
                _ => {
                    return Err(state.refuse(
                        400,
                        &format!("Bad Request: unknown request parameter \"{name}\""),
                    ));
                }
            }
        }
        Ok(asked)
    }

    fn of_search(state: &State, call: &Call) -> Checked<Self> {
        let bad = |what: &str| state.refuse(400, &format!("Bad Request: {what} is invalid"));
        if call.media_type().as_deref() != Some("application/json") {
            return Err(bad("Content-Type"));
        }
        let given: Map<String, Value> =
            serde_json::from_slice(&call.body).map_err(|_| bad("body"))?;
        // `systemuserSearchReturn` has everything else.
        let mut asked = Self { limit: USUAL, hidden: &["delegatedAuthority"], ..Self::default() };
        for (name, value) in &given {
            let text = || value.as_str().map(str::to_owned).ok_or_else(|| bad(name));
            let number =
                || value.as_u64().map(|number| number.to_string()).ok_or_else(|| bad(name));
            match name.as_str() {
                "limit" => asked.limit = Self::number(state, "limit", &number()?)?,
                "skip" => asked.skip = Self::number(state, "skip", &number()?)?,
                "sort" => asked.sort = Self::sorted_by(&text()?),
                "fields" => asked.fields = Self::words(&text()?),
                "filter" => asked.filter(state, value)?,
                "searchFilter" => {
                    let texts = |value: &Value| match value {
                        Value::String(text) => Some(vec![text.clone()]),
                        Value::Array(all) => {
                            all.iter().map(|one| one.as_str().map(str::to_owned)).collect()
                        }
                        _ => None,
                    };
                    let (terms, fields) = (texts(&value["searchTerm"]), texts(&value["fields"]));
                    asked.words = Some(terms.zip(fields).ok_or_else(|| bad(name))?);
                }
                _ => return Err(bad(name)),
            }
        }
        for (name, value) in call.pairs() {
            match name.as_str() {
                "limit" => asked.limit = Self::number(state, "limit", &value)?,
                "skip" => asked.skip = Self::number(state, "skip", &value)?,
                "fields" => asked.fields = Self::words(&value),
                _ => return Err(bad(&name)),
            }
        }
        Ok(asked)
    }

    /// `{"and": [..]}`, `{"or": [..]}` or a list of conditions that all have to hold.
    fn filter(&mut self, state: &State, filter: &Value) -> Checked<()> {
        let bad = || state.refuse(400, "Bad Request: filter is invalid");
        let (conditions, any) = match filter {
            Value::Array(conditions) => (conditions, false),
            Value::Object(members) if members.is_empty() => return Ok(()),
            Value::Object(members) if members.len() == 1 => {
                match (members.get("and"), members.get("or")) {
                    (Some(Value::Array(conditions)), None) => (conditions, false),
                    (None, Some(Value::Array(conditions))) => (conditions, true),
                    _ => return Err(bad()),
                }
            }
            _ => return Err(bad()),
        };
        for condition in conditions {
            for (field, value) in condition.as_object().ok_or_else(bad)? {
                let terms = Term::of_search(state, field, value)?;
                if any { self.any.extend(terms) } else { self.all.extend(terms) }
            }
        }
        Ok(())
    }

    fn holds(&self, user: &User) -> bool {
        let words = self.words.as_ref().is_none_or(|(terms, fields)| {
            let has = |term: &String| {
                fields
                    .iter()
                    .any(|field| text_of(user, field).to_lowercase().contains(&term.to_lowercase()))
            };
            terms.iter().any(has)
        });
        words
            && self.all.iter().all(|term| term.holds(user))
            && (self.any.is_empty() || self.any.iter().any(|term| term.holds(user)))
    }

    fn shown(&self, user: &User) -> Value {
        let mut value = user.value();
        value.retain(|name, _| !self.hidden.contains(&name.as_str()));
        if !self.fields.is_empty() {
            value.retain(|name, _| name == "_id" || self.fields.contains(name));
        }
        Value::Object(value)
    }

    fn answer(&self, state: &State, lag: i64, now: Timestamp) -> Answer {
        let mut found: Vec<&User> =
            state.users.rows().filter(|user| !user.younger(lag, now) && self.holds(user)).collect();
        let total = found.len();
        for (descending, name) in self.sort.iter().rev() {
            found.sort_by(|a, b| {
                let order = text_of(a, name).cmp(&text_of(b, name));
                if *descending { order.reverse() } else { order }
            });
        }
        let results: Vec<Value> = found
            .into_iter()
            .skip(self.skip)
            .take(self.limit)
            .map(|user| self.shown(user))
            .collect();
        Answer::json(200, &json!({"totalCount": total, "results": results}))
    }
}

/// Handles `GET /systemusers`.
pub fn list(state: &State, call: &Call, now: Timestamp) -> Answer {
    match Asked::of_query(state, call) {
        Ok(asked) => asked.answer(state, state.quirks.list_lag_seconds, now),
        Err(refused) => refused,
    }
}

/// Handles `POST /search/systemusers`.
pub fn search(state: &State, call: &Call, now: Timestamp) -> Answer {
    match Asked::of_search(state, call) {
        Ok(asked) => asked.answer(state, state.quirks.search_lag_seconds, now),
        Err(refused) => refused,
    }
}

/// Handles `GET /systemusers/{id}`.
pub fn get(state: &State, call: &Call, id: &str) -> Answer {
    let Some(user) = state.users.get(id) else { return state.refuse(404, "Not Found") };
    let mut asked = Asked::default();
    for (name, value) in call.pairs() {
        match name.as_str() {
            "fields" => asked.fields = Asked::words(&value),
            "filter" => {}
            _ => {
                return state
                    .refuse(400, &format!("Bad Request: unknown request parameter \"{name}\""));
            }
        }
    }
    Answer::json(200, &asked.shown(user))
}
