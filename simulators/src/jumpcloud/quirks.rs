//! What differs between organizations or is not documented for certain, as switches.

use serde::{Deserialize, Serialize};

/// The switches. Seconds are of the simulators' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quirks {
    /// How long a new user is in no listing and in no answer to a filter.
    pub list_lag_seconds: i64,
    /// How long a new user is in no answer of `/search`.
    pub search_lag_seconds: i64,
    /// Whether a duplicate is refused without a word of what it is.
    pub bare_duplicates: bool,
    /// Whether a bad request is refused without a word of what is wrong.
    pub bare_refusals: bool,
    /// Whether addresses are kept in lower case.
    pub lowers_addresses: bool,
    /// `Retry-After` of a call beyond the limit; JumpCloud documents none.
    pub retry_after: Option<u64>,
    /// The state of a user who is created without one (`settings.newSystemUserStateDefaults.manualEntry`).
    pub default_state: String,
    /// Shortest password.
    pub password_length: usize,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            list_lag_seconds: 0,
            search_lag_seconds: 60,
            bare_duplicates: false,
            bare_refusals: false,
            lowers_addresses: true,
            retry_after: None,
            default_state: "ACTIVATED".into(),
            password_length: 8,
        }
    }
}

/// A value that is refused: `field` is a member, of an array too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    pub field: String,
    pub contains: String,
}
