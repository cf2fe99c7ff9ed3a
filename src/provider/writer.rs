//! Writes in the form that a provider wants, by its table: only what differs, except that arrays
//! are sent whole.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{
    Error,
    directory::Of,
    json::scalar,
    table::{Array, At, Place, Table},
};
use crate::domain::{
    account::{Access, Account, AccountState, AccountWrite, NewValue},
    mapping::Mapping,
};

/// The members of a write.
pub(super) type Members = Result<Map<String, Value>, Error>;

/// What a provider does with one value in its own way.
pub(super) enum Own {
    /// The value is written as the table says.
    Table,
    /// This is the value.
    Value(Value),
    /// The value is not a member of the body.
    Elsewhere,
}

/// Returns the members of a write. A missing member stays as it is. `own` is asked about each value
/// first, with the members that the account had.
///
/// # Errors
/// There is nothing to write, or a value that cannot be written. Nothing has been sent then.
pub(super) fn body<'m>(
    table: &'static Table,
    of: Of<'m>,
    own: impl FnMut(&Place<'m>, Option<&str>, &Map<String, Value>) -> Result<Own, Error>,
) -> Result<Map<String, Value>, Error> {
    let mut body = attributes(table, of, own)?;
    let write = of.write;
    if let Some(mark) = &write.mark {
        put(&mut body, &foreign(write), &table.mark_place(), json!(mark));
    }
    if let Some(access) = write.access {
        put_access(table, access, &mut body);
    }
    if body.is_empty() { Err(nothing()) } else { Ok(body) }
}

/// Puts the member that gives or takes access into a body, if there is one.
pub(super) fn put_access(table: &Table, access: Access, body: &mut Map<String, Value>) {
    if let Some(written) = table.access {
        let (member, value) = written(access);
        body.insert(member.to_owned(), value);
    }
}

/// Returns the members of the attributes of a write, without mark and access.
///
/// # Errors
/// A value that cannot be written.
pub(super) fn attributes<'m>(
    table: &'static Table,
    of: Of<'m>,
    mut own: impl FnMut(&Place<'m>, Option<&str>, &Map<String, Value>) -> Result<Own, Error>,
) -> Result<Map<String, Value>, Error> {
    let foreign = foreign(of.write);
    let mut body = Map::new();
    for (place, value) in places(table, of.mapping, of.write) {
        let text = match value {
            NewValue::Set(text) => Some(&**text),
            // A new account has nothing to clear.
            NewValue::Clear if of.is_new() => continue,
            NewValue::Clear => None,
        };
        let value = match own(&place, text, &foreign)? {
            Own::Elsewhere => continue,
            Own::Value(value) => value,
            Own::Table => (place.field.form.write)(text)
                .map_err(|said| Error::rejected(place.target, said))?,
        };
        put(&mut body, &foreign, &place, value);
    }
    Ok(body)
}

/// Returns the refusal of a write without members.
pub(super) fn nothing() -> Error {
    Error::Rejected { field: None, said: "there is nothing to write".to_owned() }
}

/// Returns the write with what the account has in members that the write replaces as a whole, if it
/// needs that and does not have it. `now` reads the account.
///
/// # Errors
/// The account cannot be read, or does not exist.
pub(super) async fn with_foreign(
    write: &AccountWrite,
    needs: bool,
    now: impl Future<Output = Result<Option<Account<'static>>, Error>>,
) -> Result<Cow<'_, AccountWrite>, Error> {
    if !needs || write.foreign.is_some() {
        return Ok(Cow::Borrowed(write));
    }
    let foreign = now.await?.ok_or(Error::NotFound)?.foreign;
    let foreign = foreign.map(|foreign| foreign.as_ref().into());
    Ok(Cow::Owned(AccountWrite { foreign, ..write.clone() }))
}

/// Returns the places that a write names, with their new values.
pub(super) fn places<'m, 'w>(
    table: &'static Table,
    mapping: &'m Mapping,
    write: &'w AccountWrite,
) -> impl Iterator<Item = (Place<'m>, &'w NewValue)> {
    let place = |row: usize| table.locate(&mapping.rows.get(row)?.target);
    write.attributes.iter().filter_map(move |(row, value)| Some((place(*row)?, value)))
}

/// Returns whether a write needs what the account has in members that it replaces as a whole.
pub(super) fn needs_foreign(
    table: &'static Table,
    mapping: &Mapping,
    write: &AccountWrite,
) -> bool {
    let mark = write.mark.iter().map(|_| table.mark_place());
    places(table, mapping, write).map(|(place, _)| place).chain(mark).any(|p| p.is_whole())
}

/// Returns the members that the account had when it was read.
fn foreign(write: &AccountWrite) -> Map<String, Value> {
    write.foreign.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Returns the object in this member, and makes it one.
pub(super) fn object<'b>(
    members: &'b mut Map<String, Value>,
    name: &str,
) -> &'b mut Map<String, Value> {
    let member = members.entry(name).or_insert_with(|| json!({}));
    if !member.is_object() {
        *member = json!({});
    }
    match member {
        Value::Object(members) => members,
        _ => unreachable!("it was made an object"),
    }
}

/// Puts a value in its place. A place of which the write replaces the whole begins with what the
/// account had.
pub(super) fn put(
    body: &mut Map<String, Value>,
    foreign: &Map<String, Value>,
    place: &Place<'_>,
    value: Value,
) {
    let had = || foreign.get(place.outer).cloned();
    match place.field.at {
        At::Member | At::Reference => drop(body.insert(place.outer.to_owned(), value)),
        At::Within(_) => {
            drop(object(body, place.outer).insert(place.member.to_owned(), value));
        }
        At::Inside { whole } => {
            if whole && !body.contains_key(place.outer) {
                let had = had().unwrap_or_default();
                let texts = had.as_object().into_iter().flatten().filter_map(|(name, value)| {
                    Some((name.clone(), json!(scalar(&value.to_string())?)))
                });
                body.insert(place.outer.to_owned(), Value::Object(texts.collect()));
            }
            let mut inner = object(body, place.outer);
            if !place.key.is_empty() {
                inner = object(inner, place.key);
            }
            inner.insert(place.member.to_owned(), value);
        }
        At::Entry(array) => {
            let entries = body.entry(place.outer).or_insert_with(|| {
                let mut entries = had().filter(Value::is_array).unwrap_or_else(|| json!([]));
                leave_out(array, &mut entries);
                entries
            });
            if let Value::Array(entries) = entries {
                set(place, array, entries, value);
            }
        }
    }
}

/// Takes what the provider makes itself out of the entries of an array.
fn leave_out(array: &Array, entries: &mut Value) {
    for entry in entries.as_array_mut().into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut().filter(|_| !array.made.is_empty()) {
            entry.retain(|name, value| !array.made.contains(&&**name) && !value.is_null());
        }
    }
}

/// Sets the value of the entry that the place names, or removes the entry if nothing else is left
/// in it. All others stay.
fn set(place: &Place<'_>, array: &Array, entries: &mut Vec<Value>, value: Value) {
    let has = |entry: &Value, name: &str, value: &str| entry[name] == value;
    let at = place.entry(entries, has, |entry| entry["primary"] == true);
    match (at.filter(|at| entries[*at].is_object()), value) {
        (Some(at), Value::Null) => {
            if !is_left_without(array, &mut entries[at], place.member) {
                entries.remove(at);
            }
        }
        (None, Value::Null) => {}
        (Some(at), value) => entries[at][place.member] = value,
        (None, value) => {
            let mut entry = place.new_entry(array);
            entry[place.member] = value;
            entries.push(entry);
        }
    }
}

/// Removes a member from an entry. Returns whether the entry still has other values.
fn is_left_without(array: &Array, entry: &mut Value, member: &str) -> bool {
    entry.as_object_mut().is_some_and(|entry| {
        entry.remove(member);
        let is_value =
            |(name, value): (&String, &Value)| !array.empty.contains(&&**name) && value != "";
        member != "value" && entry.iter().any(is_value)
    })
}

/// Returns the state that a write of access leads to.
pub(super) const fn state_of(access: Access) -> AccountState {
    match access {
        Access::Active => AccountState::Active,
        Access::Suspended => AccountState::Suspended,
    }
}
