//! What a write may hold: known attributes, in their types, and no value that is taken.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::errors::{Checked, Refused};
use super::schema::{Access, Attribute, ENTERPRISE, Kind, USER, find};
use super::state::State;
use super::users::Resource;

/// Checks a resource of POST or PUT, and returns it with the names of the schema. Read-only
/// attributes are left out (RFC 7644, 3.3 and 3.5.1).
pub fn resource(state: &State, given: &Map<String, Value>) -> Checked<Resource> {
    let named = schemas(state, given)?;
    let mut checked = Resource::new();
    for (name, value) in given {
        if name.eq_ignore_ascii_case("schemas") {
            continue;
        }
        if let Some(extension) = state.schemas.extension(name) {
            if !named.iter().any(|urn| urn.eq_ignore_ascii_case(name)) {
                return Err(Refused::syntax(format!("{name} is not among the schemas")));
            }
            let Some(value) = given_object(name, value)? else { continue };
            let parts = object(&extension.attributes, value, name, false)?;
            if !parts.is_empty() {
                put(&mut checked, &extension.urn, Value::Object(parts))?;
            }
            continue;
        }
        let attribute = match state.schemas.plain(name) {
            Some(attribute) => attribute,
            None if state.quirks.writes.ignores_unknown => continue,
            None => return Err(unknown(name)),
        };
        if attribute.access == Access::ReadOnly {
            continue;
        }
        if let Some(value) = self::value(attribute, value)? {
            put(&mut checked, &attribute.name, value)?;
        }
    }
    Ok(checked)
}

fn unknown(name: &str) -> Refused {
    Refused::syntax(format!("There is no attribute {name}"))
}

fn given_object<'v>(name: &str, value: &'v Value) -> Checked<Option<&'v Map<String, Value>>> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) => Ok(Some(members)),
        _ => Err(Refused::syntax(format!("{name} must be an object"))),
    }
}

/// Stores a value; two members whose names differ only in case are a mistake.
fn put(into: &mut Resource, name: &str, value: Value) -> Checked<()> {
    match into.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Refused::syntax(format!("{name} is given twice"))),
    }
}

/// Returns the URNs that a resource names: all of them must be known, and the schema of users is
/// among them.
fn schemas<'v>(state: &State, given: &'v Map<String, Value>) -> Checked<Vec<&'v str>> {
    let wrong = || Refused::syntax("schemas must name the schema of users");
    let (_, value) =
        given.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).ok_or_else(wrong)?;
    let urns: Option<Vec<&str>> =
        value.as_array().and_then(|urns| urns.iter().map(Value::as_str).collect());
    let urns = urns.ok_or_else(wrong)?;
    if !urns.iter().any(|urn| urn.eq_ignore_ascii_case(USER)) {
        return Err(wrong());
    }
    for urn in &urns {
        if !urn.eq_ignore_ascii_case(USER) && state.schemas.extension(urn).is_none() {
            return Err(Refused::syntax(format!("There is no schema {urn}")));
        }
    }
    Ok(urns)
}

/// Checks the parts of an object. Read-only parts are left out, or refused with `strict`.
pub fn object(
    attributes: &[Attribute],
    given: &Map<String, Value>,
    within: &str,
    strict: bool,
) -> Checked<Resource> {
    let mut checked = Resource::new();
    for (name, value) in given {
        let attribute =
            find(attributes, name).ok_or_else(|| unknown(&format!("{within}.{name}")))?;
        if attribute.access == Access::ReadOnly {
            if strict {
                return Err(Refused::mutability(format!("{within}.{name} is read-only")));
            }
            continue;
        }
        if let Some(value) = self::value(attribute, value)? {
            put(&mut checked, &attribute.name, value)?;
        }
    }
    Ok(checked)
}

/// Checks the value of an attribute. Null and an empty array are no value (RFC 7643, 2.5).
pub fn value(attribute: &Attribute, given: &Value) -> Checked<Option<Value>> {
    let name = &attribute.name;
    if given.is_null() {
        return Ok(None);
    }
    if !attribute.many {
        return one(attribute, given);
    }
    let all = given.as_array().ok_or_else(|| Refused::value(format!("{name} must be an array")))?;
    let mut checked = Vec::new();
    for entry in all {
        checked.extend(one(attribute, entry)?);
    }
    single_primary(name, &checked)?;
    Ok(if checked.is_empty() { None } else { Some(Value::Array(checked)) })
}

/// Refuses a second primary value (RFC 7643, 2.4).
pub fn single_primary(name: &str, values: &[Value]) -> Checked<()> {
    let primary = values.iter().filter(|value| value["primary"] == true).count();
    if primary > 1 {
        return Err(Refused::value(format!("{name} has more than one primary value")));
    }
    Ok(())
}

/// Checks one value.
pub fn one(attribute: &Attribute, given: &Value) -> Checked<Option<Value>> {
    let name = &attribute.name;
    if given.is_null() {
        return Ok(None);
    }
    let right = match attribute.kind {
        Kind::Complex => {
            let parts = given
                .as_object()
                .ok_or_else(|| Refused::value(format!("{name} must be an object")))?;
            let parts = object(&attribute.parts, parts, name, false)?;
            return Ok(if parts.is_empty() { None } else { Some(Value::Object(parts)) });
        }
        Kind::Text | Kind::Reference => given.is_string(),
        Kind::Boolean => given.is_boolean(),
        Kind::Integer => given.is_i64() || given.is_u64(),
        Kind::DateTime => given.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        Kind::Binary => given.as_str().is_some_and(|text| BASE64_STANDARD.decode(text).is_ok()),
    };
    if right {
        Ok(Some(given.clone()))
    } else {
        Err(Refused::value(format!("{name} has a wrong type")))
    }
}

/// Checks a whole user before it is stored: what is required, what is unique, what refers to
/// another user, and what this server refuses.
pub fn whole(state: &State, resource: &Resource, own: Option<&str>) -> Checked<()> {
    let name = resource.get("userName").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        return Err(Refused::value("userName is required"));
    }
    let same = |a: &str, b: &str| {
        if state.quirks.values.user_names_by_case { a == b } else { folded(a) == folded(b) }
    };
    let others = || state.users.rows().filter(|user| Some(&*user.id) != own);
    if others().any(|user| same(user.text("userName"), name)) {
        return Err(Refused::taken("userName is already taken"));
    }
    let addresses = |resource: &Resource| -> Vec<String> {
        let all = resource.get("emails").and_then(Value::as_array);
        all.into_iter().flatten().filter_map(|email| email["value"].as_str().map(folded)).collect()
    };
    let wanted = addresses(resource);
    if wanted.iter().any(|address| !address.contains('@')) {
        return Err(Refused::value("emails.value is not an e-mail address"));
    }
    let shares = |other: &Resource| addresses(other).iter().any(|one| wanted.contains(one));
    if state.quirks.writes.unique_emails && others().any(|user| shares(&user.resource)) {
        return Err(Refused::taken("An e-mail address is already taken"));
    }
    if state.quirks.writes.one_value
        && let Some((name, _)) =
            resource.iter().find(|(_, value)| value.as_array().is_some_and(|all| all.len() > 1))
    {
        return Err(Refused::value(format!("{name} takes one value only")));
    }
    if state.quirks.writes.no_passwords && resource.contains_key("password") {
        return Err(Refused::value("password is not supported"));
    }
    let manager = resource.get(ENTERPRISE).and_then(|extension| extension.get("manager"));
    if let Some(manager) = manager {
        let id = manager["value"].as_str().unwrap_or_default();
        if state.users.get(id).is_none() || Some(id) == own {
            return Err(Refused::value("manager.value does not refer to a user"));
        }
    }
    Ok(())
}

/// Refuses values of a write that this server is told to refuse; values that stay as they were are
/// not looked at.
pub fn refuse(state: &State, before: &Resource, resource: &Resource) -> Checked<()> {
    for rule in &state.refuse {
        for (name, value) in resource {
            refused(rule, name, value, before.get(name))?;
        }
    }
    Ok(())
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

fn refused(
    rule: &super::RefuseRule,
    name: &str,
    value: &Value,
    before: Option<&Value>,
) -> Checked<()> {
    if before == Some(value) {
        return Ok(());
    }
    match value {
        Value::String(text) if rule.field == name && text.contains(&rule.contains) => {
            Err(Refused::value(format!("{name} has a value that is not allowed")))
        }
        Value::Array(all) => {
            let old = before.and_then(Value::as_array);
            let is_old = |entry: &Value| old.is_some_and(|old| old.contains(entry));
            all.iter().filter(|entry| !is_old(entry)).try_for_each(|entry| {
                match entry.get("value") {
                    // A rule for a multi-valued attribute is about its values.
                    Some(inner) if rule.field == name => refused(rule, name, inner, None),
                    _ => refused(rule, name, entry, None),
                }
            })
        }
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            refused(rule, name, value, before.and_then(|before| before.get(name)))
        }),
        _ => Ok(()),
    }
}
