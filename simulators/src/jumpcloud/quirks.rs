//! What differs between organizations or is not documented, as switches.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::texts::Forms;

/// The switches. Seconds are of the simulators' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Quirks {
    /// How long a new user is in no listing and in no answer to a filter.
    pub list_lag_seconds: i64,
    /// How long a new user is in no answer of `/search`.
    pub search_lag_seconds: i64,
    /// Whether the refusal of a duplicate does not name the field.
    pub bare_duplicates: bool,
    /// Whether the refusal of a bad request does not name the mistake.
    pub bare_refusals: bool,
    /// Whether addresses are kept in lower case.
    pub lowers_addresses: bool,
    /// `Retry-After` of a call beyond the limit; JumpCloud documents none.
    pub retry_after: Option<u64>,
    /// The state of a user who is created without one
    /// (`settings.newSystemUserStateDefaults.manualEntry`).
    pub default_state: String,
    /// The shortest password.
    pub password_length: usize,
    /// Stored texts have one blank for every run of blanks.
    pub fold_blanks: bool,
    /// Stored texts have composed letters (NFC).
    pub compose_letters: bool,
    /// Stored texts have at most this many characters. Addresses, usernames, states, types and
    /// custom attributes are never cut.
    pub cut_texts: Option<usize>,
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
            fold_blanks: false,
            compose_letters: false,
            cut_texts: None,
        }
    }
}

impl Quirks {
    /// Changes the texts of a checked write into their stored form.
    pub fn keep(&self, members: &mut Map<String, Value>) {
        const WHOLE: &[&str] = &[
            "email",
            "username",
            "alternateEmail",
            "managedAppleId",
            "password",
            "state",
            "manager",
            "recoveryEmail",
            "attributes",
            "type",
        ];
        let Self { fold_blanks, compose_letters, cut_texts, .. } = *self;
        Forms { fold_blanks, compose_letters, cut_texts }.keep(members, WHOLE);
    }
}

/// A value that is refused: `field` is a member, of an array too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    pub field: String,
    pub contains: String,
}
