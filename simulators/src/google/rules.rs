//! What a write may hold: every member's type and rules (Directory API, resource `User`).

use serde_json::{Map, Value};

use super::errors;
use super::state::State;
use crate::front::Answer;

type Checked<T = ()> = Result<T, Answer>;

/// Members that only Google writes; a client's value is ignored.
const READ_ONLY: [&str; 19] = [
    "id",
    "kind",
    "etag",
    "isAdmin",
    "isDelegatedAdmin",
    "lastLoginTime",
    "creationTime",
    "deletionTime",
    "agreedToTerms",
    "aliases",
    "nonEditableAliases",
    "customerId",
    "isMailboxSetup",
    "isEnrolledIn2Sv",
    "isEnforcedIn2Sv",
    "thumbnailPhotoUrl",
    "thumbnailPhotoEtag",
    "suspensionReason",
    "emails",
];

const FLAGS: [&str; 5] = [
    "suspended",
    "archived",
    "changePasswordAtNextLogin",
    "includeInGlobalAddressList",
    "ipWhitelisted",
];

/// Arrays that are replaced as a whole: their types, the keys of an entry, and the most bytes.
pub const ARRAYS: [(&str, &[&str], &[&str], usize); 6] = [
    (
        "phones",
        &[
            "assistant",
            "callback",
            "car",
            "company_main",
            "custom",
            "grand_central",
            "home",
            "home_fax",
            "isdn",
            "main",
            "mobile",
            "other",
            "other_fax",
            "pager",
            "radio",
            "telex",
            "tty_tdd",
            "work",
            "work_fax",
            "work_mobile",
            "work_pager",
        ],
        &["type", "customType", "value", "primary"],
        1024,
    ),
    (
        "organizations",
        &["domain_only", "school", "unknown", "work"],
        &[
            "type",
            "customType",
            "primary",
            "name",
            "title",
            "department",
            "description",
            "costCenter",
            "location",
            "symbol",
            "domain",
            "fullTimeEquivalent",
        ],
        10 * 1024,
    ),
    (
        "relations",
        &[
            "admin_assistant",
            "assistant",
            "brother",
            "child",
            "custom",
            "domestic_partner",
            "dotted_line_manager",
            "exec_assistant",
            "father",
            "friend",
            "manager",
            "mother",
            "parent",
            "partner",
            "referred_by",
            "relative",
            "sister",
            "spouse",
        ],
        &["type", "customType", "value"],
        2 * 1024,
    ),
    (
        "externalIds",
        &["account", "custom", "customer", "login_id", "network", "organization"],
        &["type", "customType", "value"],
        2 * 1024,
    ),
    (
        "addresses",
        &["custom", "home", "other", "work"],
        &[
            "type",
            "customType",
            "primary",
            "sourceIsStructured",
            "formatted",
            "poBox",
            "extendedAddress",
            "streetAddress",
            "locality",
            "region",
            "postalCode",
            "country",
            "countryCode",
        ],
        10 * 1024,
    ),
    (
        "locations",
        &["custom", "default", "desk"],
        &["type", "customType", "area", "buildingId", "floorName", "floorSection", "deskCode"],
        10 * 1024,
    ),
];

/// Arrays whose entries have a `value`.
const VALUED: [&str; 3] = ["phones", "relations", "externalIds"];

/// Types of the values of a custom field with several.
const SEVERAL: [&str; 4] = ["custom", "home", "other", "work"];

/// `primaryEmail` as messages write it.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Checks the members of a write against every rule, and returns them as they are stored. Nothing
/// is changed here.
pub fn check(state: &State, given: &Map<String, Value>) -> Checked<Map<String, Value>> {
    let mut checked = Map::new();
    for (name, value) in given {
        let name = name.as_str();
        if READ_ONLY.contains(&name) {
            continue;
        }
        if let Some(rule) = ARRAYS.iter().find(|(known, ..)| *known == name) {
            checked.insert(name.to_owned(), array(rule, value)?);
        } else if FLAGS.contains(&name) {
            if !value.is_boolean() {
                return Err(errors::invalid(&snake(name)));
            }
            checked.insert(name.to_owned(), value.clone());
        } else {
            match name {
                "primaryEmail" => checked.insert(name.into(), Value::from(email(state, value)?)),
                "name" => checked.insert(name.into(), names(value)?),
                "orgUnitPath" => checked.insert(name.into(), org_unit(state, value)?),
                "recoveryEmail" | "recoveryPhone" => {
                    checked.insert(name.into(), recovery(name, value)?)
                }
                "customSchemas" => checked.insert(name.into(), custom(state, value)?),
                "password" | "hashFunction" => None,
                _ => {
                    let message = format!(
                        "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
                    );
                    return Err(errors::refused(400, "badRequest", &message));
                }
            };
        }
    }
    password(given)?;
    refused(state, given)?;
    Ok(checked)
}

fn email(state: &State, value: &Value) -> Checked<String> {
    let bad = || errors::invalid("primary_user_email");
    let text = value.as_str().ok_or_else(bad)?.trim().to_lowercase();
    let (local, domain) = text.split_once('@').ok_or_else(bad)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._'-+&=".contains(c);
    if local.is_empty()
        || local.len() > 64
        || !local.chars().all(plain)
        || domain.is_empty()
        || domain.contains('@')
    {
        return Err(bad());
    }
    if !state.domains.iter().any(|own| own == domain) {
        return Err(errors::refused(404, "notFound", "Domain not found."));
    }
    Ok(text)
}

fn names(value: &Value) -> Checked<Value> {
    let members = value.as_object().ok_or_else(|| errors::invalid("name"))?;
    let mut names = Map::new();
    for (name, value) in members {
        let most = match name.as_str() {
            "givenName" | "familyName" => 60,
            "displayName" => 256,
            // Made of the others.
            "fullName" => continue,
            _ => {
                return Err(errors::refused(
                    400,
                    "badRequest",
                    &format!("Invalid JSON payload received. Unknown name \"{name}\" at 'name'"),
                ));
            }
        };
        let spoken = match name.as_str() {
            "givenName" => "Invalid Given Name",
            "familyName" => "Invalid Family Name",
            _ => "Invalid Display Name",
        };
        let bad = || errors::refused(400, "invalid", spoken);
        if value.is_null() && name == "displayName" {
            names.insert(name.clone(), Value::Null);
            continue;
        }
        let text = value
            .as_str()
            .map(str::trim)
            .filter(|text| !text.is_empty() && text.chars().count() <= most)
            .ok_or_else(bad)?;
        names.insert(name.clone(), Value::from(text));
    }
    Ok(Value::Object(names))
}

fn org_unit(state: &State, value: &Value) -> Checked<Value> {
    let path = value
        .as_str()
        .filter(|path| state.org_units.iter().any(|known| known.eq_ignore_ascii_case(path)));
    path.map(Value::from).ok_or_else(|| errors::refused(400, "invalid", "Invalid Ou Id"))
}

fn recovery(name: &str, value: &Value) -> Checked<Value> {
    let bad = || errors::invalid(&snake(name));
    match value {
        Value::Null => Ok(Value::Null),
        Value::String(text) if text.is_empty() => Ok(Value::Null),
        Value::String(text) if name == "recoveryEmail" => text
            .split_once('@')
            .filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
            .map(|_| Value::from(text.trim()))
            .ok_or_else(bad),
        Value::String(text) => {
            let digits = text.strip_prefix('+').is_some_and(|rest| {
                (7..=15).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit())
            });
            if digits { Ok(value.clone()) } else { Err(bad()) }
        }
        _ => Err(bad()),
    }
}

fn array(
    (name, types, keys, most): &(&str, &[&str], &[&str], usize),
    value: &Value,
) -> Checked<Value> {
    let bad = || errors::invalid(&snake(name));
    let entries = match value {
        Value::Null => return Ok(Value::Array(Vec::new())),
        Value::Array(entries) => entries,
        _ => return Err(bad()),
    };
    let mut primaries = 0;
    for entry in entries {
        let entry = entry.as_object().ok_or_else(bad)?;
        for (key, value) in entry {
            let right = match key.as_str() {
                "primary" | "sourceIsStructured" => value.is_boolean(),
                "fullTimeEquivalent" => value.is_u64(),
                _ => value.is_string(),
            };
            if !keys.contains(&key.as_str()) || !right {
                return Err(errors::refused(
                    400,
                    "badRequest",
                    &format!("Invalid JSON payload received. Unknown name \"{key}\" at '{name}'"),
                ));
            }
        }
        let kind = entry.get("type").and_then(Value::as_str);
        let custom =
            entry.get("customType").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
        // Only organizations may have no type.
        let typed = kind.map_or(*name == "organizations", |kind| types.contains(&kind));
        let valued = !VALUED.contains(name)
            || entry.get("value").and_then(Value::as_str).is_some_and(|value| !value.is_empty());
        if !typed || !valued || (kind == Some("custom") && !custom) {
            return Err(bad());
        }
        primaries += usize::from(entry.get("primary") == Some(&Value::Bool(true)));
    }
    if primaries > 1 || value.to_string().len() > *most {
        return Err(bad());
    }
    Ok(value.clone())
}

fn custom(state: &State, value: &Value) -> Checked<Value> {
    let bad = || errors::invalid("custom_schema");
    for (schema, fields) in value.as_object().ok_or_else(bad)? {
        let known = state.schemas.get(schema).ok_or_else(bad)?;
        for (field, value) in fields.as_object().ok_or_else(bad)? {
            let kind = known.get(field).ok_or_else(bad)?;
            let right = match kind.strip_suffix("[]") {
                Some(kind) => value
                    .as_array()
                    .is_some_and(|entries| entries.iter().all(|entry| one_of_several(kind, entry))),
                None => of_kind(kind, value),
            };
            if !right && !value.is_null() {
                return Err(bad());
            }
        }
    }
    Ok(value.clone())
}

fn of_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "BOOL" => value.is_boolean(),
        "INT64" => value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
        "DOUBLE" => value.is_number(),
        _ => value.is_string(),
    }
}

/// Checks an entry of a custom field with several values: `{type, customType, value}`.
fn one_of_several(kind: &str, entry: &Value) -> bool {
    let Some(members) = entry.as_object() else { return false };
    let typed = members
        .get("type")
        .is_none_or(|kind| kind.as_str().is_some_and(|kind| SEVERAL.contains(&kind)));
    let known = members.keys().all(|key| ["type", "customType", "value"].contains(&key.as_str()));
    typed && known && of_kind(kind, &entry["value"])
}

fn password(given: &Map<String, Value>) -> Checked {
    let bad = || errors::refused(400, "invalid", "Invalid Password");
    let hash = given.get("hashFunction").map(|hash| hash.as_str().unwrap_or_default());
    let Some(password) = given.get("password") else {
        return if hash.is_some() { Err(bad()) } else { Ok(()) };
    };
    let text = password.as_str().ok_or_else(bad)?;
    let hexadecimal =
        |length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    let good = match hash {
        None => (8..=100).contains(&text.len()) && text.is_ascii(),
        Some("MD5") => hexadecimal(32),
        Some("SHA-1") => hexadecimal(40),
        Some("crypt") => text.starts_with('$') && text.matches('$').count() >= 3,
        Some(_) => return Err(errors::invalid("hash_function")),
    };
    if good { Ok(()) } else { Err(bad()) }
}

/// Applies the test's own rules.
fn refused(state: &State, given: &Map<String, Value>) -> Checked {
    for rule in &state.refuse {
        let (outer, inner) = rule.field.split_once('.').unwrap_or((&rule.field, ""));
        let text = given.get(outer).map(Value::to_string).unwrap_or_default();
        if text.contains(&rule.contains) {
            let name =
                if outer == "customSchemas" { "custom_schema".to_owned() } else { snake(outer) };
            let detail = if inner.is_empty() || outer == "customSchemas" {
                String::new()
            } else {
                format!(" {}", snake(inner))
            };
            return Err(errors::invalid(&format!("{name}{detail}")));
        }
    }
    Ok(())
}
