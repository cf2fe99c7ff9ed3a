//! What a simulated org holds.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use super::access::Access;
use super::limits::Limits;
use super::quirks::{Quirks, RefuseRule};
use super::schema::Schema;
use super::users::Users;

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    Activation,
    Deactivation,
}

/// A mail that Okta sent: of an activation to the user, of a deactivation to the administrators.
#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    pub about: About,
    /// The id of the user.
    pub user: String,
    pub at: Timestamp,
}

/// The settings of the org, and what is out of reach in it.
pub struct Org {
    pub domain: String,
    /// Whether the org is in read-only mode, as during maintenance.
    pub read_only: bool,
    /// Users that no token may change.
    pub protected: HashSet<String>,
    /// Attributes whose writes are answered and not stored.
    pub ignored: BTreeSet<String>,
}

/// The mutable half of the simulated org.
#[derive(Default)]
pub struct State {
    pub users: Users,
    pub schema: Schema,
    pub access: Access,
    pub limits: Limits,
    pub quirks: Quirks,
    pub refuse: Vec<RefuseRule>,
    pub org: Org,
    pub mails: Vec<Mail>,
    /// The users whose sessions were ended, oldest first.
    pub ended: Vec<String>,
}

impl Default for Org {
    fn default() -> Self {
        Self {
            domain: "sample.okta.com".into(),
            read_only: false,
            protected: HashSet::new(),
            ignored: BTreeSet::new(),
        }
    }
}

impl State {
    pub fn mail(&mut self, about: About, user: &str, at: Timestamp) {
        self.mails.push(Mail { about, user: user.to_owned(), at });
    }
}
