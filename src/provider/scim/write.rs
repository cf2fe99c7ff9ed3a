//! Writes in the three forms that SCIM has: a new user, the operations of a PATCH, and a whole user
//! for a PUT. Whatever the form, values that are not bobsync's stay as they are.

use super::{
    catalog::{MarkPlace, TABLE, USER},
    discovery::Hints,
};
use crate::provider::{
    prelude::*,
    writer::{put, put_access},
};

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The member that gives or takes access.
pub(super) const ACTIVE: &str = "active";

/// Members that only the server sets. A PUT does not need them (RFC 7643, 3.1 and 4.1.2).
const SERVERS: [&str; 2] = ["meta", "groups"];

/// What a write is made of: the settings, and what the server says about itself.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) mark: MarkPlace,
    pub(super) hints: &'a Hints,
}

impl<'a> Writing<'a> {
    /// Returns the places that a write names, with their new values. `None` clears.
    fn values(self, write: &'a AccountWrite) -> Result<Vec<(Place<'a>, Option<Value>)>, Error> {
        let own = places(&TABLE, self.mapping, write).map(|(place, value)| {
            let value = match value {
                NewValue::Set(text) => Some(self.value(&place, text)?),
                NewValue::Clear => None,
            };
            Ok((place, value))
        });
        let mark = write.mark.as_deref().map(|mark| Ok((self.mark.place(), Some(json!(mark)))));
        mark.into_iter().chain(own).collect()
    }

    /// Returns a text in the type of its attribute, if the server says that it is no text.
    fn value(self, place: &Place<'_>, text: &str) -> Result<Value, Error> {
        let extends = place.outer.starts_with("urn:");
        let read = match self.hints.kind(place.target).filter(|_| extends) {
            Some("integer") => text.parse::<i64>().map(Value::from).ok(),
            Some("boolean") => text.parse::<bool>().map(Value::from).ok(),
            Some("decimal") => text.parse::<f64>().map(Value::from).ok(),
            _ => Some(json!(text)),
        };
        read.ok_or_else(|| Error::Rejected {
            field: Some(place.target.to_owned()),
            said: "the server's schema does not take a text here".to_owned(),
        })
    }

    /// Returns the body of a new user. The state is always said, because servers have different
    /// defaults.
    ///
    /// # Errors
    /// A value that cannot be written.
    pub(super) fn user(self, write: &AccountWrite, password: Option<&Secret>) -> Members {
        let mut body = Map::new();
        for (place, value) in self.values(write)? {
            // A new account has nothing to clear.
            let Some(value) = value else { continue };
            put(&mut body, &Map::new(), &place, value);
        }
        body.values_mut().filter_map(Value::as_array_mut).for_each(|all| one_is_primary(all, 0));
        put_access(&TABLE, write.access.unwrap_or(Access::Active), &mut body);
        if let Some(password) = password {
            body.insert("password".to_owned(), json!(password.expose()));
        }
        with_schemas(&mut body);
        Ok(body)
    }

    /// Returns the body of a PATCH: one operation for each path.
    ///
    /// # Errors
    /// There is nothing to write, or a value that cannot be written.
    pub(super) fn patch(self, write: &AccountWrite) -> Members {
        let foreign = write.foreign.as_deref().map(serde_json::from_str::<Map<String, Value>>);
        let foreign = foreign.and_then(Result::ok).unwrap_or_default();
        let mut operations = Vec::new();
        let mut arrays: Vec<UserEntries<'_>> = Vec::new();
        for (place, value) in self.values(write)? {
            match place.array() {
                Some(array) => {
                    let at = arrays.iter().position(|entries| entries.name == place.outer);
                    let at = at.unwrap_or_else(|| {
                        arrays.push(UserEntries::of(place.outer, &foreign));
                        arrays.len() - 1
                    });
                    operations.extend(arrays[at].set(&place, array, value));
                }
                None => operations.push(operation(&path(&place), of_object(&place, value))),
            }
        }
        operations.extend(arrays.into_iter().filter_map(UserEntries::added));
        if let Some(access) = write.access {
            operations.push(operation(ACTIVE, Some(json!(access == Access::Active))));
        }
        if operations.is_empty() {
            return Err(nothing());
        }
        let body = [("schemas", json!([PATCH_OP])), ("Operations", Value::Array(operations))];
        Ok(body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Returns the body of a PUT: the user as it was just read, with the new values.
    ///
    /// # Errors
    /// A value that cannot be written.
    pub(super) fn whole(self, write: &AccountWrite, user: &Map<String, Value>) -> Members {
        let mut body = user.clone();
        SERVERS.iter().for_each(|name| drop(body.remove(*name)));
        let is_new = |name: &str, value: &Value| {
            let had = user.get(name).and_then(Value::as_array).into_iter().flatten();
            !had.into_iter().any(|had| had["type"] == value["type"])
        };
        for (place, value) in self.values(write)? {
            if !place.key.is_empty() && place.array().is_none() {
                // The other parts of a reference tell of the one before.
                object(&mut body, place.outer).remove(place.key);
                if value.is_none() {
                    continue;
                }
            }
            put(&mut body, &Map::new(), &place, value.unwrap_or_default());
            if let Some(all) = body.get_mut(place.outer).and_then(Value::as_array_mut) {
                let made = all.iter().position(|value| is_new(place.outer, value));
                let had = made.unwrap_or(all.len());
                one_is_primary(all, had);
            }
        }
        // A server that shows a text takes the flag.
        let shown = body.get(ACTIVE).and_then(Value::as_str).map(|text| {
            if text.eq_ignore_ascii_case("true") { Access::Active } else { Access::Suspended }
        });
        if let Some(access) = write.access.or(shown) {
            put_access(&TABLE, access, &mut body);
        }
        body.values_mut().filter_map(Value::as_object_mut).for_each(without_empty);
        without_empty(&mut body);
        with_schemas(&mut body);
        Ok(body)
    }
}

/// Removes members without a value.
fn without_empty(members: &mut Map<String, Value>) {
    members.retain(|_, value| match value {
        Value::Null => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    });
}

/// Names the schema of users and every extension that the body uses.
fn with_schemas(body: &mut Map<String, Value>) {
    let mut urns = vec![json!(USER)];
    urns.extend(body.keys().filter(|name| name.starts_with("urn:")).map(|name| json!(name)));
    body.insert("schemas".to_owned(), Value::Array(urns));
}

/// Makes the first value that was added the primary one, unless there is one.
fn one_is_primary(all: &mut [Value], had: usize) {
    if all.iter().all(|value| value["primary"] != true)
        && let Some(Value::Object(first)) = all.get_mut(had)
    {
        first.insert("primary".to_owned(), json!(true));
    }
}

/// Returns the path of an attribute. An extension is parted by a colon (RFC 7644, 3.10).
pub(super) fn path(place: &Place<'_>) -> String {
    let part = if place.key.is_empty() { place.member } else { place.key };
    match (place.outer.starts_with("urn:"), part) {
        (_, "") => place.outer.to_owned(),
        (true, part) => format!("{}:{part}", place.outer),
        (false, part) => format!("{}.{part}", place.outer),
    }
}

/// Returns the value of a path that names an object.
fn of_object(place: &Place<'_>, value: Option<Value>) -> Option<Value> {
    if place.key.is_empty() { value } else { value.map(|value| json!({place.member: value})) }
}

fn operation(path: &str, value: Option<Value>) -> Value {
    match value {
        Some(value) => json!({"op": "replace", "path": path, "value": value}),
        None => json!({"op": "remove", "path": path}),
    }
}

/// The values of a multi-valued attribute, while a PATCH is made.
struct UserEntries<'n> {
    name: &'n str,
    /// The values that the user has, as the operations so far leave them.
    all: Vec<Value>,
    added: Vec<Value>,
}

impl<'n> UserEntries<'n> {
    fn of(name: &'n str, foreign: &Map<String, Value>) -> Self {
        let all = foreign.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        Self { name, all, added: Vec::new() }
    }

    /// Sets or clears one value. Returns the operation for it, unless the value is added with
    /// others.
    fn set(&mut self, place: &Place<'_>, array: &Array, value: Option<Value>) -> Option<Value> {
        let has = |entry: &Value, name: &str, value: &str| entry[name] == value;
        let find = |all: &[Value]| place.entry(all, has, |entry| entry["primary"] == true);
        let at = find(&self.all).filter(|at| self.all[*at].is_object());
        let Some(at) = at else {
            let value = value?;
            match find(&self.added) {
                Some(at) => self.added[at][place.member] = value,
                None => {
                    let mut entry = place.new_entry(array);
                    entry[place.member] = value;
                    self.added.push(entry);
                }
            }
            return None;
        };
        let filter = self.filter(place, array, at);
        let path = format!("{}[{filter}]", self.name);
        let entry = self.all[at].as_object_mut()?;
        let Some(value) = value else {
            entry.remove(place.member);
            let says = |(name, value): (&String, &Value)| {
                !array.empty.contains(&&**name) && *value != "" && !value.is_null()
            };
            // What tells nothing about the employee goes with the last value.
            if place.member == array.value || !entry.iter().any(says) {
                self.all.remove(at);
                return Some(operation(&path, None));
            }
            return Some(operation(&format!("{path}.{}", place.member), None));
        };
        entry.insert(place.member.to_owned(), value.clone());
        Some(operation(&format!("{path}.{}", place.member), Some(value)))
    }

    /// Returns the condition that only this value fulfils, as far as that can be said.
    fn filter(&self, place: &Place<'_>, array: &Array, at: usize) -> String {
        let quoted = |text: &str| json!(text).to_string();
        let key = format!("{} eq {}", array.key, quoted(place.key));
        let alike = self.all.iter().filter(|entry| entry[array.key] == place.key).count();
        match self.all[at].get(place.member).and_then(Value::as_str) {
            // A second value of this type belongs to another tool.
            Some(text) if alike > 1 => {
                format!("{key} and {} eq {}", place.member, quoted(text))
            }
            _ => key,
        }
    }

    /// Returns the operation that adds the values of other types.
    fn added(mut self) -> Option<Value> {
        if self.added.is_empty() {
            return None;
        }
        let had = self.all.len();
        self.all.append(&mut self.added);
        one_is_primary(&mut self.all, had);
        let added = self.all.split_off(had);
        Some(json!({"op": "add", "path": self.name, "value": added}))
    }
}

/// Returns the version of the user in what was kept of it.
pub(super) fn version(write: &AccountWrite) -> Option<String> {
    let foreign: Value = serde_json::from_str(write.foreign.as_deref()?).ok()?;
    version_of(&foreign["meta"])
}

/// Returns the version in the `meta` of a user, if a header can hold it.
pub(super) fn version_of(meta: &Value) -> Option<String> {
    let version = meta["version"].as_str()?.trim();
    let printable = version.bytes().all(|b| b.is_ascii_graphic());
    (printable && !version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
