//! What differs between orgs or is not documented, as switches.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::texts::Forms;

/// What a write of an attribute answers that another system masters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mastered {
    /// 403 `E0000023` for the whole request.
    Refuse,
    /// 200; these attributes keep their values.
    Ignore,
}

/// Where the link to the next page leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Next {
    Page,
    /// The last page has a link, which leads to this page again.
    SamePage,
    /// The next page of another host.
    OtherHost,
}

/// The switches. Seconds are of the simulators' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Quirks {
    /// How long lists, searches and filters show what a user was before.
    pub search_lag_seconds: i64,
    /// How long an activation or a deactivation takes. With `Prefer: respond-async` it takes at
    /// least five seconds.
    pub transition_seconds: i64,
    /// Whether users without a password become ACTIVE.
    pub optional_password: bool,
    /// Whether profiles of DEPROVISIONED users can be changed.
    pub edits_deactivated: bool,
    pub mastered: Mastered,
    pub unique_emails: bool,
    pub next: Next,
    /// Whether the refusal of an access token has only a header, and no body.
    pub bare_token_refusals: bool,
    /// The shortest password.
    pub password_length: usize,
    /// Stored texts have one blank for every run of blanks.
    pub fold_blanks: bool,
    /// Stored texts have composed letters (NFC).
    pub compose_letters: bool,
    /// Stored texts have at most this many characters. Logins, e-mails, employee numbers, codes and
    /// custom attributes are never cut.
    pub cut_texts: Option<usize>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            search_lag_seconds: 10,
            transition_seconds: 0,
            optional_password: false,
            edits_deactivated: false,
            mastered: Mastered::Refuse,
            unique_emails: false,
            next: Next::Page,
            bare_token_refusals: true,
            password_length: 8,
            fold_blanks: false,
            compose_letters: false,
            cut_texts: None,
        }
    }
}

impl Quirks {
    /// Changes the texts of a checked profile into their stored form; `custom` names the custom
    /// attributes.
    pub fn keep(&self, profile: &mut Map<String, Value>, custom: &[&str]) {
        let mut whole = vec![
            "login",
            "email",
            "secondEmail",
            "employeeNumber",
            "countryCode",
            "preferredLanguage",
            "locale",
            "timezone",
        ];
        whole.extend(custom);
        let Self { fold_blanks, compose_letters, cut_texts, .. } = *self;
        Forms { fold_blanks, compose_letters, cut_texts }.keep(profile, &whole);
    }
}

/// A value that is refused: `field` is a profile attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    pub field: String,
    pub contains: String,
}
