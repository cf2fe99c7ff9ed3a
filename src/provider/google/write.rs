//! Writes in the form that the Directory API wants: only what differs, except that arrays are sent
//! whole.

use serde_json::{Map, Value, json};

use super::{
    catalog::{Array, CUSTOM, MARK, Target, locate},
    read::{in_array, is_kind, is_work, ours},
    schemas::Schemas,
};
use crate::{
    domain::{
        account::{Access, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::Error,
};

/// Returns whether a write needs the account's arrays as they are, with those of custom fields with
/// several values.
pub(super) fn touches_arrays(mapping: &Mapping, write: &AccountWrite, schemas: &Schemas) -> bool {
    let mut targets =
        write.attributes.iter().filter_map(|(row, _)| locate(&mapping.rows.get(*row)?.target));
    let several = |target| matches!(target, Target::Custom(schema, field) if schemas.has_several(schema, field));
    write.mark.is_some() || targets.any(|target| in_array(target).is_some() || several(target))
}

/// Returns the members of a write. A missing member stays as it is, null clears, an array replaces
/// the whole array (Directory API, `users.update`).
///
/// # Errors
/// There is nothing to write. Nothing has been sent then.
pub(super) fn body(
    mapping: &Mapping,
    write: &AccountWrite,
    schemas: &Schemas,
    new: bool,
) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    let foreign: Map<String, Value> = write
        .foreign
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let mut arrays: Vec<(Array, Vec<Value>)> = Vec::new();
    for (row, value) in &write.attributes {
        let Some(target) = mapping.rows.get(*row).and_then(|row| locate(&row.target)) else {
            continue;
        };
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
                let value = if schemas.has_several(schema, field) {
                    let entries = foreign
                        .get(CUSTOM)
                        .and_then(|all| all[schema][field].as_array())
                        .cloned()
                        .unwrap_or_default();
                    Value::Array(set_value(
                        entries,
                        text.map(|text| schemas.value(schema, field, text)),
                    ))
                } else {
                    text.map_or(Value::Null, |text| schemas.value(schema, field, text))
                };
                let fields = member(&mut body, CUSTOM).entry(schema).or_insert_with(|| json!({}));
                if let Value::Object(fields) = fields {
                    fields.insert(field.to_owned(), value);
                }
            }
            Target::Part(array, kind, part) => {
                set_part(array, entries(&mut arrays, &foreign, array), (kind, part), text)
            }
            Target::Entry(array, kind) => {
                set_entry(array, entries(&mut arrays, &foreign, array), kind, text)
            }
            Target::Organization(name) => {
                set_organization(entries(&mut arrays, &foreign, Array::Organizations), name, text)
            }
        }
    }
    if let Some(mark) = &write.mark {
        set_entry(
            Array::ExternalIds,
            entries(&mut arrays, &foreign, Array::ExternalIds),
            MARK,
            Some(mark),
        );
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

/// Returns the entries of this array as the account has them, with the changes so far.
fn entries<'v>(
    arrays: &'v mut Vec<(Array, Vec<Value>)>,
    foreign: &Map<String, Value>,
    array: Array,
) -> &'v mut Vec<Value> {
    let at = arrays.iter().position(|(known, _)| *known == array).unwrap_or_else(|| {
        arrays.push((
            array,
            foreign.get(array.name()).and_then(Value::as_array).cloned().unwrap_or_default(),
        ));
        arrays.len() - 1
    });
    &mut arrays[at].1
}

/// Sets the value of the first entry of this type, or removes the entry. All others stay.
fn set_entry(array: Array, entries: &mut Vec<Value>, kind: &str, text: Option<&str>) {
    let ours = entries.iter().position(|entry| {
        is_kind(array, kind, entry["type"].as_str(), entry["customType"].as_str())
    });
    match (ours, text) {
        (Some(at), Some(text)) => entries[at]["value"] = json!(text),
        (Some(at), None) => drop(entries.remove(at)),
        (None, Some(text)) if array.types().contains(&kind) => {
            entries.push(json!({"type": kind, "value": text}))
        }
        (None, Some(text)) => {
            entries.push(json!({"type": "custom", "customType": kind, "value": text}))
        }
        (None, None) => {}
    }
}

/// Sets the first value of type `work`, or removes it. All others stay.
fn set_value(mut entries: Vec<Value>, value: Option<Value>) -> Vec<Value> {
    match (entries.iter().position(is_work), value) {
        (Some(at), Some(value)) => entries[at]["value"] = value,
        (None, Some(value)) => entries.push(json!({"type": "work", "value": value})),
        (Some(at), None) => drop(entries.remove(at)),
        (None, None) => {}
    }
    entries
}

/// Sets the part of the first entry of this type, or removes it. An entry without other parts is
/// removed. All others stay.
fn set_part(
    array: Array,
    entries: &mut Vec<Value>,
    (kind, part): (&str, &str),
    text: Option<&str>,
) {
    let ours = |entry: &Value| {
        entry.is_object()
            && is_kind(array, kind, entry["type"].as_str(), entry["customType"].as_str())
    };
    match (entries.iter().position(ours), text) {
        (Some(at), Some(text)) => entries[at][part] = json!(text),
        (Some(at), None) => {
            if !is_left_without(&mut entries[at], part) {
                entries.remove(at);
            }
        }
        (None, Some(text)) => {
            let listed = array.types().contains(&kind);
            let mut entry = if listed {
                json!({"type": kind})
            } else {
                json!({"type": "custom", "customType": kind})
            };
            entry[part] = json!(text);
            entries.push(entry);
        }
        (None, None) => {}
    }
}

/// Removes a member from an entry. Returns whether the entry still has other members.
fn is_left_without(entry: &mut Value, name: &str) -> bool {
    entry.as_object_mut().is_some_and(|entry| {
        entry.remove(name);
        entry
            .keys()
            .any(|key| !["type", "primary", "customType", "sourceIsStructured"].contains(&&**key))
    })
}

/// Sets the value in the organization that bobsync uses, or removes it. Adds an organization if the
/// user has no organization. An organization without other values is removed.
fn set_organization(entries: &mut Vec<Value>, name: &str, text: Option<&str>) {
    let at = ours(entries, |one| one["primary"] == true, |one| one["type"].as_str())
        .filter(|at| entries[*at].is_object());
    match (at, text) {
        (Some(at), Some(text)) => entries[at][name] = json!(text),
        (None, Some(text)) => {
            let mut one = json!({"type": "work", "primary": true});
            one[name] = json!(text);
            entries.push(one);
        }
        (Some(at), None) => {
            if !is_left_without(&mut entries[at], name) {
                entries.remove(at);
            }
        }
        (None, None) => {}
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
