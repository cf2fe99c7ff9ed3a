//! Pages, filters and sorting (RFC 7644, 3.4.2 and 3.4.3; RFC 9865).

use std::cmp::Ordering;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::errors::{Checked, Refused};
use super::filter::Filter;
use super::paths;
use super::quirks::{Index, Totals, Unfiltered};
use super::schema::Schemas;
use super::state::State;
use super::users::{Resource, User};
use super::view::{self, Selection};
use super::writes::{base, body};
use crate::front::{Answer, Call};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The number of users on a page when the caller names none.
pub const USUAL: usize = 100;

/// The parameters of a query.
#[derive(Debug, Default)]
pub struct Asked {
    pub filter: Option<String>,
    attributes: Option<String>,
    excluded: Option<String>,
    start: Option<i64>,
    count: Option<i64>,
    cursor: Option<String>,
    sort_by: Option<String>,
    descending: bool,
    /// Parameters that mean nothing here.
    unknown: usize,
}

fn number(name: &str, text: &str) -> Checked<i64> {
    text.parse().map_err(|_| Refused::value(format!("{name} must be a number")))
}

impl Asked {
    /// Reads the query of an address. Parameters that the standard does not have are ignored.
    pub fn of_query(call: &Call) -> Checked<Self> {
        let mut asked = Self::default();
        for (name, value) in call.pairs() {
            asked.set(&name, value)?;
        }
        Ok(asked)
    }

    fn set(&mut self, name: &str, value: String) -> Checked<()> {
        match name {
            "filter" => self.filter = Some(value),
            "attributes" => self.attributes = Some(value),
            "excludedAttributes" => self.excluded = Some(value),
            "startIndex" => self.start = Some(number(name, &value)?),
            "count" => self.count = Some(number(name, &value)?),
            "cursor" => self.cursor = Some(value),
            "sortBy" => self.sort_by = Some(value),
            "sortOrder" if value == "ascending" => self.descending = false,
            "sortOrder" if value == "descending" => self.descending = true,
            "sortOrder" => return Err(Refused::value("sortOrder is ascending or descending")),
            _ => self.unknown += 1,
        }
        Ok(())
    }

    /// Reads the body of a search.
    fn of_search(call: &Call) -> Checked<Self> {
        let given = body(call)?;
        if given.get("schemas") != Some(&json!([SEARCH])) {
            return Err(Refused::syntax("schemas must name SearchRequest"));
        }
        let mut asked = Self::default();
        for (name, value) in given.iter().filter(|(name, _)| *name != "schemas") {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Array(all) => {
                    all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
                }
                _ => return Err(Refused::syntax(format!("{name} has a wrong type"))),
            };
            asked.set(name, text)?;
            if asked.unknown > 0 {
                return Err(Refused::syntax(format!("A search has no member {name}")));
            }
        }
        Ok(asked)
    }

    /// Returns which attributes the caller wants.
    pub fn selection(&self, schemas: &Schemas) -> Checked<Selection> {
        Selection::read(schemas, self.attributes.as_deref(), self.excluded.as_deref())
    }

    /// Returns what a cursor belongs to: the same query, with the same page size.
    fn fingerprint(&self) -> String {
        let Self { filter, attributes, excluded, sort_by, descending, .. } = self;
        format!("{filter:?} {attributes:?} {excluded:?} {sort_by:?} {descending}")
    }
}

/// What a query finds: users, and each as an index has it.
type Found<'u> = Vec<(&'u User, &'u Resource)>;

/// Returns whether this server understands the filter.
fn is_understood(state: &State, filter: &Filter<'_>) -> bool {
    let quirks = &state.quirks.filters;
    let allows = |list: &Option<Vec<String>>, name: &str| {
        list.as_ref().is_none_or(|list| list.iter().any(|known| known.eq_ignore_ascii_case(name)))
    };
    let mut understood = true;
    filter.visit(&mut |name, operator| {
        understood &= allows(&quirks.operators, operator);
        understood &= name.is_none_or(|name| allows(&quirks.attributes, &name));
    });
    understood
}

fn found<'u>(
    state: &'u State,
    asked: &Asked,
    in_address: bool,
    now: Timestamp,
) -> Checked<Found<'u>> {
    let quirks = &state.quirks.filters;
    let all = |lag: i64| {
        state.users.rows().filter_map(move |user| Some((user, user.seen(lag, now)?))).collect()
    };
    let text = match &asked.filter {
        Some(text) if !quirks.ignored => text,
        _ => return Ok(all(state.quirks.paging.lag_seconds)),
    };
    let filter = Filter::of_users(&state.schemas, text)?;
    if !is_understood(state, &filter) {
        return match quirks.otherwise {
            Unfiltered::Refused => Err(Refused::filter("This filter is not supported")),
            Unfiltered::Empty => Ok(Vec::new()),
            Unfiltered::All => Ok(all(state.quirks.paging.lag_seconds)),
        };
    }
    if quirks.sensitive && in_address {
        let mut personal = false;
        filter.visit(&mut |name, _| {
            let name = name.unwrap_or_default();
            personal |= ["userName", "emails", "name"].iter().any(|one| name.starts_with(one));
        });
        if personal {
            return Err(Refused::sensitive("Personal data must not be in the address"));
        }
    }
    let mut found: Found<'u> = all(quirks.lag_seconds);
    found.retain(|(_, resource)| filter.holds(resource, quirks.exact));
    if quirks.most.is_some_and(|most| found.len() > most) {
        return Err(Refused::bad("tooMany", "The filter finds too many users"));
    }
    Ok(found)
}

/// Sorts by the first value of an attribute; users without one are last.
fn sort(state: &State, asked: &Asked, found: &mut Found<'_>) -> Checked<()> {
    let Some(path) = &asked.sort_by else { return Ok(()) };
    let target = paths::plain(&state.schemas, path)
        .filter(|target| target.attribute.is_some())
        .ok_or_else(|| Refused::path(format!("There is no attribute {path}")))?;
    let key = |resource: &Resource| -> Option<String> {
        let holder = match target.extension {
            Some(extension) => resource.get(&extension.urn)?.as_object()?,
            None => resource,
        };
        let attribute = target.attribute?;
        let value = holder.get(&attribute.name)?;
        let value = value.as_array().map_or(Some(value), |all| all.first())?;
        let value = match target.part {
            Some(part) => value.get(&part.name)?,
            None => value.get("value").unwrap_or(value),
        };
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_lowercase))
    };
    found.sort_by(|(_, a), (_, b)| match (key(a), key(b)) {
        (Some(a), Some(b)) if asked.descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) if asked.descending => a.is_some().cmp(&b.is_some()),
        (None, None) => Ordering::Equal,
        (a, _) => {
            if a.is_some() {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    });
    Ok(())
}

/// Makes the cursor of the page after this user.
fn cursor(asked: &Asked, after: &str, now: Timestamp) -> String {
    let content = json!([after, asked.count, asked.fingerprint(), now.as_second()]);
    BASE64_URL_SAFE_NO_PAD.encode(content.to_string())
}

/// Returns the id of the user before the page.
fn opened(state: &State, asked: &Asked, cursor: &str, now: Timestamp) -> Checked<String> {
    let invalid = || Refused::bad("invalidCursor", "The cursor is not valid");
    let content = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let (after, count, fingerprint, since): (String, Option<i64>, String, i64) =
        serde_json::from_slice(&content).map_err(|_| invalid())?;
    if fingerprint != asked.fingerprint() {
        return Err(invalid());
    }
    if count != asked.count {
        return Err(Refused::bad("invalidCount", "count differs from the page before"));
    }
    let until = Timestamp::from_second(since).map_err(|_| invalid())?
        + SignedDuration::from_secs(state.quirks.paging.cursor_seconds);
    if now >= until {
        return Err(Refused::bad("expiredCursor", "The cursor has expired"));
    }
    Ok(after)
}

/// Answers a query. The ids are those of the users on the page.
fn page(
    state: &State,
    call: &Call,
    asked: &Asked,
    in_address: bool,
    now: Timestamp,
) -> Checked<(Answer, Vec<String>)> {
    let quirks = state.quirks.paging;
    let selection = asked.selection(&state.schemas)?;
    let by_default = Some("").filter(|_| quirks.cursor_by_default && asked.start.is_none());
    let by_cursor = asked.cursor.as_deref().or(by_default).filter(|_| quirks.cursors);
    if quirks.index == Index::Absent && asked.start.is_some() {
        return Err(Refused::new(501, "There are no pages by index"));
    }
    if by_cursor.is_some() && asked.count.is_some_and(|count| count < 1) {
        return Err(Refused::bad("invalidCount", "count must be positive"));
    }
    if by_cursor.is_some() && asked.start.is_some() {
        return Err(Refused::value("startIndex and cursor exclude each other"));
    }
    let mut found = found(state, asked, in_address, now)?;
    sort(state, asked, &mut found)?;
    let total = found.len();
    // A negative number counts as nought, and an index below one as one (RFC 7644, 3.4.2.4).
    let size = |given: Option<i64>| given.map(|count| usize::try_from(count).unwrap_or(0));
    let wanted = size(asked.count);
    let mut count = wanted.unwrap_or(USUAL).min(quirks.cap);
    let mut first = usize::try_from(asked.start.unwrap_or(1)).unwrap_or(1).max(1);
    match by_cursor {
        Some("") | None => {}
        Some(text) => {
            let after = opened(state, asked, text, now)?;
            first = 1 + if asked.sort_by.is_some() {
                let place = found.iter().position(|(user, _)| user.id == after);
                1 + place.ok_or_else(|| Refused::bad("invalidCursor", "The page is gone"))?
            } else {
                found.partition_point(|(user, _)| user.id <= after)
            };
        }
    }
    match quirks.index {
        Index::Honoured | Index::Absent => {}
        Index::OnePage => (first, count) = (1, total),
        Index::FirstPage if by_cursor.is_none() => first = 1,
        Index::Wraps if first > total => first = 1,
        Index::FirstPage | Index::Wraps => {}
    }
    let page: Found<'_> = found.into_iter().skip(first - 1).take(count).collect();
    let mut body = json!({ "schemas": [LIST] });
    match quirks.totals {
        Totals::All => body["totalResults"] = json!(total),
        Totals::Page => body["totalResults"] = json!(page.len()),
        Totals::Absent => {}
    }
    let items = if quirks.items_as_asked { wanted.unwrap_or(count) } else { page.len() };
    body["itemsPerPage"] = json!(items);
    if by_cursor.is_none() {
        body["startIndex"] = json!(first);
    } else if let Some((last, _)) = page.last().filter(|_| first - 1 + page.len() < total) {
        body["nextCursor"] = json!(cursor(asked, &last.id, now));
    }
    let base = base(call);
    let bare = quirks.without_resources || page.is_empty() && quirks.omits_empty;
    if !bare {
        body["Resources"] = page
            .iter()
            .map(|(user, resource)| {
                Value::Object(view::shown(state, user, resource, &base, &selection))
            })
            .collect();
    }
    let mut answer = Answer::new(200, state.quirks.errors.media(), body.to_string());
    answer.unknown_keys = asked.unknown;
    Ok((answer, page.into_iter().map(|(user, _)| user.id.clone()).collect()))
}

/// Handles `GET /Users`, `POST /Users/.search` and `POST /.search`.
pub fn list(state: &mut State, call: &Call, now: Timestamp) -> Checked<Answer> {
    let in_address = call.method == "GET";
    let asked = if in_address { Asked::of_query(call)? } else { Asked::of_search(call)? };
    let (answer, shown) = page(state, call, &asked, in_address, now)?;
    // Another client deletes users while this one reads the pages.
    for id in shown.iter().take(state.quirks.paging.deletes_after_page) {
        state.users.remove(id, now);
    }
    Ok(answer)
}

/// Answers a list of what the server says about itself.
pub fn plain(state: &State, resources: Vec<Value>) -> Answer {
    let body = Map::from_iter([
        ("schemas".to_owned(), json!([LIST])),
        ("totalResults".to_owned(), json!(resources.len())),
        ("itemsPerPage".to_owned(), json!(resources.len())),
        ("startIndex".to_owned(), json!(1)),
        ("Resources".to_owned(), Value::Array(resources)),
    ]);
    Answer::new(200, state.quirks.errors.media(), Value::Object(body).to_string())
}
