//! Lag, and what differs between accounts or is not documented, as switches.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::texts::Forms;

/// How a call beyond the limits is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Throttle {
    /// 403 `userRateLimitExceeded`
    #[default]
    Forbidden,
    /// 429 `rateLimitExceeded`
    TooMany,
    /// 503 with a message about the quota
    Unavailable,
}

/// The switches. Seconds are of the simulators' clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Quirks {
    /// How long a new user is not found by a read by key.
    pub get_lag_seconds: i64,
    /// How long a new user is in no listing.
    pub list_lag_seconds: i64,
    /// How long a new user is listed without `suspended`, `archived` and `name`.
    pub flag_lag_seconds: i64,
    /// How long an update of a new user is answered 412.
    pub update_lag_seconds: i64,
    /// How long a search does not show what was written. "Most changes within an hour."
    pub search_lag_seconds: i64,
    /// How long after a change of a user another change of the same user is answered 409
    /// `conflict`.
    pub conflict_seconds: i64,
    /// Whether a create in a foreign domain is answered 403 `forbidden` instead of 404.
    pub foreign_domain_is_forbidden: bool,
    /// How a call beyond the limits is refused.
    pub throttle: Throttle,
    /// Whether a new user is active even if `suspended` says otherwise.
    pub create_ignores_suspended: bool,
    /// Stored texts have one blank for every run of blanks.
    pub fold_blanks: bool,
    /// Stored texts have composed letters (NFC).
    pub compose_letters: bool,
    /// Stored texts have at most this many characters. Addresses, ids and types are never cut.
    pub cut_texts: Option<usize>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            get_lag_seconds: 0,
            list_lag_seconds: 0,
            flag_lag_seconds: 0,
            update_lag_seconds: 0,
            search_lag_seconds: 3600,
            conflict_seconds: 0,
            foreign_domain_is_forbidden: false,
            throttle: Throttle::default(),
            create_ignores_suspended: false,
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
            "primaryEmail",
            "recoveryEmail",
            "recoveryPhone",
            "password",
            "hashFunction",
            "orgUnitPath",
            "externalIds",
            "relations",
            "type",
            "customType",
        ];
        let Self { fold_blanks, compose_letters, cut_texts, .. } = *self;
        Forms { fold_blanks, compose_letters, cut_texts }.keep(members, WHOLE);
    }
}

/// A value that is refused: `field` is a path such as `organizations.title` or
/// `customSchemas.Work.cell`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    pub field: String,
    pub contains: String,
}
