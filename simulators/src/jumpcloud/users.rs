//! Users in memory.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// The id of the organization.
pub const ORGANIZATION: &str = "5f0c1b2c3d4e5f6071829304";

/// Members that are null without a value (JumpCloud API v1, `systemuserreturn`).
const NULLABLE: [&str; 4] = ["admin", "delegatedAuthority", "password_date", "account_locked_date"];

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    /// Everything except the ids, as the API shows it.
    pub members: Map<String, Value>,
    /// When the API made it; `None`: it was always there.
    pub made: Option<Timestamp>,
}

impl User {
    pub fn text(&self, name: &str) -> &str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn younger(&self, seconds: i64, now: Timestamp) -> bool {
        self.made.is_some_and(|made| now < made + SignedDuration::from_secs(seconds))
    }

    /// Returns the whole user.
    pub fn value(&self) -> Map<String, Value> {
        let mut value = self.members.clone();
        // A member of the null list is null, another missing member is left out.
        value.retain(|name, value| !value.is_null() || NULLABLE.contains(&name.as_str()));
        for name in ["_id", "id"] {
            value.insert(name.into(), json!(self.id));
        }
        value
    }
}

/// All users of the organization, by id: ids grow with time.
#[derive(Debug, Default)]
pub struct Users {
    live: BTreeMap<String, User>,
    made: u64,
    entries: u64,
}

impl Users {
    /// Ids have 24 hexadecimal digits.
    pub fn next_id(&mut self) -> String {
        self.made += 1;
        format!("5f0c1b2c{:016x}", self.made * 7_919)
    }

    /// Returns the id of an entry of an array.
    pub fn next_entry(&mut self) -> String {
        self.entries += 1;
        format!("6a000000{:016x}", self.entries)
    }

    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.live.values()
    }

    pub fn get(&self, id: &str) -> Option<&User> {
        self.live.get(id)
    }

    pub fn put(&mut self, user: User) {
        self.live.insert(user.id.clone(), user);
    }

    pub fn remove(&mut self, id: &str) -> Option<User> {
        self.live.remove(id)
    }

    pub fn clear(&mut self) {
        self.live.clear();
    }

    /// Returns another user with this value, ignoring case.
    pub fn is_taken(&self, name: &str, text: &str, own: Option<&str>) -> bool {
        let text = text.to_lowercase();
        self.live
            .values()
            .any(|user| Some(&*user.id) != own && user.text(name).to_lowercase() == text)
    }

    /// Returns the users who report to this user.
    pub fn reports(&self, id: &str) -> Vec<String> {
        self.live
            .values()
            .filter(|user| user.text("manager") == id)
            .map(|user| user.id.clone())
            .collect()
    }

    /// Returns what every user has from the start.
    pub fn defaults(now: Timestamp) -> Map<String, Value> {
        let mut members = Map::new();
        for name in [
            "firstname",
            "middlename",
            "lastname",
            "displayname",
            "jobTitle",
            "department",
            "company",
            "costCenter",
            "location",
            "description",
            "employeeType",
            "alternateEmail",
            "managedAppleId",
        ] {
            members.insert(name.into(), json!(""));
        }
        for name in [
            "addresses",
            "phoneNumbers",
            "attributes",
            "relationships",
            "restrictedFields",
            "ssh_keys",
        ] {
            members.insert(name.into(), json!([]));
        }
        for name in [
            "account_locked",
            "activated",
            "allow_public_key",
            "disableDeviceMaxLoginAttempts",
            "enable_managed_uid",
            "externally_managed",
            "enable_user_portal_multifactor",
            "ldap_binding_user",
            "password_expired",
            "password_never_expires",
            "passwordless_sudo",
            "samba_service_user",
            "sudo",
            "totp_enabled",
        ] {
            members.insert(name.into(), json!(false));
        }
        for name in [
            "employeeIdentifier",
            "manager",
            "admin",
            "delegatedAuthority",
            "password_date",
            "account_locked_date",
        ] {
            members.insert(name.into(), Value::Null);
        }
        members.insert("organization".into(), json!(ORGANIZATION));
        members.insert("creationSource".into(), json!("jumpcloud:api"));
        members.insert("created".into(), json!(crate::clock::millis(now)));
        members.insert("mfa".into(), json!({"configured": false, "exclusion": false}));
        members
    }
}
