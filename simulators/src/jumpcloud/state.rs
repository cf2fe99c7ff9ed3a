//! What a simulated organization holds.

use std::collections::HashSet;

use serde_json::json;

use super::quirks::{Quirks, RefuseRule};
use super::users::Users;
use crate::front::Answer;
use crate::front::window::Window;

/// JumpCloud publishes no figure; this is far above the use of a careful client.
const CALLS_A_MINUTE: u64 = 6_000;

/// The rights of the administrator behind the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rights {
    Manage,
    Read,
}

/// The mutable half of the simulated JumpCloud organization.
pub struct State {
    pub users: Users,
    pub key: String,
    pub rights: Rights,
    /// Whether the administrator has several organizations, and must name one.
    pub several: bool,
    pub quirks: Quirks,
    pub window: Window,
    pub refuse: Vec<RefuseRule>,
    /// Users out of the administrator's reach.
    pub protected: HashSet<String>,
    /// Whether the caller's address is blocked.
    pub blocked: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            key: "jumpcloud-key-1".into(),
            rights: Rights::Manage,
            several: false,
            quirks: Quirks::default(),
            window: Window::new(CALLS_A_MINUTE, 60),
            refuse: Vec::new(),
            protected: HashSet::new(),
            blocked: false,
        }
    }
}

impl State {
    /// Returns an error in the form of the users' routes.
    pub fn refuse(&self, status: u16, message: &str) -> Answer {
        Answer::json(status, &json!({"message": message}))
    }
}
