//! Lag, and what is not documented, as switches.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::texts::Forms;

/// The switches. Seconds are of the simulators' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)]
pub struct Quirks {
    /// How long a new user is not found by a read or an update by key.
    pub read_lag_seconds: i64,
    /// How long a new user is in no list.
    pub list_lag_seconds: i64,
    /// How long a filter does not show what was written.
    pub filter_lag_seconds: i64,
    /// How long a new user is not found as a reference.
    pub reference_lag_seconds: i64,
    /// Whether that is answered 400 "Not a valid reference update." instead of 404.
    pub reference_lag_is_bad_request: bool,
    /// How long an update of a new user is answered 400, and with which text.
    pub update_lag_seconds: i64,
    pub update_lag_says: String,
    /// How long a new client secret is refused.
    pub secret_lag_seconds: i64,
    /// Whether the last page's link leads to itself.
    pub last_page_points_back: bool,
    /// Whether a change is answered with the user instead of nothing.
    pub answers_changes: bool,
    /// Whether there is no `$batch`.
    pub no_batch: bool,
    /// Stored texts have one blank for every run of blanks.
    pub fold_blanks: bool,
    /// Stored texts have composed letters (NFC).
    pub compose_letters: bool,
    /// Stored texts have at most this many characters. Addresses, `employeeId` and `usageLocation`
    /// are never cut.
    pub cut_texts: Option<usize>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            read_lag_seconds: 0,
            list_lag_seconds: 0,
            filter_lag_seconds: 30,
            reference_lag_seconds: 0,
            reference_lag_is_bad_request: false,
            update_lag_seconds: 0,
            update_lag_says: "One or more property values specified are invalid.".into(),
            secret_lag_seconds: 0,
            last_page_points_back: false,
            answers_changes: false,
            no_batch: false,
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
            "userPrincipalName",
            "mail",
            "mailNickname",
            "employeeId",
            "usageLocation",
            "passwordProfile",
            "otherMails",
        ];
        let Self { fold_blanks, compose_letters, cut_texts, .. } = *self;
        Forms { fold_blanks, compose_letters, cut_texts }.keep(members, WHOLE);
    }
}

/// A value that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    pub field: String,
    pub contains: String,
}
