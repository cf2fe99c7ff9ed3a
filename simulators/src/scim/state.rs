//! The server's data.

use std::collections::HashSet;

use super::auth::Access;
use super::quirks::{Quirks, RefuseRule};
use super::schema::Schemas;
use super::users::Users;
use crate::front::window::Window;

/// No standard names a limit; this is far above the use of a careful client.
const CALLS_A_MINUTE: u64 = 6_000;

/// The mutable half of the simulated server.
pub struct State {
    pub users: Users,
    pub schemas: Schemas,
    pub access: Access,
    pub quirks: Quirks,
    pub window: Window,
    pub refuse: Vec<RefuseRule>,
    /// Users that the caller may not change.
    pub protected: HashSet<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            schemas: Schemas::default(),
            access: Access::default(),
            quirks: Quirks::default(),
            window: Window::new(CALLS_A_MINUTE, 60),
            refuse: Vec::new(),
            protected: HashSet::new(),
        }
    }
}
