//! What a simulated tenant holds.

use std::collections::HashSet;

use super::auth::Tokens;
use super::quirks::{Quirks, RefuseRule};
use super::users::Users;
use crate::front::window::Window;

/// Microsoft Graph throttling limits, "Identity and access service limits": writes of one app in
/// one tenant in 150 seconds.
const WRITES: u64 = 3_000;
const WRITES_WITHIN: i64 = 150;
/// The same: resource units in 10 seconds, of a tenant with more than 500 users.
const UNITS: u64 = 8_000;
const UNITS_WITHIN: i64 = 10;

/// The mutable half of the simulated tenant.
pub struct State {
    pub users: Users,
    pub tokens: Tokens,
    pub quirks: Quirks,
    pub writes: Window,
    pub units: Window,
    pub refuse: Vec<RefuseRule>,
    /// Verified domains.
    pub domains: Vec<String>,
    /// Directory extensions that are defined for users.
    pub extensions: Vec<String>,
    /// Users with an administrator's role.
    pub administrators: HashSet<String>,
    /// Users in a restricted management administrative unit; no app may change them.
    pub restricted: HashSet<String>,
    /// The greatest number of objects.
    pub quota: Option<u64>,
    /// The users with ended sessions, oldest first.
    pub ended: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            writes: Window::new(WRITES, WRITES_WITHIN),
            units: Window::new(UNITS, UNITS_WITHIN),
            refuse: Vec::new(),
            domains: vec!["example.com".into(), "example.org".into(), "example.net".into()],
            extensions: Vec::new(),
            administrators: HashSet::new(),
            restricted: HashSet::new(),
            quota: None,
            ended: Vec::new(),
        }
    }
}
