//! What a write may hold: every member's type and length (JumpCloud API v1, `systemuserputpost` and
//! `systemuserput`).

use serde_json::{Map, Value};

use super::state::State;
use crate::front::Answer;

type Checked<T = ()> = Result<T, Answer>;

/// Texts, with their greatest lengths.
const TEXTS: [(&str, usize); 20] = [
    ("email", 1024),
    ("username", 1024),
    ("firstname", 1024),
    ("middlename", 1024),
    ("lastname", 1024),
    ("displayname", 1024),
    ("jobTitle", 1024),
    ("department", 1024),
    ("company", 1024),
    ("costCenter", 1024),
    ("location", 1024),
    ("description", 1024),
    ("employeeIdentifier", 256),
    ("employeeType", 1024),
    ("managedAppleId", 1024),
    ("alternateEmail", 1024),
    ("external_dn", 1024),
    ("external_password_expiration_date", 1024),
    ("external_source_type", 1024),
    ("public_key", 16_384),
];

const FLAGS: [&str; 11] = [
    "account_locked",
    "allow_public_key",
    "disableDeviceMaxLoginAttempts",
    "enable_managed_uid",
    "enable_user_portal_multifactor",
    "externally_managed",
    "ldap_binding_user",
    "password_never_expires",
    "samba_service_user",
    "sudo",
    "suspended",
];

/// Members of only a create, and of only an update.
const ONLY_NEW: [&str; 3] = ["activated", "passwordless_sudo", "recoveryEmail"];
const ONLY_UPDATE: [&str; 1] = ["ssh_keys"];

/// Arrays that are replaced as a whole, with the members of an entry and their greatest lengths.
pub const ARRAYS: [(&str, &[&str], usize); 4] = [
    ("phoneNumbers", &["type", "number"], 1024),
    (
        "addresses",
        &[
            "type",
            "poBox",
            "extendedAddress",
            "streetAddress",
            "locality",
            "region",
            "postalCode",
            "country",
        ],
        1024,
    ),
    ("attributes", &["name", "value"], 1024),
    ("relationships", &["type", "value"], 1024),
];

fn bad(state: &State, what: &str) -> Answer {
    state.refuse(400, if state.quirks.bare_refusals { "Bad Request" } else { what })
}

/// Checks the members of a write against every rule. Nothing is changed here.
pub fn check(state: &State, given: &Map<String, Value>, new: bool) -> Checked {
    for (name, value) in given {
        let name = name.as_str();
        let unknown = || bad(state, &format!("Bad Request: \"{name}\" is not allowed"));
        let wrong = || bad(state, &format!("Bad Request: {name} is invalid"));
        if (ONLY_NEW.contains(&name) && !new) || (ONLY_UPDATE.contains(&name) && new) {
            return Err(unknown());
        }
        if let Some((_, most)) = TEXTS.iter().find(|(known, _)| *known == name) {
            let nothing = value.is_null() && name == "employeeIdentifier" && !new;
            if !nothing && value.as_str().is_none_or(|text| text.chars().count() > *most) {
                return Err(wrong());
            }
        } else if let Some(rule) = ARRAYS.iter().find(|(known, ..)| *known == name) {
            entries(rule, value)
                .map_err(|what| bad(state, &format!("Bad Request: {name} {what}")))?;
        } else if FLAGS.contains(&name) || ["activated", "passwordless_sudo"].contains(&name) {
            if !value.is_boolean() {
                return Err(wrong());
            }
        } else {
            let right = match name {
                "state" => match value.as_str() {
                    Some("ACTIVATED" | "SUSPENDED") => true,
                    Some("STAGED") => new,
                    _ => false,
                },
                "manager" => {
                    value.is_null()
                        || value.as_str().is_some_and(|id| state.users.get(id).is_some())
                }
                "password" => value.is_string(),
                "recoveryEmail" => {
                    value.as_object().is_some_and(|all| all.keys().all(|key| key == "address"))
                }
                "mfa" | "delegatedAuthority" => {
                    value.is_object() || (value.is_null() && name == "delegatedAuthority")
                }
                "restrictedFields" | "ssh_keys" => value.is_array(),
                "unix_uid" | "unix_guid" => value.as_u64().is_some_and(|number| number >= 1),
                _ => return Err(unknown()),
            };
            if !right {
                return Err(wrong());
            }
        }
    }
    keys(state, given)?;
    if let (Some(state_given), Some(suspended)) = (given.get("state"), given.get("suspended"))
        && (*state_given == "SUSPENDED") != (*suspended == true)
    {
        return Err(bad(state, "Bad Request: conflicting state and suspended fields"));
    }
    refused(state, given)
}

/// Checks the form of e-mail and username.
fn keys(state: &State, given: &Map<String, Value>) -> Checked {
    for name in ["email", "alternateEmail", "managedAppleId"] {
        let Some(text) = given.get(name).and_then(Value::as_str) else { continue };
        let address = text
            .trim()
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
        if !address && (name == "email" || !text.is_empty()) {
            return Err(bad(state, &format!("Bad Request: {name} must be a valid email")));
        }
    }
    if let Some(text) = given.get("username").and_then(Value::as_str) {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@+".contains(c));
        if text.is_empty() || !plain {
            return Err(bad(
                state,
                "Bad Request: username may only contain letters, numbers, dots, hyphens and underscores",
            ));
        }
    }
    Ok(())
}

fn entries(
    (name, members, most): &(&str, &[&str], usize),
    value: &Value,
) -> Result<(), &'static str> {
    let mut names = Vec::new();
    for entry in value.as_array().ok_or("must be an array")? {
        let entry = entry.as_object().ok_or("must hold objects")?;
        for (member, value) in entry {
            if !members.contains(&member.as_str()) {
                return Err("holds a member that is not allowed");
            }
            if value.as_str().is_none_or(|text| text.chars().count() > *most) {
                return Err("holds a value that is invalid");
            }
        }
        if *name == "attributes" {
            let own = entry.get("name").and_then(Value::as_str).unwrap_or_default();
            let plain = !own.is_empty()
                && own.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !plain || names.contains(&own) {
                return Err("need names of letters and digits, each once");
            }
            names.push(own);
        }
    }
    Ok(())
}

/// Checks the password policy of the organization.
pub fn password(state: &State, given: &Map<String, Value>, details: bool) -> Checked {
    let Some(text) = given.get("password").and_then(Value::as_str) else { return Ok(()) };
    if text.chars().count() >= state.quirks.password_length {
        return Ok(());
    }
    if !details {
        return Err(state.refuse(400, "Password validation fail"));
    }
    let body = serde_json::json!({"code": 400, "message": "Password validation fail", "status": "INVALID_ARGUMENT", "details": [{
        "fieldViolationsList": [{"field": "password", "description": "minLength"}], "@type": "type.googleapis.com/google.rpc.BadRequest",
    }]});
    Err(Answer::json(400, &body))
}

/// Fields that only another directory may write.
pub fn restricted(
    state: &State,
    members: &Map<String, Value>,
    given: &Map<String, Value>,
) -> Checked {
    let restricted =
        members.get("restrictedFields").and_then(Value::as_array).into_iter().flatten();
    match restricted
        .filter_map(|field| field["field"].as_str())
        .find(|field| given.contains_key(*field))
    {
        Some(field) => {
            Err(bad(state, &format!("Bad Request: {field} is managed by an external directory")))
        }
        None => Ok(()),
    }
}

/// Applies the test's own rules.
fn refused(state: &State, given: &Map<String, Value>) -> Checked {
    for rule in &state.refuse {
        let (outer, inner) = rule.field.split_once('.').unwrap_or((&rule.field, ""));
        if given.get(outer).is_some_and(|value| value.to_string().contains(&rule.contains)) {
            return Err(bad(state, &format!("Bad Request: {outer} {inner} is invalid")));
        }
    }
    Ok(())
}
