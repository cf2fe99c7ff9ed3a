//! `spec.safety`: the guards, their limits, and the choices that they offer.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds changes back until a person has looked at them.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.creates) || has(self.creates.max) || has(self.creates.atLeast)").message("creates has no default limit: set max, atLeast or both, or leave creates out for no limit"))]
pub struct Safety {
    /// Access taken away. Default: 5% of the managed accounts, at least 5, per 24h.
    #[serde(default)]
    pub disables: Budget,
    /// Values changed. Default: 30% of the managed accounts, at least 20, per 24h. The first pass over an existing population has no such limit.
    #[serde(default)]
    pub updates: Budget,
    /// New accounts, as a share of the people in scope. Absent: no limit. The first pass has none either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creates: Option<Budget>,
    /// Access given back; a starter whose day has come is none. Default: 5% of the managed accounts, at least 10, per 24h.
    #[serde(default)]
    pub reactivations: Budget,
    /// How many employees may leave management at once, because a change of `emailDomains` or `scope`, or of what Bob says of them, leaves them out. Beyond, they stay managed until a person approves it. Default: 5% of the managed employees, at least 10.
    #[serde(default)]
    pub scope_shrink: Share,
    /// How much shorter than the last answer of Bob the next may be. Default: 10%, at least 5.
    #[serde(default)]
    pub short_read: Share,
    /// For how many people one attribute may be blanked or changed at once. Beyond, it is left as it is for all, and the rest flows. Default: 20% of the managed accounts, at least 10.
    #[serde(default)]
    pub field_blackout: Share,
    /// What happens to values that a person changed at the provider. Access is always corrected.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// Whether an account without a mark is taken over by its e-mail.
    #[serde(default)]
    pub adoption: Adoption,
    /// What happens to administrators who leave, where the provider names them as such (Google Workspace, JumpCloud): they are left as they are and reported, or suspended like everybody else. Nothing else of an administrator is written either way.
    #[serde(default)]
    pub administrators: Administrators,
    /// Accounts that are never written, whoever they belong to: administrators and break-glass accounts, by e-mail, username or the provider's id. Administrators whom Google Workspace or JumpCloud names as such are protected without being listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "set"))]
    pub protected_accounts: Vec<AccountName>,
}

/// An e-mail, a username or the provider's id of one account; no pattern and no list.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct AccountName(
    #[schemars(length(min = 1, max = 320), regex(pattern = r"^[^\s,*]([^,*]*[^\s,*])?$"))]
    pub  String,
);

/// At most so many changes within a sliding window: the larger of a share and a floor. What passes it is held whole.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Share in percent, rounded up, such as `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]|[1-9][0-9]|100)%$')").message("a share is a whole number of percent between 0% and 100%, such as 5%"))]
    pub max: Option<String>,
    /// A floor for small companies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub at_least: Option<u32>,
    /// The window, as a Go duration such as `24h`; at most 720h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(h|m|s|ms))+$') && duration(self) >= duration('1m') && duration(self) <= duration('720h')").message("the window is a duration between 1m and 720h, such as 24h"))]
    pub per: Option<String>,
}

/// The larger of a share and a floor.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Share in percent, rounded up, such as `10%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]|[1-9][0-9]|100)%$')").message("a share is a whole number of percent between 0% and 100%, such as 5%"))]
    pub max: Option<String>,
    /// A floor for small companies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub at_least: Option<u32>,
}

/// What happens to administrators who leave.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Administrators {
    /// The account is left as it is; while access is open the `EmployeeSync` is not Ready (`SuspendByHand`).
    #[default]
    Leave,
    /// Access is taken, and nothing else is written.
    Suspend,
}

/// What happens to values that a person changed at the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// They are set back to what Bob says.
    #[default]
    Correct,
    /// They are left, and the `EmployeeSync` names the attributes, until Bob says something else of them.
    Report,
}

/// Whether an account without a mark is taken over by its e-mail.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// Once: with the first write it gets the mark.
    #[default]
    MatchByEmail,
    /// Never: such an account is a conflict.
    Never,
}
