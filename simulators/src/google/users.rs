//! Users in memory: what is stored, who has an address, and when a read shows a user.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::quirks::Quirks;

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: u128,
    /// Everything except `id`, as the API shows it.
    pub members: Map<String, Value>,
    /// When the API made it; `None`: it was always there.
    pub made: Option<Timestamp>,
    /// What searches show, and until when: the state before the last write.
    pub indexed: Option<(Option<Map<String, Value>>, Timestamp)>,
}

impl User {
    pub fn email(&self) -> &str {
        self.members.get("primaryEmail").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn aliases(&self) -> Vec<&str> {
        self.members
            .get("aliases")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    fn younger(&self, seconds: i64, now: Timestamp) -> bool {
        self.made.is_some_and(|made| now < made + SignedDuration::from_secs(seconds))
    }

    pub fn is_gettable(&self, quirks: &Quirks, now: Timestamp) -> bool {
        !self.younger(quirks.get_lag_seconds, now)
    }

    pub fn is_listed(&self, quirks: &Quirks, now: Timestamp) -> bool {
        !self.younger(quirks.list_lag_seconds, now)
    }

    pub fn is_updatable(&self, quirks: &Quirks, now: Timestamp) -> bool {
        !self.younger(quirks.update_lag_seconds, now)
    }

    pub fn has_flags(&self, quirks: &Quirks, now: Timestamp) -> bool {
        !self.younger(quirks.flag_lag_seconds, now)
    }

    /// Returns the state that searches use.
    pub fn searchable(&self, now: Timestamp) -> Option<&Map<String, Value>> {
        match &self.indexed {
            Some((before, until)) if now < *until => before.as_ref(),
            _ => Some(&self.members),
        }
    }

    /// Returns the whole user.
    pub fn value(&self) -> Map<String, Value> {
        let mut value = self.members.clone();
        value.insert("kind".into(), json!("admin#directory#user"));
        value.insert("id".into(), json!(self.id.to_string()));
        value
    }
}

/// All users of the account.
#[derive(Debug, Default)]
pub struct Users {
    live: BTreeMap<u128, User>,
    deleted: BTreeMap<u128, (User, Timestamp)>,
    /// Primary addresses and aliases.
    addresses: HashMap<String, u128>,
    made: u128,
}

impl Users {
    /// Ids have 21 digits.
    pub fn next_id(&mut self) -> u128 {
        self.made += 1;
        100_000_000_000_000_000_000 + self.made * 7_919
    }

    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.live.values()
    }

    pub fn after(&self, id: u128) -> impl Iterator<Item = &User> {
        self.live
            .range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded))
            .map(|(_, user)| user)
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub fn get(&self, id: u128) -> Option<&User> {
        self.live.get(&id)
    }

    /// Finds a user by id, primary address or alias.
    pub fn find(&self, key: &str) -> Option<&User> {
        let by_id = key.parse().ok().and_then(|id: u128| self.live.get(&id));
        by_id.or_else(|| self.live.get(self.addresses.get(&key.to_lowercase())?))
    }

    /// Returns whether another user has the address.
    pub fn is_taken(&self, address: &str, own: Option<u128>) -> bool {
        self.addresses.get(&address.to_lowercase()).is_some_and(|id| Some(*id) != own)
    }

    pub fn put(&mut self, user: User) {
        self.forget_addresses(user.id);
        for address in std::iter::once(user.email()).chain(user.aliases()) {
            self.addresses.insert(address.to_lowercase(), user.id);
        }
        self.live.insert(user.id, user);
    }

    fn forget_addresses(&mut self, id: u128) {
        let Some(user) = self.live.get(&id) else { return };
        let gone: Vec<String> =
            std::iter::once(user.email()).chain(user.aliases()).map(str::to_lowercase).collect();
        for address in gone {
            self.addresses.remove(&address);
        }
    }

    /// Deletes the user; for 20 days the user can be restored.
    pub fn remove(&mut self, id: u128, now: Timestamp) -> bool {
        self.forget_addresses(id);
        let Some(user) = self.live.remove(&id) else { return false };
        self.deleted.insert(id, (user, now));
        true
    }

    pub fn restore(&mut self, id: u128, now: Timestamp) -> Result<(), &'static str> {
        let (user, at) = self.deleted.get(&id).cloned().ok_or("no such deleted user")?;
        if now.duration_since(at) > SignedDuration::from_hours(20 * 24) {
            return Err("deleted too long ago");
        }
        if self.is_taken(user.email(), None) {
            return Err("the address is in use");
        }
        self.deleted.remove(&id);
        self.put(user);
        Ok(())
    }

    /// Returns whether the key is the id of a deleted user who can still be restored.
    pub fn is_restorable(&self, key: &str, now: Timestamp) -> bool {
        let deleted = key.parse().ok().and_then(|id: u128| self.deleted.get(&id));
        deleted
            .is_some_and(|(_, at)| now.duration_since(*at) <= SignedDuration::from_hours(20 * 24))
    }

    pub fn deleted(&self) -> impl Iterator<Item = &User> {
        self.deleted.values().map(|(user, _)| user)
    }

    pub fn clear(&mut self) {
        self.live.clear();
        self.deleted.clear();
        self.addresses.clear();
    }
}
