//! What a simulated `OneLogin` account holds.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::quirks::{Quirks, RefuseRule};
use super::tokens::Tokens;
use super::users::{Shown, User, Users};
use crate::front::Answer;
use crate::front::window::Window;

/// developers.onelogin.com, "Get Rate Limits": calls an hour.
const CALLS_AN_HOUR: u64 = 5_000;

/// The mutable half of the simulated `OneLogin`.
pub struct State {
    pub users: Users,
    pub definitions: Vec<Definition>,
    pub tokens: Tokens,
    pub quirks: Quirks,
    pub window: Window,
    pub refuse: Vec<RefuseRule>,
    /// The account owner; the API does not change this user.
    pub owner: Option<i64>,
    /// Locks that end by themselves.
    pub locks: Vec<(Timestamp, i64)>,
    /// Users whose asynchronous mappings have yet to run.
    pub due: Vec<(Timestamp, i64)>,
    /// What API calls changed, oldest first, without edits of the control API.
    pub journal: VecDeque<Changed>,
    /// Changes written to the journal so far.
    pub journalled: u64,
}

/// One defined custom attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub id: i64,
    pub name: String,
    pub shortname: String,
    pub position: Option<i64>,
}

/// One applied write of the API: the user as stored before and after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    /// Counts up from 1.
    pub seq: u64,
    /// The simulators' clock.
    pub at: Timestamp,
    pub id: i64,
    /// Null for a new user.
    pub before: Value,
    /// Null for a deleted one.
    pub after: Value,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            definitions: Vec::new(),
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            window: Window::new(CALLS_AN_HOUR, 3600),
            refuse: Vec::new(),
            owner: None,
            locks: Vec::new(),
            due: Vec::new(),
            journal: VecDeque::new(),
            journalled: 0,
        }
    }
}

impl State {
    /// Answers one user.
    pub fn one(&self, user: &User, shown: &Shown, status: u16) -> Answer {
        Answer::new(status, "application/json; charset=utf-8", self.render(user, shown))
    }

    fn render(&self, user: &User, shown: &Shown) -> Vec<u8> {
        let defined: Vec<&str> =
            self.definitions.iter().map(|definition| definition.shortname.as_str()).collect();
        let mut body = Vec::with_capacity(1024);
        user.write(shown, &defined, &mut body);
        body
    }

    /// Returns the full stored user, for the control API.
    pub fn stored(&self, user: &User) -> Vec<u8> {
        self.render(user, &Shown::full())
    }
}
