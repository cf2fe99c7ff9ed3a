//! Users in memory: what is stored, who has a name or an address, and when a read shows a user.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    /// Everything except `id` and the manager, as Graph shows it; a property without a value is not
    /// in it.
    pub members: Map<String, Value>,
    pub manager: Option<String>,
    /// When the API made it; `None`: it was always there.
    pub made: Option<Timestamp>,
    /// What filters show, and until when: the state before the last write.
    pub indexed: Option<(Option<Map<String, Value>>, Timestamp)>,
}

impl User {
    pub fn name(&self) -> &str {
        self.members.get("userPrincipalName").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        let own = self
            .members
            .get("proxyAddresses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        own.map(|address| {
            address
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .trim_start_matches(':')
                .to_lowercase()
        })
    }

    pub fn is_younger(&self, seconds: i64, now: Timestamp) -> bool {
        self.made.is_some_and(|made| now < made + SignedDuration::from_secs(seconds))
    }

    pub fn is_synchronised(&self) -> bool {
        self.members.get("onPremisesSyncEnabled") == Some(&json!(true))
    }

    /// Returns the state that filters use.
    pub fn searchable(&self, now: Timestamp) -> Option<&Map<String, Value>> {
        match &self.indexed {
            Some((before, until)) if now < *until => before.as_ref(),
            _ => Some(&self.members),
        }
    }

    /// Returns the whole user, with the manager as in an expansion.
    pub fn value(&self) -> Map<String, Value> {
        let mut value = self.members.clone();
        value.insert("id".into(), json!(self.id));
        if let Some(manager) = &self.manager {
            value.insert("manager".into(), json!({"id": manager}));
        }
        value
    }
}

/// All users of the tenant.
#[derive(Debug, Default)]
pub struct Users {
    live: BTreeMap<String, User>,
    deleted: BTreeMap<String, (User, Timestamp)>,
    names: HashMap<String, String>,
    addresses: HashMap<String, String>,
    made: u64,
}

/// How long a deleted user can be restored.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Users {
    pub fn next_id(&mut self) -> String {
        self.made += 1;
        format!(
            "{:08x}-5ea7-4000-8000-{:012x}",
            self.made.wrapping_mul(0x9e37_79b9) & 0xffff_ffff,
            self.made
        )
    }

    pub fn rows(&self) -> impl Iterator<Item = &User> {
        self.live.values()
    }

    pub fn after<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a User> + use<'a> {
        self.live
            .range((std::ops::Bound::Excluded(id.to_owned()), std::ops::Bound::Unbounded))
            .map(|(_, user)| user)
    }

    pub fn get(&self, id: &str) -> Option<&User> {
        self.live.get(&id.to_lowercase())
    }

    /// Finds a user by id or name.
    pub fn find(&self, key: &str) -> Option<&User> {
        let key = key.to_lowercase();
        self.live.get(&key).or_else(|| self.live.get(self.names.get(&key)?))
    }

    pub fn is_taken(&self, name: &str, own: &str) -> bool {
        self.names.get(&name.to_lowercase()).is_some_and(|id| id != own)
    }

    /// Returns whether another user has the address.
    pub fn has_address(&self, address: &str, own: &str) -> bool {
        self.addresses.get(&address.to_lowercase()).is_some_and(|id| id != own)
    }

    pub fn put(&mut self, user: User) {
        self.forget(&user.id);
        self.names.insert(user.name().to_lowercase(), user.id.clone());
        self.addresses.extend(user.addresses().map(|address| (address, user.id.clone())));
        self.live.insert(user.id.clone(), user);
    }

    fn forget(&mut self, id: &str) {
        let Some(user) = self.live.get(id) else { return };
        let (name, addresses): (String, Vec<String>) =
            (user.name().to_lowercase(), user.addresses().collect());
        self.names.remove(&name);
        addresses.iter().for_each(|address| drop(self.addresses.remove(address)));
    }

    /// Deletes the user; for 30 days the user can be restored. The id before the name frees the
    /// name at once.
    pub fn remove(&mut self, key: &str, now: Timestamp) -> bool {
        let Some(id) = self.find(key).map(|user| user.id.clone()) else { return false };
        self.forget(&id);
        let Some(mut user) = self.live.remove(&id) else { return false };
        let name = format!("{}{}", id.replace('-', ""), user.name());
        user.members.insert("userPrincipalName".into(), json!(name));
        for other in self.live.values_mut().filter(|other| other.manager.as_ref() == Some(&id)) {
            other.manager = None;
        }
        self.deleted.insert(id, (user, now));
        true
    }

    /// # Errors
    /// Why it cannot be restored.
    pub fn restore(&mut self, id: &str, now: Timestamp) -> Result<&User, &'static str> {
        let (mut user, at) = self.deleted.get(id).cloned().ok_or("no such deleted user")?;
        if now.duration_since(at) > KEPT {
            return Err("no such deleted user");
        }
        let name =
            user.name().strip_prefix(&*id.replace('-', "")).unwrap_or(user.name()).to_owned();
        if self.is_taken(&name, id) {
            return Err("userPrincipalName");
        }
        user.members.insert("userPrincipalName".into(), json!(name));
        self.deleted.remove(id);
        self.put(user);
        self.live.get(id).ok_or("no such deleted user")
    }

    pub fn deleted(&self) -> impl Iterator<Item = &User> {
        self.deleted.values().map(|(user, _)| user)
    }

    pub fn clear(&mut self) {
        self.live.clear();
        self.deleted.clear();
        self.names.clear();
        self.addresses.clear();
    }
}
