//! What differs between tenants, or is not documented, as switches.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::texts::Forms;

/// What a PUT does to custom attributes that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CustomAttributes {
    /// They are emptied. The default, because it is the stricter one.
    #[default]
    Replace,
    Merge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FilterCase {
    #[default]
    Insensitive,
    Sensitive,
}

/// What an empty string reads back as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmptyText {
    #[default]
    Keep,
    Null,
}

/// What `null` does to a text attribute or a manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NullValue {
    #[default]
    Clear,
    /// 422
    Refuse,
}

/// One of the tenant's mappings: if an attribute has a value, others are set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// Absent: every user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<MappingCondition>,
    /// Attribute names to values, of the attributes' own types. A custom attribute is named
    /// `custom_attributes.<shortname>`.
    pub set: serde_json::Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingCondition {
    pub field: String,
    pub equals: Value,
}

/// The switches.
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quirks {
    pub custom_attributes: CustomAttributes,
    /// How many users can hold a licence; `None`: unlimited.
    pub licences: Option<u64>,
    /// A smaller maximum of `limit`.
    pub page_size_cap: Option<usize>,
    pub filter_case: FilterCase,
    pub empty_text: EmptyText,
    pub null_value: NullValue,
    /// Blanks around usernames, e-mails and names are cut on write.
    pub trim: bool,
    /// Usernames and e-mails are stored in lower case.
    pub lowercase: bool,
    /// Stored texts have one blank for every run of blanks.
    pub fold_blanks: bool,
    /// Stored texts have composed letters (NFC).
    pub compose_letters: bool,
    /// Stored texts have at most this many characters. Usernames, e-mails and `external_id` are
    /// never cut.
    pub cut_texts: Option<usize>,
    pub mappings: Vec<Mapping>,
    /// How long asynchronous mappings take, seconds; 0: right after the answer.
    pub mappings_delay_seconds: i64,
    /// The answer to a call beyond the credential's scope, 403 or 401.
    pub missing_scope_status: u16,
    /// Whether 429 has a `Retry-After`.
    pub retry_after: bool,
    /// The user who made the credential is gone: token calls answer 500.
    pub credential_owner_deleted: bool,
    /// Whether a PUT with `state: 1` leaves the state Unlicensed when a licence is free.
    pub update_leaves_unlicensed: bool,
    /// Whether users without a licence get one as soon as one is free.
    pub licenses_waiting: bool,
    /// The tenant's name in messages about duplicates.
    pub subdomain: String,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            custom_attributes: CustomAttributes::default(),
            licences: None,
            page_size_cap: None,
            filter_case: FilterCase::default(),
            empty_text: EmptyText::default(),
            null_value: NullValue::default(),
            trim: false,
            lowercase: false,
            fold_blanks: false,
            compose_letters: false,
            cut_texts: None,
            mappings: Vec::new(),
            mappings_delay_seconds: 0,
            missing_scope_status: 403,
            retry_after: false,
            credential_owner_deleted: false,
            update_leaves_unlicensed: false,
            licenses_waiting: false,
            subdomain: "acme".into(),
        }
    }
}

impl Quirks {
    /// Returns the stored form of a text. `whole`: the text is never cut.
    pub fn kept(&self, text: &str, whole: bool) -> Box<str> {
        let text = if self.trim { text.trim() } else { text };
        let cut_texts = self.cut_texts.filter(|_| !whole);
        Forms { fold_blanks: self.fold_blanks, compose_letters: self.compose_letters, cut_texts }
            .kept(text)
            .into()
    }
}

/// Writes whose `field` contains this text are refused with 422.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    /// An attribute, or `custom_attributes.<shortname>`.
    pub field: String,
    pub contains: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_in_the_forms_that_are_switched_on() {
        let quirks = Quirks {
            fold_blanks: true,
            compose_letters: true,
            cut_texts: Some(7),
            ..Quirks::default()
        };
        assert_eq!(&*quirks.kept("Zoe\u{308}  \u{a0} Lind", false), "Zoë Lin");
        assert_eq!(&*quirks.kept("Zoe\u{308}  Lind", true), "Zoë Lind");
        assert_eq!(&*Quirks::default().kept(" Zoe\u{308}  Lind", false), " Zoe\u{308}  Lind");
    }
}
