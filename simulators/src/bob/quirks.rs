//! Switches for what differs between Bob's tenants or is not documented, and the rights of the
//! service user.

use serde::{Deserialize, Serialize};

/// The casing of `internal.lifecycleStatus` on the machine side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Casing {
    #[default]
    Lower,
    Title,
    Upper,
}

impl Casing {
    pub fn apply(self, id: &str, label: &str) -> String {
        match self {
            Self::Lower => id.to_lowercase(),
            Self::Title => label.to_owned(),
            Self::Upper => id.to_uppercase(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReportsTo {
    #[default]
    Object,
    String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListIds {
    #[default]
    String,
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HumanDates {
    /// `DD/MM/YYYY`
    #[default]
    Locale,
    /// `YYYY-MM-DD`
    Iso,
}

/// Switches for what differs between tenants or is not documented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quirks {
    pub slash_keys: bool,
    pub reports_to: ReportsTo,
    pub lifecycle_casing: Casing,
    pub list_ids: ListIds,
    pub human_dates: HumanDates,
    /// How long reads still show the old values of a changed employee, seconds.
    pub lag_seconds: i64,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            slash_keys: true,
            reports_to: ReportsTo::default(),
            lifecycle_casing: Casing::default(),
            list_ids: ListIds::default(),
            human_dates: HumanDates::default(),
            lag_seconds: 0,
        }
    }
}

impl Quirks {
    pub fn numeric_list_ids(&self) -> bool {
        self.list_ids == ListIds::Number
    }

    pub fn reports_to_object(&self) -> bool {
        self.reports_to == ReportsTo::Object
    }

    pub fn locale_dates(&self) -> bool {
        self.human_dates == HumanDates::Locale
    }
}

/// The answer to a read by id of an employee in Bob outside of the service user's rights. Bob's
/// documents do not state it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutOfSight {
    /// 404, as for a file that does not exist.
    #[default]
    NotFound,
    /// 403
    Forbidden,
}

/// The rights of the service user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Permissions {
    /// Field ids that are silently left out.
    pub hidden_fields: Vec<String>,
    /// Lifecycle labels of the visible employees, ignoring case; `None`: all.
    pub visible_lifecycles: Option<Vec<String>>,
    /// The answer to a read by id of an employee out of sight.
    pub out_of_sight: OutOfSight,
    /// Answer every call with this refusal, such as 403.
    pub status: Option<u16>,
}
