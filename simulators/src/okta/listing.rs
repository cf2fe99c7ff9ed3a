//! Lists, searches, pages and selected fields, and one user.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::quirks::Next;
use super::search::{self, Dialect, Expression};
use super::state::State;
use super::users::{Status, User};
use super::{errors, render};
use crate::front::{Answer, Call};

type Checked<T> = Result<T, Answer>;

/// A page has 200 users at most; a larger limit is cut.
const MOST: usize = 200;

/// The page of `q` without a limit.
const FEW: usize = 10;

/// What a listing asks for.
enum Asked {
    /// Every user that is not DEPROVISIONED.
    All,
    Found(Expression),
    /// A name or an address begins so.
    Begins(String),
}

/// The fields that an answer has: the user's own, and those of the profile.
#[derive(Default)]
struct Fields {
    own: Vec<String>,
    profile: Option<Vec<String>>,
}

impl Fields {
    /// Reads `id,status,profile:(login,employeeNumber)`.
    fn read(text: &str) -> Option<Self> {
        let mut fields = Self::default();
        let names = |text: &str| -> Vec<String> {
            text.split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        };
        match text.split_once("profile:(") {
            None => fields.own = names(text),
            Some((before, rest)) => {
                let (profile, after) = rest.split_once(')')?;
                fields.own = [names(before), names(after)].concat();
                fields.profile = Some(names(profile));
            }
        }
        let right = |name: &String| !name.contains(['(', ')', ':']);
        fields.own.iter().all(right).then_some(fields)
    }

    fn keep(&self, row: &mut Map<String, Value>) {
        let whole = self.own.iter().any(|name| name == "profile");
        row.retain(|name, _| {
            name == "id" || self.own.contains(name) || (name == "profile" && self.profile.is_some())
        });
        if let (Some(names), false) = (&self.profile, whole)
            && let Some(profile) = row.get_mut("profile").and_then(Value::as_object_mut)
        {
            profile.retain(|name, _| names.contains(name));
        }
    }
}

/// Removes what the caller asked to leave out, in the media type of the request.
fn slim(call: &Call, row: &mut Map<String, Value>) {
    let media = call.header("content-type").unwrap_or_default();
    for (option, member) in
        [("omitCredentials", "credentials"), ("omitTransitioningToStatus", "transitioningToStatus")]
    {
        let options = media.split_once("okta-response=").map_or("", |(_, options)| options);
        if options.split([',', '"', ';', ' ']).any(|given| given == option) {
            row.remove(member);
        }
    }
}

/// The page that a cursor names: everything after so many users, or after a user.
fn cursor(text: &str) -> Option<String> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    text.starts_with("00u").then_some(text)
}

/// Handles `GET /api/v1/users`.
pub fn list(state: &State, call: &Call, base: &str, now: Timestamp) -> Answer {
    match page(state, call, base, now) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn page(state: &State, call: &Call, base: &str, now: Timestamp) -> Checked<Answer> {
    let pairs = call.pairs();
    let given = |name: &str| {
        let mut found = pairs.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let asked = asked(state, given("search"), given("filter"), given("q"))?;
    let limit = match given("limit").map(str::parse::<usize>) {
        None if matches!(asked, Asked::Begins(_)) => FEW,
        None => MOST,
        Some(Ok(limit)) if limit > 0 => limit.min(MOST),
        Some(_) => return Err(errors::known("E0000029")),
    };
    let fields = given("fields")
        .map(|text| Fields::read(text).ok_or_else(|| errors::known("E0000031")))
        .transpose()?;
    let mut found: Vec<&User> = state
        .users
        .indexed(state.quirks.search_lag_seconds, now)
        .into_iter()
        .filter(|user| holds(&asked, user))
        .collect();
    if let Some(sort) = given("sortBy") {
        if !matches!(asked, Asked::Found(_)) || !search::is_property(sort, &state.schema) {
            return Err(errors::known("E0000031"));
        }
        // Equal values are ordered by id, which is the order of before.
        found.sort_by(|one, other| {
            let order =
                search::compare(&search::property(one, sort), &search::property(other, sort));
            if given("sortOrder") == Some("desc") { order.reverse() } else { order }
        });
    }
    let from = match given("after") {
        None => 0,
        Some(after) => {
            let after = cursor(after).ok_or_else(|| errors::known("E0000029"))?;
            match given("sortBy") {
                Some(_) => found.iter().position(|user| user.id == after).map_or(0, |at| at + 1),
                None => found.partition_point(|user| user.id <= after),
            }
        }
    };
    let rows: Vec<&User> = found.iter().skip(from).take(limit).copied().collect();
    let shown: Vec<Value> = rows
        .iter()
        .map(|user| {
            let mut row = render::row(user, base);
            slim(call, &mut row);
            if let Some(fields) = &fields {
                fields.keep(&mut row);
            }
            Value::Object(row)
        })
        .collect();
    let here = address(call, base, given("after"));
    let mut answer =
        Answer::json(200, &json!(shown)).with("link", format!("<{here}>; rel=\"self\""));
    let more = found.len() > from + rows.len() && !matches!(asked, Asked::Begins(_));
    let next = match (state.quirks.next, rows.last()) {
        (Next::SamePage, _) if !more => Some(here),
        (Next::OtherHost, Some(last)) if more => {
            Some(address(call, "https://elsewhere.example.com", Some(&encoded(&last.id))))
        }
        (_, Some(last)) if more => Some(address(call, base, Some(&encoded(&last.id)))),
        _ => None,
    };
    if let Some(next) = next {
        answer = answer.with("link", format!("<{next}>; rel=\"next\""));
    }
    Ok(answer)
}

fn encoded(id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(id)
}

/// Returns the address of this call with another cursor.
fn address(call: &Call, base: &str, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in call.pairs().iter().filter(|(name, _)| name != "after") {
        query.append_pair(name, value);
    }
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}{}{mark}{query}", call.path)
}

fn asked(
    state: &State,
    search: Option<&str>,
    filter: Option<&str>,
    begins: Option<&str>,
) -> Checked<Asked> {
    let read = |text, dialect| {
        search::read(text, &state.schema, dialect)
            .map(Asked::Found)
            .ok_or_else(|| errors::known("E0000031"))
    };
    match (search, filter, begins) {
        (None, None, None) => Ok(Asked::All),
        (Some(text), None, None) => read(text, Dialect::Search),
        (None, Some(text), None) => read(text, Dialect::Filter),
        (None, None, Some(text)) => Ok(Asked::Begins(text.to_lowercase())),
        _ => Err(errors::known("E0000033")),
    }
}

fn holds(asked: &Asked, user: &User) -> bool {
    let here = user.status != Status::Deprovisioned;
    match asked {
        Asked::All => here,
        Asked::Found(expression) => expression.holds(user),
        Asked::Begins(text) => {
            let mut names = ["firstName", "lastName", "email"].into_iter();
            here && names.any(|name| user.text(name).to_lowercase().starts_with(text))
        }
    }
}

/// Handles `GET /api/v1/users/{id or login}`.
pub fn get(state: &State, call: &Call, key: &str, base: &str) -> Answer {
    let Some(user) = state.users.find(key) else { return errors::missing(key, "User") };
    let mut shown = render::whole(user, base);
    if let Some(shown) = shown.as_object_mut() {
        slim(call, shown);
    }
    Answer::json(200, &shown).with("etag", render::tag(user))
}
