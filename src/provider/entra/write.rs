//! Writes in the form that Graph wants: only what differs. The manager is a reference of its own.

use super::{
    Tenant,
    catalog::{IN_ORGANIZATION, LASTING, MANAGER, NUMBERED, ORGANIZATION, SENSITIVE, TABLE},
};
use crate::provider::prelude::*;

/// What happens to the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManagerReference<'w> {
    /// The user with this id becomes the manager.
    To(&'w str),
    /// The manager is removed.
    Gone,
}

/// The calls that one write needs.
#[derive(Debug, Default, PartialEq)]
pub(super) struct WriteCalls<'w> {
    /// Members of the user. A missing one stays as it is, null clears (Microsoft Graph, "Update
    /// user").
    pub(super) members: Map<String, Value>,
    /// Members that Graph does not take with a new user, and that are written right after.
    pub(super) later: Map<String, Value>,
    /// The manager, if it changes.
    pub(super) manager: Option<ManagerReference<'w>>,
    /// Whether access is taken away, which ends sessions.
    pub(super) ends: bool,
}

/// Returns the calls that a write needs.
///
/// # Errors
/// There is nothing to write, or nothing that can be written. Nothing has been sent then.
pub(super) fn parts<'w>(tenant: &Tenant, of: Of<'w>) -> Result<WriteCalls<'w>, Error> {
    let (mapping, write, new) = (of.mapping, of.write, of.is_new());
    let (mut later, mut lasting) = (Map::new(), None);
    let mut members = attributes(&TABLE, of, |place, text, _| {
        match (place.outer, text) {
            (name, None) if LASTING.contains(&name) => lasting = Some(name),
            // Graph refuses "onPremisesExtensionAttributes" with a new user.
            (NUMBERED, text) if new => {
                object(&mut later, NUMBERED).insert(place.member.to_owned(), json!(text));
            }
            (MANAGER, _) => {}
            _ => return Ok(Own::Table),
        }
        Ok(Own::Elsewhere)
    })?;
    if let Some(Value::Object(organization)) = members.get_mut(ORGANIZATION).filter(|_| !new) {
        organization.retain(|name, _| IN_ORGANIZATION.contains(&&**name));
        for name in IN_ORGANIZATION {
            organization.entry(name).or_insert(Value::Null);
        }
    }
    if let Some(id) = &write.mark {
        let attribute = tenant.mark.attribute();
        let said = "Bob's id is no number of up to 20 digits; set markAttribute to a directory \
            extension";
        let mark = tenant.mark.encode(id).ok_or_else(|| Error::rejected(attribute, said))?;
        members.insert(attribute.to_owned(), json!(mark));
    }
    if let Some(access) = write.access {
        writer::put_access(&TABLE, access, &mut members);
    }
    let manager = places(&TABLE, mapping, write).find(|(place, _)| place.outer == MANAGER);
    let manager = manager.and_then(|(_, value)| match value {
        NewValue::Set(id) => Some(ManagerReference::To(id)),
        // A new account has nothing to clear.
        NewValue::Clear if new => None,
        NewValue::Clear => Some(ManagerReference::Gone),
    });
    if members.is_empty() && later.is_empty() && manager.is_none() {
        // If there are other changes, they are written and this one waits.
        let Some(lasting) = lasting else { return Err(nothing()) };
        return Err(Error::rejected(lasting, "it cannot be emptied once it is set"));
    }
    let ends = !new && write.access == Some(Access::Suspended);
    Ok(WriteCalls { members, later, manager, ends })
}

/// Adds the other members that a new user must have.
///
/// # Errors
/// No nickname can be made from the name.
pub(super) fn complete(
    tenant: &Tenant,
    members: &mut Map<String, Value>,
    password: &str,
    change: bool,
) -> Result<(), Error> {
    if !members.contains_key("mailNickname") {
        let name = members.get("userPrincipalName").and_then(Value::as_str).unwrap_or_default();
        let said =
            "no nickname can be made of the local part of userPrincipalName; map mailNickname";
        let nickname = nickname(name).ok_or_else(|| Error::rejected("mailNickname", said))?;
        members.insert("mailNickname".to_owned(), json!(nickname));
    }
    if let Some(location) = &tenant.usage_location {
        members.entry("usageLocation").or_insert_with(|| json!(location));
    }
    members.entry("accountEnabled").or_insert(json!(true));
    // False has to be sent: with a password, Graph's default is true.
    members.insert(
        "passwordProfile".to_owned(),
        json!({"password": password, "forceChangePasswordNextSignIn": change}),
    );
    Ok(())
}

/// Returns the local part as a mail nickname: ASCII except for `@ ( ) \ [ ] " ; : < > ,` and
/// blanks, 64 characters (resource `user`).
fn nickname(name: &str) -> Option<String> {
    let local = name.split('@').next().unwrap_or_default();
    let allowed = |c: &char| c.is_ascii_graphic() && !r#"()\[]";:<>,"#.contains(*c);
    Some(local.chars().filter(allowed).take(64).collect())
        .filter(|nickname: &String| !nickname.is_empty())
}

/// Returns the members that are refused for administrators, and all others.
pub(super) fn apart(members: &Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    members.clone().into_iter().partition(|(name, _)| SENSITIVE.contains(&&**name))
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
