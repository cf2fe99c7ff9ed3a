//! Users in memory.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::schema::ENTERPRISE;
use crate::clock::millis;

/// A resource or a part of one.
pub type Resource = Map<String, Value>;

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    /// The attributes as stored, with `id` and `meta`, without what depends on the address.
    pub resource: Resource,
    version: u64,
    /// What an index still has, and since when it is wrong; without a resource: nothing.
    stale: Option<(Timestamp, Option<Resource>)>,
}

impl User {
    pub fn text(&self, name: &str) -> &str {
        self.resource.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the version in the form of an entity tag.
    pub fn tag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }

    /// Returns the user as an index that is so many seconds late has it.
    pub fn seen(&self, lag: i64, now: Timestamp) -> Option<&Resource> {
        match &self.stale {
            Some((since, before)) if now < *since + SignedDuration::from_secs(lag) => {
                before.as_ref()
            }
            _ => Some(&self.resource),
        }
    }

    /// Returns the id of the manager.
    pub fn manager(&self) -> Option<&str> {
        self.resource.get(ENTERPRISE)?.get("manager")?.get("value")?.as_str()
    }
}

/// All users, by id: ids grow with time.
#[derive(Debug, Default)]
pub struct Users {
    live: BTreeMap<String, User>,
    made: u64,
}

impl Users {
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.live.values()
    }

    pub fn get(&self, id: &str) -> Option<&User> {
        self.live.get(id)
    }

    /// Stores a new user. An administrator's user is old enough to be seen everywhere.
    pub fn add(&mut self, mut resource: Resource, now: Timestamp, by_hand: bool) -> String {
        self.made += 1;
        let id = format!("{:08x}-5c1a-4000-8000-{:012x}", self.made, self.made * 7_919);
        resource.insert("id".into(), json!(id));
        let meta = json!({
            "resourceType": "User", "created": millis(now), "lastModified": millis(now),
        });
        resource.insert("meta".into(), meta);
        let stale = (!by_hand).then_some((now, None));
        self.live.insert(id.clone(), User { id: id.clone(), resource, version: 1, stale });
        id
    }

    /// Stores a user's new attributes. If nothing differs, the version stays.
    pub fn change(&mut self, id: &str, mut resource: Resource, now: Timestamp, lag: i64) {
        let Some(user) = self.live.get_mut(id) else { return };
        for name in ["id", "meta"] {
            if let Some(own) = user.resource.get(name) {
                resource.insert(name.to_owned(), own.clone());
            }
        }
        if resource == user.resource {
            return;
        }
        if let Some(meta) = resource.get_mut("meta") {
            meta["lastModified"] = json!(millis(now));
        }
        let since = user.stale.as_ref().map(|(since, _)| *since);
        let fresh = since.is_none_or(|since| now >= since + SignedDuration::from_secs(lag));
        if fresh {
            user.stale = Some((now, Some(user.resource.clone())));
        }
        user.resource = resource;
        user.version += 1;
    }

    /// Makes a user's values visible everywhere.
    pub fn settle(&mut self, id: &str) {
        if let Some(user) = self.live.get_mut(id) {
            user.stale = None;
        }
    }

    /// Removes a user; those who refer to this user as their manager have none.
    pub fn remove(&mut self, id: &str, now: Timestamp) -> bool {
        let found = self.live.remove(id).is_some();
        let reports: Vec<String> = self
            .rows()
            .filter(|user| user.manager() == Some(id))
            .map(|user| user.id.clone())
            .collect();
        for report in reports {
            let Some(mut resource) = self.get(&report).map(|user| user.resource.clone()) else {
                continue;
            };
            if let Some(extension) = resource.get_mut(ENTERPRISE).and_then(Value::as_object_mut) {
                extension.remove("manager");
                if extension.is_empty() {
                    resource.remove(ENTERPRISE);
                }
            }
            self.change(&report, resource, now, 0);
        }
        found
    }

    pub fn clear(&mut self) {
        self.live.clear();
    }
}
