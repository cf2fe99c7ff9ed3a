//! What a write may hold: every property's type and rules (Microsoft Graph v1.0, resource `user`).

use serde_json::{Map, Value, json};

use super::errors;
use super::state::State;
use crate::front::Answer;

type Checked<T = ()> = Result<T, Answer>;

/// The properties without `$select`.
pub const DEFAULT: [&str; 11] = [
    "id",
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

/// The type of an object; every SDK sends it.
pub const TYPE: &str = "@odata.type";

/// Texts that can be written, with their greatest lengths.
pub const TEXTS: [(&str, usize); 21] = [
    ("userPrincipalName", 113),
    ("displayName", 256),
    ("mailNickname", 64),
    ("mail", 256),
    ("givenName", 64),
    ("surname", 64),
    ("jobTitle", 128),
    ("department", 64),
    ("companyName", 64),
    ("officeLocation", 128),
    ("mobilePhone", 64),
    ("faxNumber", 64),
    ("streetAddress", 1024),
    ("city", 128),
    ("state", 128),
    ("postalCode", 40),
    ("country", 128),
    ("usageLocation", 2),
    ("preferredLanguage", 64),
    ("employeeId", 16),
    ("employeeType", 64),
];

/// Properties that only the directory writes.
pub const READ_ONLY: [&str; 8] = [
    "id",
    "createdDateTime",
    "onPremisesSyncEnabled",
    "proxyAddresses",
    "signInSessionsValidFromDateTime",
    "creationType",
    "deletedDateTime",
    "externalUserState",
];

/// Properties that cannot be emptied.
const LASTING: [&str; 5] =
    ["userPrincipalName", "displayName", "mailNickname", "usageLocation", "accountEnabled"];

/// Properties of an administrator that only a high role may write.
pub const SENSITIVE: [&str; 7] = [
    "accountEnabled",
    "businessPhones",
    "mobilePhone",
    "onPremisesImmutableId",
    "otherMails",
    "passwordProfile",
    "userPrincipalName",
];

/// Checks the members of a write against every rule, and returns them as they are stored: null
/// removes a value.
pub fn check(state: &State, given: &Map<String, Value>, new: bool) -> Checked<Map<String, Value>> {
    let mut checked = Map::new();
    for (name, value) in given {
        let name = name.as_str();
        if name == TYPE {
            continue;
        }
        if READ_ONLY.contains(&name) {
            return Err(errors::bad(&format!("Property '{name}' is read-only and cannot be set.")));
        }
        if value.is_null() && (LASTING.contains(&name) || new) {
            return Err(errors::invalid(name));
        }
        if let Some((_, most)) = TEXTS.iter().find(|(known, _)| *known == name) {
            checked.insert(name.to_owned(), text(state, name, *most, value)?);
        } else if name.starts_with("extension_") {
            if !state.extensions.iter().any(|known| known == name) {
                return Err(errors::bad(&format!(
                    "The following extension properties are not available: {name}."
                )));
            }
            checked.insert(name.to_owned(), text(state, name, 256, value)?);
        } else {
            match name {
                "accountEnabled" if value.is_boolean() => {
                    drop(checked.insert(name.into(), value.clone()))
                }
                "businessPhones" => drop(checked.insert(name.into(), phones(value)?)),
                "employeeHireDate" => drop(checked.insert(name.into(), instant(name, value)?)),
                "employeeOrgData" => drop(checked.insert(name.into(), org_data(value)?)),
                // "is refused in POST and accepted in PATCH"
                "onPremisesExtensionAttributes" if !new => {
                    drop(checked.insert(name.into(), numbered(value)?))
                }
                "onPremisesExtensionAttributes" | "accountEnabled" | "manager" => {
                    return Err(errors::invalid(name));
                }
                "passwordProfile" => drop(checked.insert(name.into(), password(value)?)),
                "passwordPolicies" | "onPremisesImmutableId" | "userType"
                    if value.is_string() || value.is_null() =>
                {
                    checked.insert(name.to_owned(), value.clone());
                }
                "otherMails" if value.is_array() => {
                    drop(checked.insert(name.into(), value.clone()))
                }
                _ => return Err(errors::bad(&format!("Invalid property '{name}'."))),
            }
        }
    }
    refused(state, given)?;
    Ok(checked)
}

fn text(state: &State, name: &str, most: usize, value: &Value) -> Checked<Value> {
    let text = match value {
        Value::Null => return Ok(Value::Null),
        Value::String(text) if text.chars().count() <= most => text,
        _ => return Err(errors::invalid(name)),
    };
    match name {
        "userPrincipalName" => user_name(state, text)?,
        "mail" => {
            let (local, domain) = text.split_once('@').ok_or_else(|| errors::invalid(name))?;
            if !text.is_ascii() || local.is_empty() || domain.is_empty() || text.contains(' ') {
                return Err(errors::invalid(name));
            }
        }
        "mailNickname" => {
            let bad = |c: char| !c.is_ascii() || r#"@()\[]";:<>, "#.contains(c) || c.is_control();
            if text.is_empty() || text.contains(bad) {
                return Err(errors::invalid(name));
            }
        }
        "usageLocation" if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_uppercase()) => {
            return Err(errors::invalid(name));
        }
        "displayName" if text.trim().is_empty() => return Err(errors::invalid(name)),
        _ => {}
    }
    Ok(value.clone())
}

fn user_name(state: &State, name: &str) -> Checked {
    let bad =
        || errors::invalid_because("userPrincipalName", "Property userPrincipalName is invalid.");
    let (local, domain) = name.rsplit_once('@').ok_or_else(bad)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(c);
    if local.is_empty() || local.len() > 64 || !local.chars().all(allowed) || local.ends_with('.') {
        return Err(bad());
    }
    if !state.domains.iter().any(|own| own.eq_ignore_ascii_case(domain)) {
        let why = "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.";
        return Err(errors::invalid_because("userPrincipalName", why));
    }
    Ok(())
}

/// "Only one number can be set for this property."
fn phones(value: &Value) -> Checked<Value> {
    let entries = value
        .as_array()
        .filter(|all| all.len() <= 1)
        .ok_or_else(|| errors::invalid("businessPhones"))?;
    let right = entries
        .iter()
        .all(|entry| entry.as_str().is_some_and(|text| (1..=64).contains(&text.chars().count())));
    if right { Ok(value.clone()) } else { Err(errors::invalid("businessPhones")) }
}

fn instant(name: &str, value: &Value) -> Checked<Value> {
    let right = value.is_null()
        || value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
    if right {
        Ok(value.clone())
    } else {
        Err(errors::bad(&format!(
            "Cannot convert a value to target type 'Edm.DateTimeOffset' of property '{name}'."
        )))
    }
}

/// `{division, costCenter}`. A part that is not sent is removed.
fn org_data(value: &Value) -> Checked<Value> {
    let bad = || errors::invalid("employeeOrgData");
    let mut data = json!({"division": null, "costCenter": null});
    match value {
        Value::Null => return Ok(Value::Null),
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != TYPE) {
                let text = value.is_null()
                    || value.as_str().is_some_and(|text| (1..=256).contains(&text.chars().count()));
                if !text || !["division", "costCenter"].contains(&name.as_str()) {
                    return Err(bad());
                }
                data[name] = value.clone();
            }
        }
        _ => return Err(bad()),
    }
    let empty = data["division"].is_null() && data["costCenter"].is_null();
    Ok(if empty { Value::Null } else { data })
}

fn numbered(value: &Value) -> Checked<Value> {
    let bad = || errors::invalid("onPremisesExtensionAttributes");
    for (name, value) in value.as_object().ok_or_else(bad)?.iter().filter(|(name, _)| *name != TYPE)
    {
        let number =
            name.strip_prefix("extensionAttribute").and_then(|number| number.parse::<u8>().ok());
        let right =
            value.is_null() || value.as_str().is_some_and(|text| text.chars().count() <= 1024);
        if !number.is_some_and(|number| (1..=15).contains(&number)) || !right {
            return Err(errors::invalid(name));
        }
    }
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        members.remove(TYPE);
    }
    Ok(value)
}

fn password(value: &Value) -> Checked<Value> {
    let bad = || errors::invalid("passwordProfile");
    let members = value.as_object().ok_or_else(bad)?;
    for (name, value) in members.iter().filter(|(name, _)| *name != TYPE) {
        let right = match name.as_str() {
            "password" => value.is_string(),
            "forceChangePasswordNextSignIn" | "forceChangePasswordNextSignInWithMfa" => {
                value.is_boolean()
            }
            _ => false,
        };
        if !right {
            return Err(bad());
        }
    }
    if let Some(text) = members.get("password").and_then(Value::as_str) {
        let classes: [fn(char) -> bool; 4] = [
            |c| c.is_ascii_lowercase(),
            |c| c.is_ascii_uppercase(),
            |c| c.is_ascii_digit(),
            |c| !c.is_ascii_alphanumeric(),
        ];
        let count = classes.iter().filter(|class| text.chars().any(class)).count();
        if !(8..=256).contains(&text.chars().count()) || count < 3 {
            let why = "The specified password does not comply with password complexity requirements. Please provide a different password.";
            return Err(errors::bad(why));
        }
    }
    // "forceChangePasswordNextSignIn: default true" if a password is set.
    let force = members.get("forceChangePasswordNextSignIn").cloned().unwrap_or(json!(true));
    Ok(json!({"forceChangePasswordNextSignIn": force}))
}

/// Applies the test's own rules.
fn refused(state: &State, given: &Map<String, Value>) -> Checked {
    for rule in &state.refuse {
        if given.get(&rule.field).is_some_and(|value| value.to_string().contains(&rule.contains)) {
            return Err(errors::invalid(&rule.field));
        }
    }
    Ok(())
}
