//! What is known of an account after a write. Graph answers a change with an empty body, and a
//! create with little.

use super::user_in;
use crate::{
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        mapping::Mapping,
    },
    http::client::Answer,
};

/// Returns the new account: its id as it was answered, the rest as it was sent. The answer shows
/// neither state nor mark.
pub(super) fn made(
    mapping: &Mapping,
    write: &AccountWrite,
    answer: &Answer,
) -> Result<Account<'static>, &'static str> {
    let user = user_in(answer).ok_or("the answer is not a user")?;
    let id = user.text("id").ok_or("the answer names no account")?;
    if user.enabled().is_some_and(|enabled| enabled == (write.access == Some(Access::Suspended))) {
        return Err("the answered state is not the one that was asked for");
    }
    let mut account = told(mapping, write, id.into_owned());
    if write.access.is_none() {
        account.state = AccountState::Active;
    }
    Ok(account)
}

/// Returns what is known of an account after a write with an empty answer.
pub(super) fn told(mapping: &Mapping, write: &AccountWrite, id: String) -> Account<'static> {
    let mut attributes = vec![None; mapping.rows.len()];
    for (row, value) in &write.attributes {
        if let (NewValue::Set(text), Some(slot)) = (value, attributes.get_mut(*row)) {
            *slot = Some(String::from(&**text).into());
        }
    }
    let name = attributes.get(mapping.email).cloned().flatten();
    Account {
        id: id.into(),
        mark: write.mark.as_deref().map(|mark| mark.to_owned().into()),
        email: name.clone(),
        username: name,
        state: match write.access {
            Some(Access::Active) => AccountState::Active,
            Some(Access::Suspended) => AccountState::Suspended,
            None => AccountState::Other,
        },
        attributes: attributes.into(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    }
}

/// Returns the account without the values of these targets, which could not be written yet.
pub(super) fn without(
    mapping: &Mapping,
    mut account: Account<'static>,
    targets: fn(&str) -> bool,
) -> Account<'static> {
    for (row, value) in mapping.rows.iter().zip(&mut account.attributes) {
        if targets(&row.target) {
            *value = None;
        }
    }
    account
}
