//! Users, the schema and the org, as answers show them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::state::{Org, State};
use super::users::{Status, User};
use crate::clock::millis;

/// The id of the default user type.
pub const TYPE: &str = "oty1sample2default3d7";

/// The id of the schema of the default user type.
pub const SCHEMA: &str = "osc1sample2default3d7";

/// Attributes that are null without a value; the others are left out.
const ALWAYS: [&str; 4] = ["firstName", "lastName", "mobilePhone", "secondEmail"];

fn profile(user: &User) -> Map<String, Value> {
    let mut profile = user.profile.clone();
    for name in ALWAYS {
        profile.entry(name).or_insert(Value::Null);
    }
    profile
}

fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(millis(at)))
}

/// Returns a user without links.
pub fn bare(user: &User) -> Map<String, Value> {
    let times = &user.times;
    let name = if user.provider == "OKTA" { "OKTA" } else { "sample.local" };
    let mut credentials = json!({"provider": {"type": user.provider, "name": name}});
    if user.has_password {
        credentials["password"] = json!({});
    }
    let value = json!({
        "id": user.id,
        "status": user.status.name(),
        "created": millis(times.created),
        "activated": time(times.activated),
        "statusChanged": time(times.status_changed),
        "lastLogin": time(times.last_login),
        "lastUpdated": millis(times.last_updated),
        "passwordChanged": time(times.password_changed),
        "type": {"id": TYPE},
        "profile": profile(user),
        "credentials": credentials,
    });
    let Value::Object(mut value) = value else { return Map::new() };
    if let Some(transition) = user.transition {
        // A password that expires at once is no status of its own on the way.
        let to = match transition.to {
            Status::PasswordExpired => Status::Active,
            to => to,
        };
        value.insert("transitioningToStatus".into(), json!(to.name()));
    }
    value
}

/// Returns a user as lists show it: its only link is to itself.
pub fn row(user: &User, base: &str) -> Map<String, Value> {
    let mut value = bare(user);
    let href = format!("{base}/api/v1/users/{}", user.id);
    value.insert("_links".into(), json!({"self": {"href": href}}));
    value
}

/// Returns one user, with the links of its status.
pub fn whole(user: &User, base: &str) -> Value {
    let mut value = bare(user);
    let own = format!("{base}/api/v1/users/{}", user.id);
    let steps: &[&str] = match user.status {
        Status::Staged | Status::Deprovisioned => &["activate"],
        Status::Provisioned => &["reactivate", "resetPassword", "deactivate"],
        Status::Active => &["suspend", "resetPassword", "expirePassword", "deactivate"],
        Status::Recovery => &["reactivate", "resetPassword", "deactivate"],
        Status::PasswordExpired => &["resetPassword", "deactivate"],
        Status::LockedOut => &["unlock", "resetPassword", "deactivate"],
        Status::Suspended => &["unsuspend", "deactivate"],
    };
    let mut links = json!({
        "self": {"href": own},
        "schema": {"href": format!("{base}/api/v1/meta/schemas/user/{SCHEMA}")},
        "type": {"href": format!("{base}/api/v1/meta/types/user/{TYPE}")},
    });
    for step in steps {
        let path = match *step {
            "resetPassword" => "reset_password",
            "expirePassword" => "expire_password",
            other => other,
        };
        links[*step] = json!({"href": format!("{own}/lifecycle/{path}"), "method": "POST"});
    }
    value.insert("_links".into(), links);
    Value::Object(value)
}

/// Returns the entity tag of a user.
pub fn tag(user: &User) -> String {
    format!("W/\"{}-{:x}\"", &user.id[3..], user.version)
}

/// Returns the answer of `GET /api/v1/meta/schemas/user/default`.
pub fn schema(state: &State, base: &str) -> Value {
    let part = |id: &str, properties: &Map<String, Value>| {
        let required: Vec<&String> = properties
            .iter()
            .filter(|(_, property)| property["required"] == true)
            .map(|(name, _)| name)
            .collect();
        json!({"id": id, "type": "object", "properties": properties, "required": required})
    };
    json!({
        "id": format!("{base}/meta/schemas/user/{SCHEMA}"),
        "$schema": "http://json-schema.org/draft-04/schema#",
        "name": "user",
        "title": "User",
        "description": "Okta user profile template with default permission settings",
        "lastUpdated": "2026-01-05T09:00:00.000Z",
        "created": "2026-01-05T09:00:00.000Z",
        "definitions": {
            "base": part("#base", &state.schema.base),
            "custom": part("#custom", &state.schema.custom),
        },
        "type": "object",
        "properties": {
            "profile": {"allOf": [{"$ref": "#/definitions/base"}, {"$ref": "#/definitions/custom"}]},
        },
        "_links": {
            "self": {"rel": "self", "href": format!("{base}/api/v1/meta/schemas/user/{SCHEMA}"), "method": "GET"},
            "type": {"rel": "type", "href": format!("{base}/api/v1/meta/types/user/{TYPE}"), "method": "GET"},
        },
    })
}

/// Returns the answer of `GET /api/v1/org`.
pub fn org(org: &Org) -> Value {
    let subdomain = org.domain.split('.').next().unwrap_or_default();
    json!({
        "id": "00o1sample2org3d7", "subdomain": subdomain, "companyName": "Sample",
        "status": "ACTIVE", "created": "2026-01-05T09:00:00.000Z",
        "lastUpdated": "2026-01-05T09:00:00.000Z", "expiresAt": null, "website": null,
        "_links": {"preferences": {"href": format!("https://{}/v1/org/preferences", org.domain)}},
    })
}
