//! Writes in the form that `OneLogin` wants, and whether an answer confirms them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    catalog::{CUSTOM, GROUP, MANAGER},
    read::Reader,
};
use crate::{
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::Error,
};

/// Returns the JSON of a write. It has only the keys that are written, because `OneLogin` keeps
/// what is not sent.
///
/// An empty text clears an attribute, and null clears the manager (developers.onelogin.com, "Update
/// User" and "Set Custom Attribute"). Either all custom attributes are sent or none, because a
/// partial set replaces the others.
///
/// # Errors
/// A value that cannot be written at all. Nothing has been sent then.
pub(super) fn body(mapping: &Mapping, write: &AccountWrite, new: bool) -> Result<Vec<u8>, Error> {
    let mut body = Map::new();
    let mut custom: Option<Map<String, Value>> = None;
    for (row, value) in &write.attributes {
        let Some(row) = mapping.rows.get(*row) else { continue };
        let target = &*row.target;
        let text = match value {
            NewValue::Set(text) => Some(&**text),
            // A new account has nothing to clear.
            NewValue::Clear if new => continue,
            NewValue::Clear => None,
        };
        if target == GROUP {
            let id = text.map(|id| id.trim().parse::<u64>()).transpose();
            let id = id.map_err(|_| rejected(target, "a group is named by its number"))?;
            body.insert(target.to_owned(), id.map_or(Value::Null, Value::from));
        } else if target == MANAGER {
            let id = text.map(|id| id.trim().parse::<u64>()).transpose();
            let id = id.map_err(|_| rejected(target, "the manager's account has no numeric id"))?;
            body.insert(target.to_owned(), id.map_or(Value::Null, Value::from));
        } else if let Some(shortname) = target.strip_prefix(CUSTOM) {
            let all = custom.get_or_insert_with(|| others(write));
            all.insert(shortname.to_owned(), Value::from(text.unwrap_or_default()));
        } else {
            body.insert(target.to_owned(), Value::from(text.unwrap_or_default()));
        }
    }
    if let Some(custom) = custom {
        body.insert("custom_attributes".to_owned(), Value::Object(custom));
    }
    if let Some(mark) = &write.mark {
        body.insert("external_id".to_owned(), Value::from(&**mark));
    }
    if let Some(access) = write.access {
        body.insert("status".to_owned(), Value::from(status(access)));
    }
    if body.is_empty() {
        return Err(Error::Rejected { field: None, said: "there is nothing to write".to_owned() });
    }
    Ok(Value::Object(body).to_string().into_bytes())
}

fn rejected(field: &str, said: &str) -> Error {
    Error::Rejected { field: Some(field.to_owned()), said: said.to_owned() }
}

/// Returns the custom attributes that the account had when it was read.
fn others(write: &AccountWrite) -> Map<String, Value> {
    write.foreign.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Returns the status for this access (developers.onelogin.com, "User Resource").
fn status(access: Access) -> u8 {
    match access {
        Access::Active => 1,
        Access::Suspended => 2,
    }
}

/// Returns the account as the answer shows it. What the answer lacks is filled from what was sent.
///
/// # Errors
/// Why the answer confirms nothing.
pub(super) fn confirmed(
    mapping: &Mapping,
    write: &AccountWrite,
    id: Option<&str>,
    answer: &[u8],
) -> Result<Account<'static>, &'static str> {
    let mut reader = Reader::new(mapping);
    let mut user = reader.user(answer)?;
    let answered = user.id.take().ok_or("the answer names no account")?;
    if id.is_some_and(|id| *answered != *id) {
        return Err("the answer names another account");
    }
    let wanted = write.access.map(|access| match access {
        Access::Active => AccountState::Active,
        Access::Suspended => AccountState::Suspended,
    });
    match (wanted, user.state) {
        (Some(wanted), Some(state)) if wanted != state => {
            return Err("the answered status is not the one that was asked for");
        }
        (wanted, None) => user.state = wanted,
        _ => {}
    }
    for (row, value) in &write.attributes {
        let Some(slot) = user.attributes.get_mut(*row).filter(|_| !reader.told(*row)) else {
            continue;
        };
        *slot = match value {
            NewValue::Set(text) => Some(Cow::Borrowed(&**text)),
            NewValue::Clear => None,
        };
    }
    let sent = |row: usize| user.attributes.get(row).cloned().flatten();
    let (email, username) = (sent(mapping.email), sent(mapping.username));
    user.email = user.email.or(email);
    user.username = user.username.or(username);
    user.mark = user.mark.or_else(|| write.mark.as_deref().map(Cow::Borrowed));
    user.foreign = user.foreign.or_else(|| write.foreign.as_deref().map(Cow::Borrowed));
    user.id = Some(answered);
    user.account().map(Account::into_owned).ok_or("the answer names no account")
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
