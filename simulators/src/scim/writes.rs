//! Create, replace, change and delete.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::errors::{Checked, Refused};
use super::listing::Asked;
use super::state::State;
use super::users::Resource;
use super::view::{self, Selection};
use super::{patch, paths, rules};
use crate::front::{Answer, Call};

/// Reads the body, which is a JSON object.
pub fn body(call: &Call) -> Checked<Map<String, Value>> {
    let media = call.media_type();
    if !matches!(media.as_deref(), Some("application/scim+json" | "application/json")) {
        return Err(Refused::new(415, "Content-Type must be application/scim+json"));
    }
    serde_json::from_slice(&call.body).map_err(|_| Refused::syntax("The body is not a JSON object"))
}

/// Returns the address under which the caller reaches this server.
pub fn base(call: &Call) -> String {
    format!("http://{}", call.header("host").unwrap_or("localhost"))
}

fn selection(state: &State, call: &Call) -> Checked<Selection> {
    Asked::of_query(call)?.selection(&state.schemas)
}

fn answer(state: &State, call: &Call, status: u16, id: &str, selection: &Selection) -> Answer {
    let Some(user) = state.users.get(id) else { return Answer::empty(404) };
    let shown = view::shown(state, user, &user.resource, &base(call), selection);
    let media = state.quirks.errors.media();
    let answer = Answer::new(status, media, Value::Object(shown).to_string())
        .with("location", view::location(&base(call), id));
    if state.quirks.values.etags { answer.with("etag", user.tag()) } else { answer }
}

/// Changes a checked resource into what this server keeps of it.
fn kept(state: &State, before: &Resource, resource: &mut Resource) {
    if state.quirks.writes.one_email
        && let Some(Value::Array(emails)) = resource.get_mut("emails")
    {
        emails.truncate(1);
    }
    state.quirks.values.keep(resource);
    for path in &state.quirks.writes.ignored {
        let Some(target) = paths::plain(&state.schemas, path) else { continue };
        let urn = target.extension.map(|extension| extension.urn.clone());
        let old = match &urn {
            Some(urn) => before.get(urn).and_then(Value::as_object),
            None => Some(before),
        };
        let Some(attribute) = target.attribute else { continue };
        let old = old.and_then(|old| old.get(&attribute.name)).cloned();
        let holder = match &urn {
            Some(urn) if old.is_some() => {
                resource.entry(urn.clone()).or_insert_with(|| json!({})).as_object_mut()
            }
            Some(urn) => resource.get_mut(urn).and_then(Value::as_object_mut),
            None => Some(&mut *resource),
        };
        let Some(holder) = holder else { continue };
        match old {
            Some(old) => drop(holder.insert(attribute.name.clone(), old)),
            None => drop(holder.remove(&attribute.name)),
        }
        if let Some(urn) = urn
            && resource.get(&urn).and_then(Value::as_object).is_some_and(Map::is_empty)
        {
            resource.remove(&urn);
        }
    }
}

/// Gives `active` its default value, as a server may (RFC 7644, 3.3 and 3.5.1).
fn default_active(state: &State, resource: &mut Resource) {
    if !state.quirks.writes.no_default_active && !resource.contains_key("active") {
        resource.insert("active".into(), json!(true));
    }
}

/// Handles `POST /Users`.
pub fn create(state: &mut State, call: &Call, now: Timestamp) -> Checked<Answer> {
    let selection = selection(state, call)?;
    let mut resource = rules::resource(state, &body(call)?)?;
    if state.quirks.writes.create_is_active {
        resource.insert("active".into(), json!(true));
    }
    default_active(state, &mut resource);
    rules::whole(state, &resource, None)?;
    rules::refuse(state, &Resource::new(), &resource)?;
    kept(state, &Resource::new(), &mut resource);
    let id = state.users.add(resource, now, false);
    Ok(answer(state, call, 201, &id, &selection))
}

/// Returns the attributes of a user that the caller may change in this version.
fn changeable(state: &State, call: &Call, id: &str) -> Checked<Resource> {
    let user = state.users.get(id).ok_or_else(|| Refused::absent(id))?;
    if state.protected.contains(id) {
        return Err(Refused::new(403, "This user cannot be changed"));
    }
    if let Some(tags) = call.header("if-match").filter(|_| state.quirks.values.etags) {
        let own = user.tag();
        let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        if tags.trim() != "*" && !tags.split(',').any(|tag| strong(tag) == strong(&own)) {
            return Err(Refused::new(412, "The resource has changed"));
        }
    }
    Ok(user.resource.clone())
}

fn store(state: &mut State, id: &str, before: &Resource, mut resource: Resource, now: Timestamp) {
    if state.quirks.writes.change_nothing {
        return;
    }
    kept(state, before, &mut resource);
    let lag = state.quirks.filters.lag_seconds.max(state.quirks.paging.lag_seconds);
    state.users.change(id, resource, now, lag);
}

/// Handles `PUT /Users/{id}`.
pub fn replace(state: &mut State, call: &Call, id: &str, now: Timestamp) -> Checked<Answer> {
    let before = changeable(state, call, id)?;
    let selection = selection(state, call)?;
    let mut resource = rules::resource(state, &body(call)?)?;
    // Only the server sets these, and a password is never returned to be sent again.
    for name in ["groups", "password"] {
        if let Some(own) = before.get(name).filter(|_| !resource.contains_key(name)) {
            resource.insert(name.to_owned(), own.clone());
        }
    }
    if state.quirks.writes.put_merges {
        for (name, value) in &before {
            if !resource.contains_key(name) {
                resource.insert(name.clone(), value.clone());
            }
        }
    } else {
        default_active(state, &mut resource);
    }
    rules::whole(state, &resource, Some(id))?;
    rules::refuse(state, &before, &resource)?;
    store(state, id, &before, resource, now);
    Ok(answer(state, call, 200, id, &selection))
}

/// Handles `PATCH /Users/{id}`.
pub fn update(state: &mut State, call: &Call, id: &str, now: Timestamp) -> Checked<Answer> {
    let before = changeable(state, call, id)?;
    let selection = selection(state, call)?;
    let resource = patch::applied(state, &before, &body(call)?)?;
    rules::whole(state, &resource, Some(id))?;
    rules::refuse(state, &before, &resource)?;
    store(state, id, &before, resource, now);
    let dialect = state.quirks.patch;
    if dialect.no_content {
        return Ok(Answer::empty(204));
    }
    if dialect.empty_answer {
        return Ok(Answer::new(200, state.quirks.errors.media(), "{}"));
    }
    Ok(answer(state, call, 200, id, &selection))
}

/// Handles `DELETE /Users/{id}`.
pub fn delete(state: &mut State, call: &Call, id: &str, now: Timestamp) -> Checked<Answer> {
    changeable(state, call, id)?;
    state.users.remove(id, now);
    Ok(Answer::empty(204))
}

/// Handles `GET /Users/{id}`.
pub fn get(state: &State, call: &Call, id: &str) -> Checked<Answer> {
    let selection = selection(state, call)?;
    let user = state.users.get(id).ok_or_else(|| Refused::absent(id))?;
    let known = call.header("if-none-match").filter(|_| state.quirks.values.etags);
    if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == user.tag())) {
        return Ok(Answer::empty(304).with("etag", user.tag()));
    }
    Ok(answer(state, call, 200, id, &selection))
}
