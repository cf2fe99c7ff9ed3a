//! The attributes that an answer shows (RFC 7644, 3.9).

use serde_json::{Map, Value, json};

use super::errors::{Checked, Refused};
use super::paths;
use super::schema::{ENTERPRISE, Schemas, USER};
use super::state::State;
use super::users::{Resource, User};

/// The path of the users' route.
pub const USERS: &str = "/scim/v2/Users";

/// A path of `attributes` or `excludedAttributes`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    urn: Option<String>,
    attribute: Option<String>,
    part: Option<String>,
}

/// What the caller asked for.
#[derive(Debug, Default)]
pub struct Selection {
    only: Option<Vec<Named>>,
    without: Vec<Named>,
}

impl Selection {
    /// Reads both lists. Attributes that do not exist are ignored.
    pub fn read(schemas: &Schemas, only: Option<&str>, without: Option<&str>) -> Checked<Self> {
        if only.is_some() && without.is_some() {
            return Err(Refused::value("attributes and excludedAttributes exclude each other"));
        }
        let named = |list: &str| -> Vec<Named> {
            list.split(',')
                .filter_map(|path| paths::plain(schemas, path.trim()))
                .map(|target| Named {
                    urn: target.extension.map(|extension| extension.urn.clone()),
                    attribute: target.attribute.map(|attribute| attribute.name.clone()),
                    part: target.part.map(|part| part.name.clone()),
                })
                .collect()
        };
        Ok(Self { only: only.map(named), without: without.map(named).unwrap_or_default() })
    }

    /// Returns the part of a resource that is shown: `id` and `schemas` always are.
    fn applied(&self, whole: Resource) -> Resource {
        let mut shown = match &self.only {
            None => whole,
            Some(only) => {
                let mut shown = Resource::new();
                for name in ["schemas", "id"] {
                    if let Some(value) = whole.get(name) {
                        shown.insert(name.to_owned(), value.clone());
                    }
                }
                for named in only {
                    include(&mut shown, &whole, named);
                }
                shown
            }
        };
        for named in &self.without {
            exclude(&mut shown, named);
        }
        shown
    }
}

fn include(shown: &mut Resource, whole: &Resource, named: &Named) {
    let (into, from) = match &named.urn {
        None => (shown, whole),
        Some(urn) => {
            let Some(from) = whole.get(urn).and_then(Value::as_object) else { return };
            if named.attribute.is_none() {
                shown.insert(urn.clone(), Value::Object(from.clone()));
                return;
            }
            let into = shown.entry(urn.clone()).or_insert_with(|| json!({}));
            match into.as_object_mut() {
                Some(into) => (into, from),
                None => return,
            }
        }
    };
    let Some((attribute, value)) =
        named.attribute.as_ref().and_then(|attribute| Some((attribute, from.get(attribute)?)))
    else {
        return;
    };
    let Some(part) = &named.part else {
        into.insert(attribute.clone(), value.clone());
        return;
    };
    let cut = |value: &Value| match value.get(part) {
        Some(found) => json!({ part: found }),
        None => json!({}),
    };
    match (into.get_mut(attribute), value) {
        (Some(Value::Array(shown)), Value::Array(all)) => {
            for (shown, value) in shown.iter_mut().zip(all) {
                if let (Some(found), Some(shown)) = (value.get(part), shown.as_object_mut()) {
                    shown.insert(part.clone(), found.clone());
                }
            }
        }
        (Some(Value::Object(shown)), value) => {
            if let Some(found) = value.get(part) {
                shown.insert(part.clone(), found.clone());
            }
        }
        (_, Value::Array(all)) => {
            into.insert(attribute.clone(), all.iter().map(cut).collect());
        }
        (_, value) => drop(into.insert(attribute.clone(), cut(value))),
    }
}

fn exclude(shown: &mut Resource, named: &Named) {
    let holder = match &named.urn {
        None => shown,
        Some(urn) if named.attribute.is_none() => {
            shown.remove(urn);
            return;
        }
        Some(urn) => match shown.get_mut(urn).and_then(Value::as_object_mut) {
            Some(holder) => holder,
            None => return,
        },
    };
    let Some(attribute) = named.attribute.as_ref().filter(|name| *name != "id") else { return };
    let Some(part) = &named.part else {
        holder.remove(attribute);
        return;
    };
    match holder.get_mut(attribute) {
        Some(Value::Array(all)) => {
            all.iter_mut().filter_map(Value::as_object_mut).for_each(|entry| {
                entry.remove(part);
            });
        }
        Some(Value::Object(parts)) => drop(parts.remove(part)),
        _ => {}
    }
}

/// Returns a user as an answer shows it: `resource` is the user, or what an index has of it.
pub fn shown(
    state: &State,
    user: &User,
    resource: &Resource,
    base: &str,
    selection: &Selection,
) -> Map<String, Value> {
    let mut whole = resource.clone();
    whole.remove("password");
    let mut schemas = vec![json!(USER)];
    schemas.extend(whole.keys().filter(|name| name.starts_with("urn:")).map(|urn| json!(urn)));
    whole.insert("schemas".into(), Value::Array(schemas));
    if let Some(meta) = whole.get_mut("meta").and_then(Value::as_object_mut) {
        meta.insert("location".into(), json!(location(base, &user.id)));
        if state.quirks.values.etags {
            meta.insert("version".into(), json!(user.tag()));
        }
    }
    if let Some(manager) = whole
        .get_mut(ENTERPRISE)
        .and_then(|extension| extension.get_mut("manager"))
        .and_then(Value::as_object_mut)
    {
        let id = manager.get("value").and_then(Value::as_str).unwrap_or_default().to_owned();
        manager.insert("$ref".into(), json!(location(base, &id)));
        let name = state.users.get(&id).map(|manager| manager.text("displayName"));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            manager.insert("displayName".into(), json!(name));
        }
    }
    if state.quirks.values.active_is_text
        && let Some(active) = whole.get_mut("active")
    {
        *active = json!(if *active == true { "True" } else { "False" });
    }
    selection.applied(whole)
}

/// Returns the address of a user.
pub fn location(base: &str, id: &str) -> String {
    format!("{base}{USERS}/{id}")
}
