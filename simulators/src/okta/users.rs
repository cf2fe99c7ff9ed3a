//! Users in memory, and what the search index still shows of them.

use std::collections::BTreeMap;

use icu_normalizer::DecomposingNormalizerBorrowed as DecomposingNormalizer;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How long the index can lag behind; older changes are forgotten.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// The status of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Staged,
    Provisioned,
    Active,
    Recovery,
    PasswordExpired,
    LockedOut,
    Suspended,
    Deprovisioned,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "STAGED",
            Self::Provisioned => "PROVISIONED",
            Self::Active => "ACTIVE",
            Self::Recovery => "RECOVERY",
            Self::PasswordExpired => "PASSWORD_EXPIRED",
            Self::LockedOut => "LOCKED_OUT",
            Self::Suspended => "SUSPENDED",
            Self::Deprovisioned => "DEPROVISIONED",
        }
    }
}

/// A status that a user gets at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    pub to: Status,
    pub until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub created: Timestamp,
    pub activated: Option<Timestamp>,
    pub status_changed: Option<Timestamp>,
    pub last_login: Option<Timestamp>,
    pub last_updated: Timestamp,
    pub password_changed: Option<Timestamp>,
}

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub status: Status,
    /// Attributes with a value.
    pub profile: Map<String, Value>,
    /// The type of `credentials.provider`, such as `OKTA` or `ACTIVE_DIRECTORY`.
    pub provider: String,
    pub has_password: bool,
    pub transition: Option<Transition>,
    pub times: Times,
    /// Counts up with every change.
    pub version: u64,
}

impl User {
    pub fn new(id: String, now: Timestamp) -> Self {
        Self {
            id,
            status: Status::Staged,
            profile: Map::new(),
            provider: "OKTA".into(),
            has_password: false,
            transition: None,
            times: Times {
                created: now,
                activated: None,
                status_changed: None,
                last_login: None,
                last_updated: now,
                password_changed: None,
            },
            version: 0,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        self.profile.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns whether another system masters the profile.
    pub fn is_mastered(&self) -> bool {
        !matches!(&*self.provider, "OKTA" | "FEDERATION" | "SOCIAL")
    }

    /// Gives the user this status.
    pub fn arrive(&mut self, to: Status, at: Timestamp) {
        if to == Status::Deprovisioned {
            self.has_password = false;
        } else if matches!(self.status, Status::Staged | Status::Deprovisioned)
            && to != Status::Staged
        {
            self.times.activated = Some(at);
        }
        self.status = to;
        self.transition = None;
        self.times.status_changed = Some(at);
        self.times.last_updated = at;
    }
}

/// A login without case and diacritical marks: logins that differ only in these are the same.
pub fn folded(login: &str) -> String {
    DecomposingNormalizer::new_nfkd()
        .normalize(login)
        .chars()
        .filter(|letter| !('\u{300}'..='\u{36f}').contains(letter))
        .flat_map(char::to_lowercase)
        .collect()
}

/// What a user was before a change.
#[derive(Debug)]
struct Past {
    at: Timestamp,
    before: Option<User>,
}

/// All users of the org, by id: ids grow with time.
#[derive(Debug, Default)]
pub struct Users {
    live: BTreeMap<String, User>,
    past: BTreeMap<String, Vec<Past>>,
    made: u64,
}

impl Users {
    /// Ids have 20 characters and begin with `00u`.
    pub fn next_id(&mut self) -> String {
        self.made += 1;
        format!("00u{:014x}1d7", self.made * 7_919)
    }

    pub fn rows(&self) -> impl Iterator<Item = &User> {
        self.live.values()
    }

    pub fn get(&self, id: &str) -> Option<&User> {
        self.live.get(id)
    }

    /// Returns the user with this id, login, or the part of a login before its `@` if no other
    /// login begins so.
    pub fn find(&self, key: &str) -> Option<&User> {
        let by_id = self.live.get(key);
        by_id.or_else(|| self.by_login(key)).or_else(|| {
            let short = folded(key);
            let mut found = self.live.values().filter(|user| {
                folded(user.text("login")).split_once('@').is_some_and(|(name, _)| name == short)
            });
            found.next().filter(|_| found.next().is_none())
        })
    }

    pub fn by_login(&self, login: &str) -> Option<&User> {
        let login = folded(login);
        self.live.values().find(|user| folded(user.text("login")) == login)
    }

    /// Stores a change of now; the index shows it later.
    pub fn put(&mut self, mut user: User, now: Timestamp) {
        let before = self.live.get(&user.id).cloned();
        user.version += 1;
        self.note(&user.id, before, now);
        self.live.insert(user.id.clone(), user);
    }

    /// Stores a change that is old enough to be in the index.
    pub fn put_indexed(&mut self, mut user: User) {
        user.version += 1;
        self.past.remove(&user.id);
        self.live.insert(user.id.clone(), user);
    }

    pub fn remove(&mut self, id: &str, now: Timestamp) -> Option<User> {
        let before = self.live.remove(id)?;
        self.note(id, Some(before.clone()), now);
        Some(before)
    }

    pub fn forget(&mut self, id: &str) -> Option<User> {
        self.past.remove(id);
        self.live.remove(id)
    }

    pub fn clear(&mut self) {
        self.live.clear();
        self.past.clear();
    }

    fn note(&mut self, id: &str, before: Option<User>, now: Timestamp) {
        let past = self.past.entry(id.to_owned()).or_default();
        past.retain(|past| now.duration_since(past.at).abs() < REMEMBERED);
        past.push(Past { at: now, before });
    }

    /// Returns all users as the index shows them, by id.
    pub fn indexed(&self, lag: i64, now: Timestamp) -> Vec<&User> {
        let lag = SignedDuration::from_secs(lag);
        let hidden = |past: &&Past| past.at <= now && now < past.at + lag;
        let mut rows: BTreeMap<&str, &User> =
            self.live.iter().map(|(id, user)| (&**id, user)).collect();
        for (id, past) in &self.past {
            match past.iter().find(hidden) {
                Some(Past { before: Some(before), .. }) => drop(rows.insert(id, before)),
                Some(Past { before: None, .. }) => drop(rows.remove(&**id)),
                None => {}
            }
        }
        rows.into_values().collect()
    }

    /// Ends the transitions whose time is over.
    pub fn settle(&mut self, now: Timestamp) {
        let over: Vec<User> = self
            .live
            .values()
            .filter(|user| user.transition.is_some_and(|transition| transition.until <= now))
            .cloned()
            .collect();
        for mut user in over {
            if let Some(Transition { to, until }) = user.transition {
                user.arrive(to, until);
                self.put(user, until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        "2026-11-24T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn the_index_shows_what_was_before_until_its_lag_is_over() {
        let mut users = Users::default();
        let mut user = User::new(users.next_id(), at(0));
        users.put(user.clone(), at(0));
        assert!(users.indexed(10, at(9)).is_empty());
        assert_eq!(users.indexed(10, at(10)).len(), 1);
        user.status = Status::Suspended;
        users.put(user.clone(), at(20));
        assert_eq!(users.indexed(10, at(25))[0].status, Status::Staged);
        users.remove(&user.id, at(40));
        assert_eq!(users.indexed(10, at(45))[0].status, Status::Suspended);
        assert!(users.indexed(10, at(50)).is_empty() && users.indexed(0, at(40)).is_empty());
    }

    #[test]
    fn logins_are_compared_without_case_and_accents() {
        assert_eq!(folded("IsÁàc.Bröck@example.com"), folded("isaac.brock@EXAMPLE.com"));
        assert_ne!(folded("isaac.brok@example.com"), folded("isaac.brock@example.com"));
    }
}
