//! Writes as the Directory API wants them: only what differs, but arrays whole.

use serde_json::{Map, Value, json};

use super::{
    catalog::{Array, MARK, Target, locate},
    read::{in_array, is_kind, ours},
    schemas::Schemas,
};
use crate::{
    domain::{
        account::{Access, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::Error,
};

/// Whether a write needs the arrays of the account as they are.
pub(super) fn touches_arrays(mapping: &Mapping, write: &AccountWrite) -> bool {
    let targets = write.attributes.iter().filter_map(|(row, _)| locate(&mapping.rows.get(*row)?.target));
    write.mark.is_some() || targets.into_iter().any(|target| in_array(target).is_some())
}

/// The members of a write. A missing member stays as it is, null clears, an array replaces the whole array (Directory
/// API, `users.update`).
///
/// # Errors
/// There is nothing to write; nothing has been sent then.
pub(super) fn body(mapping: &Mapping, write: &AccountWrite, schemas: &Schemas, new: bool) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    let foreign: Map<String, Value> = write.foreign.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut arrays: Vec<(Array, Vec<Value>)> = Vec::new();
    for (row, value) in &write.attributes {
        let Some(target) = mapping.rows.get(*row).and_then(|row| locate(&row.target)) else { continue };
        let text = match value {
            NewValue::Set(text) => Some(&**text),
            // A new account has nothing to clear.
            NewValue::Clear if new => continue,
            NewValue::Clear => None,
        };
        match target {
            Target::Text(name) => {
                body.insert(name.to_owned(), json!(text));
            }
            Target::Name(name) => {
                member(&mut body, "name").insert(name.to_owned(), json!(text));
            }
            Target::Custom(schema, field) => {
                let value = text.map_or(Value::Null, |text| schemas.value(schema, field, text));
                let fields = member(&mut body, "customSchemas").entry(schema).or_insert_with(|| json!({}));
                if let Value::Object(fields) = fields {
                    fields.insert(field.to_owned(), value);
                }
            }
            Target::Entry(array, kind) => set_entry(array, entries(&mut arrays, &foreign, array), kind, text),
            Target::Organization(name) => set_organization(entries(&mut arrays, &foreign, Array::Organizations), name, text),
        }
    }
    if let Some(mark) = &write.mark {
        set_entry(Array::ExternalIds, entries(&mut arrays, &foreign, Array::ExternalIds), MARK, Some(mark));
    }
    for (array, entries) in arrays {
        body.insert(array.name().to_owned(), Value::Array(entries));
    }
    if let Some(access) = write.access {
        body.insert("suspended".to_owned(), json!(access == Access::Suspended));
    }
    if body.is_empty() {
        return Err(Error::Rejected { field: None, said: "there is nothing to write".to_owned() });
    }
    Ok(body)
}

fn member<'b>(body: &'b mut Map<String, Value>, name: &str) -> &'b mut Map<String, Value> {
    let member = body.entry(name).or_insert_with(|| json!({}));
    if !member.is_object() {
        *member = json!({});
    }
    match member {
        Value::Object(members) => members,
        _ => unreachable!("it was made an object"),
    }
}

/// The entries of this array as the account has them, with what was changed so far.
fn entries<'v>(arrays: &'v mut Vec<(Array, Vec<Value>)>, foreign: &Map<String, Value>, array: Array) -> &'v mut Vec<Value> {
    let at = arrays.iter().position(|(known, _)| *known == array).unwrap_or_else(|| {
        arrays.push((array, foreign.get(array.name()).and_then(Value::as_array).cloned().unwrap_or_default()));
        arrays.len() - 1
    });
    &mut arrays[at].1
}

/// The first entry of this type gets the value, or goes; all others stay.
fn set_entry(array: Array, entries: &mut Vec<Value>, kind: &str, text: Option<&str>) {
    let ours = entries.iter().position(|entry| is_kind(array, kind, entry["type"].as_str(), entry["customType"].as_str()));
    match (ours, text) {
        (Some(at), Some(text)) => entries[at]["value"] = json!(text),
        (Some(at), None) => drop(entries.remove(at)),
        (None, Some(text)) if array.types().contains(&kind) => entries.push(json!({"type": kind, "value": text})),
        (None, Some(text)) => entries.push(json!({"type": "custom", "customType": kind, "value": text})),
        (None, None) => {}
    }
}

/// The organization that is ours gets the value; where there is none, one is added. One with nothing left in it goes.
fn set_organization(entries: &mut Vec<Value>, name: &str, text: Option<&str>) {
    let at = ours(entries, |one| one["primary"] == true, |one| one["type"].as_str()).filter(|at| entries[*at].is_object());
    match (at, text) {
        (Some(at), Some(text)) => entries[at][name] = json!(text),
        (None, Some(text)) => {
            let mut one = json!({"type": "work", "primary": true});
            one[name] = json!(text);
            entries.push(one);
        }
        (Some(at), None) => {
            let left = entries[at].as_object_mut().is_some_and(|one| {
                one.remove(name);
                one.keys().any(|key| !["type", "primary", "customType"].contains(&&**key))
            });
            if !left {
                entries.remove(at);
            }
        }
        (None, None) => {}
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
