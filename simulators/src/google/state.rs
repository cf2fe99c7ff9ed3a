//! What a simulated Google Workspace holds.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::auth::Tokens;
use super::errors;
use super::quirks::{Quirks, RefuseRule, Throttle};
use super::users::Users;
use crate::front::Answer;
use crate::front::window::Window;

/// developers.google.com, "Directory API: Limits and Quotas": queries a minute for each user and
/// project.
const QUERIES_A_MINUTE: u64 = 2_400;

/// The same: new users a second for each domain.
const CREATIONS_A_SECOND: usize = 10;

/// New users in any second.
#[derive(Debug, Default)]
pub struct Creations(VecDeque<Timestamp>);

impl Creations {
    pub fn take(&mut self, now: Timestamp) -> bool {
        while self
            .0
            .front()
            .is_some_and(|at| now.duration_since(*at).abs() >= SignedDuration::from_secs(1))
        {
            self.0.pop_front();
        }
        let granted = self.0.len() < CREATIONS_A_SECOND;
        if granted {
            self.0.push_back(now);
        }
        granted
    }
}

/// The mutable half of the simulated Google Workspace.
pub struct State {
    pub users: Users,
    pub tokens: Tokens,
    pub quirks: Quirks,
    pub window: Window,
    pub creations: Creations,
    pub refuse: Vec<RefuseRule>,
    pub domains: Vec<String>,
    pub org_units: Vec<String>,
    /// Addresses of groups.
    pub groups: Vec<String>,
    /// Fields by schema, with their types.
    pub schemas: BTreeMap<String, BTreeMap<String, String>>,
    /// Users out of the administrator's reach.
    pub protected: HashSet<u128>,
    pub suspended_by_google: HashSet<u128>,
    /// When each user was changed last.
    pub changed: HashMap<u128, Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            window: Window::new(QUERIES_A_MINUTE, 60),
            creations: Creations::default(),
            refuse: Vec::new(),
            domains: vec!["example.com".into(), "example.org".into(), "example.net".into()],
            org_units: vec!["/".into()],
            groups: Vec::new(),
            schemas: BTreeMap::new(),
            protected: HashSet::new(),
            suspended_by_google: HashSet::new(),
            changed: HashMap::new(),
        }
    }
}

impl State {
    /// Returns the refusal of a call beyond the limits.
    pub fn slow_down(&self) -> Answer {
        match self.quirks.throttle {
            Throttle::Forbidden => {
                errors::refused(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
            }
            Throttle::TooMany => errors::refused(429, "rateLimitExceeded", "Rate Limit Exceeded"),
            Throttle::Unavailable => errors::refused(
                503,
                "backendError",
                "Quota exceeded for the current request. Please try again later.",
            ),
        }
    }

    /// Returns the answer for a user who does not exist. A deleted user who can still be restored
    /// has another answer.
    pub fn no_user(&self, key: &str, now: Timestamp) -> Answer {
        if self.users.is_restorable(key, now) {
            errors::refused(412, "conditionNotMet", "User is deleted.")
        } else {
            errors::not_found("userKey")
        }
    }
}
