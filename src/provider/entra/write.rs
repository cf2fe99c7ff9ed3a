//! Writes in the form that Graph wants: only what differs. The manager is a reference of its own.

use serde_json::{Map, Value, json};

use super::{
    Tenant,
    catalog::{IN_ORGANIZATION, LASTING, NUMBERED, ORGANIZATION, SENSITIVE, Target, locate},
};
use crate::{
    domain::{
        account::{Access, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::Error,
};

/// What happens to the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'w> {
    /// The user with this id becomes the manager.
    To(&'w str),
    /// The manager is removed.
    Gone,
}

/// The calls that one write needs.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parts<'w> {
    /// Members of the user. A missing one stays as it is, null clears (Microsoft Graph, "Update
    /// user").
    pub(super) members: Map<String, Value>,
    /// Members that Graph does not take with a new user, and that are written right after.
    pub(super) later: Map<String, Value>,
    /// The manager, if it changes.
    pub(super) manager: Option<Reference<'w>>,
    /// Whether access is taken away, which ends sessions.
    pub(super) ends: bool,
}

/// Returns the calls that a write needs.
///
/// # Errors
/// There is nothing to write, or nothing that can be written. Nothing has been sent then.
pub(super) fn parts<'w>(
    tenant: &Tenant,
    mapping: &Mapping,
    write: &'w AccountWrite,
    new: bool,
) -> Result<Parts<'w>, Error> {
    let mut parts = Parts::default();
    let mut lasting = None;
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
            Target::Text(name) if text.is_none() && LASTING.contains(&name) => lasting = Some(name),
            Target::Text(name) => drop(parts.members.insert(name.to_owned(), json!(text))),
            Target::Day(name) => {
                drop(parts.members.insert(name.to_owned(), json!(text.map(midnight))))
            }
            Target::BusinessPhone => {
                drop(parts.members.insert(
                    "businessPhones".to_owned(),
                    text.map_or(json!([]), |text| json!([text])),
                ))
            }
            // Graph refuses "onPremisesExtensionAttributes" with a new user.
            Target::Numbered(name) => {
                let members = if new { &mut parts.later } else { &mut parts.members };
                members.entry(NUMBERED).or_insert_with(|| json!({}))[name] = json!(text);
            }
            // It is not published whether Graph keeps the member that is not sent, so both are
            // sent.
            Target::Organization(name) => {
                let known = || if new { json!({}) } else { organization(write.foreign.as_deref()) };
                parts.members.entry(ORGANIZATION).or_insert_with(known)[name] = json!(text);
            }
            Target::Manager => parts.manager = Some(text.map_or(Reference::Gone, Reference::To)),
        }
    }
    if let Some(id) = &write.mark {
        let mark = tenant.mark.encode(id).ok_or_else(|| Error::Rejected {
            field: Some(tenant.mark.attribute().to_owned()),
            said: "Bob's id is no number of up to 20 digits; set markAttribute to a directory extension".to_owned(),
        })?;
        parts.members.insert(tenant.mark.attribute().to_owned(), json!(mark));
    }
    if let Some(access) = write.access {
        parts.members.insert("accountEnabled".to_owned(), json!(access == Access::Active));
        parts.ends = !new && access == Access::Suspended;
    }
    if parts.members.is_empty() && parts.later.is_empty() && parts.manager.is_none() {
        // If there are other changes, they are written and this one waits.
        let said = if lasting.is_some() {
            "it cannot be emptied once it is set"
        } else {
            "there is nothing to write"
        };
        return Err(Error::Rejected { field: lasting.map(str::to_owned), said: said.to_owned() });
    }
    Ok(parts)
}

/// Returns whether a write needs members that it does not write.
pub(super) fn touches_organization(mapping: &Mapping, write: &AccountWrite) -> bool {
    let targets =
        write.attributes.iter().filter_map(|(row, _)| locate(&mapping.rows.get(*row)?.target));
    targets.into_iter().any(|target| matches!(target, Target::Organization(_)))
}

/// Returns `employeeOrgData` as the account has it.
fn organization(foreign: Option<&str>) -> Value {
    let known: Value = foreign.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Value::Object(
        IN_ORGANIZATION.iter().map(|name| ((*name).to_owned(), known[name].clone())).collect(),
    )
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
        let nickname = nickname(name).ok_or_else(|| Error::Rejected {
            field: Some("mailNickname".to_owned()),
            said:
                "no nickname can be made of the local part of userPrincipalName; map mailNickname"
                    .to_owned(),
        })?;
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

/// Returns a day as the point in time that Graph keeps.
fn midnight(text: &str) -> String {
    let is_day = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
