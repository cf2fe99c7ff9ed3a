//! Writes in the form that JumpCloud wants: only what differs, except that arrays are sent whole.

use serde_json::{Map, Value, json};

use super::{
    catalog::{Array, MANAGER, MARK, locate},
    errors::UNIQUE,
};
use crate::{
    domain::{
        account::{Access, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::Error,
};

/// Returns whether a write needs the account's arrays as they are.
pub(super) fn touches_arrays(mapping: &Mapping, write: &AccountWrite) -> bool {
    let mut targets =
        write.attributes.iter().filter_map(|(row, _)| locate(&mapping.rows.get(*row)?.target));
    write.mark.is_some() || targets.any(|target| target.entry().is_some())
}

/// Returns the members of a write. A missing member stays as it is, an array replaces the whole
/// array (JumpCloud API v1, `User_Set`).
///
/// An empty text clears a text. Null clears the manager, as JumpCloud's own PowerShell module does
/// it. Null also clears values that have to be unique, because two empty texts may count as the
/// same value.
///
/// # Errors
/// There is nothing to write, or the account does not let an attribute be written. Nothing has been
/// sent then.
pub(super) fn body(
    mapping: &Mapping,
    write: &AccountWrite,
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
        let Some((row, target)) =
            mapping.rows.get(*row).and_then(|row| Some((row, locate(&row.target)?)))
        else {
            continue;
        };
        let text = match value {
            NewValue::Set(text) => Some(&**text),
            // A new account has nothing to clear.
            NewValue::Clear if new => continue,
            NewValue::Clear => None,
        };
        let name = target.entry().map_or(&*row.target, |(array, ..)| array.name());
        if is_restricted(&foreign, name) {
            let said = format!(
                "JumpCloud does not let {name} of this account be written, because another directory is its master"
            );
            return Err(Error::Rejected { field: Some(row.target.to_string()), said });
        }
        if let Some((array, key, member)) = target.entry() {
            set(array, entries(&mut arrays, &foreign, array), key, member, text);
        } else {
            let empty =
                if name == MANAGER || UNIQUE.contains(&name) { Value::Null } else { json!("") };
            body.insert(name.to_owned(), text.map_or(empty, Value::from));
        }
    }
    if let Some(mark) = &write.mark {
        set(
            Array::Attributes,
            entries(&mut arrays, &foreign, Array::Attributes),
            MARK,
            "value",
            Some(mark),
        );
    }
    for (array, entries) in arrays {
        body.insert(array.name().to_owned(), Value::Array(entries));
    }
    if let Some(access) = write.access {
        body.insert("state".to_owned(), json!(state(access)));
    }
    if body.is_empty() {
        return Err(Error::Rejected { field: None, said: "there is nothing to write".to_owned() });
    }
    Ok(body)
}

/// Returns the state that a write asks for (JumpCloud API v1, `systemuserput`). A new account may
/// also be `STAGED`.
pub(super) const fn state(access: Access) -> &'static str {
    match access {
        Access::Active => "ACTIVATED",
        Access::Suspended => "SUSPENDED",
    }
}

/// Returns whether the account lists this member among those that only another directory writes.
fn is_restricted(foreign: &Map<String, Value>, name: &str) -> bool {
    let restricted = foreign.get("restrictedFields").and_then(Value::as_array);
    restricted.is_some_and(|fields| fields.iter().any(|field| field["field"] == name))
}

/// Returns the entries of this array as the account has them, with the changes so far. JumpCloud
/// makes the ids of entries itself, and gives new ones with every write.
fn entries<'v>(
    arrays: &'v mut Vec<(Array, Vec<Value>)>,
    foreign: &Map<String, Value>,
    array: Array,
) -> &'v mut Vec<Value> {
    let at = arrays.iter().position(|(known, _)| *known == array).unwrap_or_else(|| {
        let mut entries =
            foreign.get(array.name()).and_then(Value::as_array).cloned().unwrap_or_default();
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.retain(|name, value| name != "id" && name != "_id" && !value.is_null());
        }
        arrays.push((array, entries));
        arrays.len() - 1
    });
    &mut arrays[at].1
}

/// Sets the value of the first entry with this key, or removes the entry if nothing else is left in
/// it. All others stay.
fn set(array: Array, entries: &mut Vec<Value>, key: &str, member: &str, text: Option<&str>) {
    let ours = entries.iter().position(|entry| entry[array.key()] == key);
    match (ours, text) {
        (Some(at), Some(text)) => entries[at][member] = json!(text),
        (None, Some(text)) => entries.push(json!({array.key(): key, member: text})),
        (Some(at), None) => {
            let left = entries[at].as_object_mut().is_some_and(|entry| {
                entry.remove(member);
                entry.iter().any(|(name, value)| name != array.key() && value != "")
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
